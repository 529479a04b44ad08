import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DECISION_RULES, decisionRule, decisionWeight, SHARED_DECISIONS } from "../src/index.ts";

const root = join(import.meta.dirname, "../../..");

/** Where the reasons of a process come from. */
const SOURCES: Record<string, string[]> = {
  membership: ["packages/core-membership/src/*.ts", "services/membership/src/**/*.ts"],
  "quorum-evaluator": ["packages/core-quorum/src/*.ts", "services/quorum-evaluator/src/*.ts"],
  "failover-actuator": ["packages/core-failover/src/**/*.ts", "services/failover-actuator/src/*.ts"],
  "config-distributor": ["packages/core-config/src/*.ts", "services/config-distributor/src/*.ts"],
  supervisor: ["packages/cli/src/node-run/*.ts"],
  journal: ["services/journal/src/*.ts"],
};

/** Said to whoever asked, or shown by `status`: no decision of the process. */
const NO_DECISIONS: Record<string, string[]> = {
  membership: [],
  "quorum-evaluator": [
    "ALREADY_MASTER",
    "NODE_UNKNOWN",
    "NOT_MASTER",
    "UNSAFE",
    "CONFIG_FORK",
    "JOINT",
    "NOT_COMMITTED",
    // The word of an actuator, which the rehearsal plays.
    "OK",
  ],
  "failover-actuator": [],
  "config-distributor": ["NOT_MASTER", "NOT_QUORATE", "REQUEST_TIMEOUT", "ALREADY_RUNNING"],
  supervisor: [],
  journal: [],
};

const CODE = /\bcode(?::|\s*=|\s*===)\s*"([A-Za-z_-]+)"|\b(?:say|release|no|add)\(\s*"([A-Za-z_-]+)"/g;

function codesIn(patterns: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    for (const file of globSync(pattern, { cwd: root })) {
      const text = readFileSync(join(root, file), "utf8");
      for (const match of text.matchAll(CODE)) found.add(match[1] ?? match[2] ?? "");
      // Codes that are chosen: every quoted word of that shape in an expression after `code`.
      for (const match of text.matchAll(/\bcode(?::| =)\s*([^;\n]*\?[^;\n]*)/g)) {
        for (const word of (match[1] ?? "").matchAll(/"([A-Z][A-Z_]+)"/g)) found.add(word[1] ?? "");
      }
    }
  }
  return found;
}

describe("rules of decisions", () => {
  for (const [service, patterns] of Object.entries(SOURCES)) {
    it(`are there for every code that ${service} gives`, () => {
      const excused = NO_DECISIONS[service] ?? [];
      const missing = [...codesIn(patterns)].filter(
        // Words of the operating system are looked for, not given.
        (code) => !excused.includes(code) && !/^E[A-Z]+$/.test(code) && decisionRule(service, code) === null,
      );
      expect(missing.toSorted((left, right) => left.localeCompare(right))).toEqual([]);
    });

    it(`are there for nothing that ${service} does not give`, () => {
      const everything = patterns
        .flatMap((pattern) => globSync(pattern, { cwd: root }))
        .map((file) => readFileSync(join(root, file), "utf8"))
        .join("\n");
      const passedOn =
        service === "quorum-evaluator" ? abilityCodes() : service === "config-distributor" ? ordered() : [];
      const idle = Object.keys(DECISION_RULES[service] ?? {}).filter(
        (code) => !everything.includes(`"${code}"`) && !passedOn.includes(code),
      );
      expect(idle).toEqual([]);
    });
  }

  it("shared ones are given by somebody", () => {
    const everything = ["packages/{core-*,runtime,host,contracts}/src/**/*.ts", "services/*/src/**/*.ts"]
      .flatMap((pattern) => globSync(pattern, { cwd: root }))
      .filter((file) => !file.includes("decision-rules"))
      .map((file) => readFileSync(join(root, file), "utf8"))
      .join("\n");
    expect(Object.keys(SHARED_DECISIONS).filter((code) => !everything.includes(`"${code}"`))).toEqual([]);
  });

  it("are sentences", () => {
    for (const table of [...Object.values(DECISION_RULES), SHARED_DECISIONS]) {
      for (const [code, { rule, otherwise }] of Object.entries(table)) {
        expect(rule, code).toMatch(/^.{10,}[.]$/s);
        expect(otherwise.length, code).toBeGreaterThan(3);
      }
    }
  });

  it("weigh an event as much as the heavier of code and event", () => {
    expect(decisionWeight("quorum-evaluator", "STANDING", null)).toBe("detail");
    expect(decisionWeight("quorum-evaluator", "SLAVE", "quorum.role_changed")).toBe("important");
    expect(decisionWeight("failover-actuator", "LEASE", "failover.gate_opened")).toBe("important");
    expect(decisionWeight("nobody", "toString", null)).toBe("notable");
  });
});

/** The evaluator passes the actuator's word on why this node cannot serve. */
function abilityCodes(): string[] {
  return Object.keys(DECISION_RULES["failover-actuator"] ?? {});
}

/** The distributor passes on why an operator proposed something. */
function ordered(): string[] {
  return [...codesIn(["packages/cli/src/commands/*.ts"])];
}
