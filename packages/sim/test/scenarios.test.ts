import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { firstDifference } from "../src/scenario/difference.ts";
import { expectedLog, readScenario, SCENARIOS_FOLDER, scenarioNames } from "../src/scenario/folder.ts";
import { indexPage } from "../src/scenario/index-page.ts";
import { lineOfPath } from "../src/scenario/json-place.ts";
import { runScenario } from "../src/scenario/run-scenario.ts";

const names = scenarioNames();

describe("every scenario", () => {
  test.for(names)("%s: its log is as expected and the invariants hold", async (name) => {
    const scenario = readScenario(name);
    const { log, violations } = await runScenario(scenario);
    expect(violations).toEqual([]);
    expect(firstDifference(expectedLog(scenario) ?? "", log)).toBeNull();
  });

  test.for(names)("%s: its README begins with its name and is a page, not a book", (name) => {
    const lines = readFileSync(join(SCENARIOS_FOLDER, name, "README.md"), "utf8")
      .trimEnd()
      .split("\n");
    expect(lines[0]).toMatch(new RegExp(`^# ${name}: .`));
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.length).toBeLessThanOrEqual(25);
  });

  test("there are at least 25, and the index names them all", () => {
    expect(names.length).toBeGreaterThanOrEqual(25);
    expect(readFileSync(join(SCENARIOS_FOLDER, "README.md"), "utf8")).toBe(indexPage());
  });
});

test("the same scenario twice gives the same log, with or without a trace", async () => {
  const scenario = readScenario("death-1");
  const first = await runScenario(scenario);
  const second = await runScenario(scenario, { trace: true });
  expect(second.log).toBe(first.log);
  expect(first.trace).toEqual([]);
  expect(second.trace.length).toBeGreaterThan(0);
});

test("the line of a value in JSON, and of the deepest part of a path that exists", () => {
  const text = '{\n  "a": [1,\n    { "b\\"c": "}],",\n      "d": null },\n    [true]\n  ]\n}';
  expect(JSON.parse(text)).toEqual({ a: [1, { 'b"c': "}],", d: null }, [true]] });
  expect(lineOfPath(text, [])).toBe(1);
  expect(lineOfPath(text, ["a", 0])).toBe(2);
  expect(lineOfPath(text, ["a", 1, 'b"c'])).toBe(3);
  expect(lineOfPath(text, ["a", 1, "d"])).toBe(4);
  expect(lineOfPath(text, ["a", 2, 0])).toBe(5);
  expect(lineOfPath(text, ["a", 1, "missing", "deeper"])).toBe(3);
});

describe("what is wrong with a scenario is said with its place", () => {
  let folder = "";
  const own = (file: string) => join(folder, "death-1", file);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "quorate-scenarios-"));
    cpSync(join(SCENARIOS_FOLDER, "death-1"), join(folder, "death-1"), { recursive: true });
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function refusal(act: () => unknown): QuorateError {
    try {
      act();
    } catch (error) {
      if (error instanceof QuorateError) return error;
      throw error;
    }
    throw new Error("it was taken");
  }

  function refusedScript(change: (text: string) => string): QuorateError {
    writeFileSync(own("script.json"), change(readFileSync(own("script.json"), "utf8")));
    return refusal(() => readScenario("death-1", folder));
  }

  test("a name that there is not: the closest ones", () => {
    const { code, hint } = refusal(() => readScenario("daeth-1", folder));
    expect(code).toBe("SCENARIO_UNKNOWN");
    expect(hint).toBe("Did you mean death-1?");
    expect(refusal(() => readScenario("zebra", folder)).hint).toContain("There are: death-1");
  });

  test("a file too many, a file too few, a folder that is none", () => {
    writeFileSync(own("notes.txt"), "");
    expect(refusal(() => readScenario("death-1", folder)).message).toContain("death-1/notes.txt");
    rmSync(own("notes.txt"));
    rmSync(own("cluster.conf"));
    expect(refusal(() => readScenario("death-1", folder)).message).toContain(
      "death-1/cluster.conf is missing",
    );
    writeFileSync(join(folder, "stray.txt"), "");
    expect(refusal(() => scenarioNames(folder)).message).toContain("stray.txt is no scenario");
  });

  test("a step that there is not: line, path and what was meant", () => {
    const { code, message } = refusedScript((text) => text.replace('"power-cut"', '"power-cat"'));
    expect(code).toBe("SCENARIO_INVALID");
    expect(message).toContain("script.json:4: steps[0]");
    expect(message).toContain("did you mean power-cut?");
  });

  test("a duration without its unit, a field too many, broken JSON, a step after the end", () => {
    expect(refusedScript((text) => text.replace('"6s"', '"6"')).message).toMatch(
      /script\.json:4: steps\[0\]\.for: is no duration/,
    );
    expect(refusedScript((text) => text.replace('"6"', '"6s", "colour": 1')).message).toContain("colour");
    expect(
      refusedScript((text) => text.replace(', "colour": 1', "").replace('"1s"', '"99s"')).message,
    ).toContain('script.json:4: steps[0].at: is not before "until"');
    expect(refusedScript((text) => text.replace("{", "{ oops")).message).toMatch(/script\.json:1: /);
  });

  test("a configuration that the grammar refuses, and one that is not simulated", () => {
    const conf = readFileSync(own("cluster.conf"), "utf8");
    writeFileSync(own("cluster.conf"), conf.replace("token: 1000", "token: soon"));
    expect(refusal(() => readScenario("death-1", folder)).code).toBe("CONFIG_INVALID");
    writeFileSync(own("cluster.conf"), conf.replace("10.0.0.100", "10.0.0.101"));
    expect(refusal(() => readScenario("death-1", folder)).message).toContain("one cluster address");
  });

  test("a step that strikes nothing, and one that waits for what nobody says", async () => {
    const script = readFileSync(own("script.json"), "utf8");
    writeFileSync(own("script.json"), script.replace('"node": "master"', '"node": 9'));
    await expect(runScenario(readScenario("death-1", folder))).rejects.toThrow("steps[0] (power-cut)");
    writeFileSync(own("script.json"), script.replace('"at": "1s"', '"after": "NEVER_SAID"'));
    await expect(runScenario(readScenario("death-1", folder))).rejects.toThrow("nobody said NEVER_SAID");
  });
});
