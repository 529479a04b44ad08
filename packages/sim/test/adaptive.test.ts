import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ADAPTIVE_RULES } from "../src/adaptive/rules.ts";
import type { Order, Tally } from "../src/adaptive/run-rule.ts";
import { ROOT } from "../src/mutations/load-mutated.ts";
import { applyEdit } from "../src/mutations/mutation.ts";

const RUN_RULE = join(import.meta.dirname, "../src/adaptive/run-rule.ts");

function tallyOf(order: Order): Tally {
  const argv = ["--disable-warning=ExperimentalWarning", RUN_RULE, JSON.stringify(order)];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: "utf8" })) as Tally;
}

describe("adaptive rules", () => {
  for (const { name, off } of ADAPTIVE_RULES) {
    it(`${name}: what takes it away applies to the present source`, () => {
      for (const edit of off) {
        const source = readFileSync(join(ROOT, edit.file), "utf8");
        expect(applyEdit(source, edit)).not.toBe(source);
      }
    });
  }

  it("a flapping node makes fewer views in quarantine, and no invariant breaks", { timeout: 180_000 }, () => {
    const without = tallyOf({ name: "quarantine", withRule: false, seeds: 1 });
    const kept = tallyOf({ name: "quarantine", withRule: true, seeds: 1 });
    expect(without.filesLoaded).toBe(1);
    expect(kept.viewChanges).toBeLessThan(without.viewChanges / 2);
    expect([without.violations, kept.violations]).toEqual([0, 0]);
  });
});
