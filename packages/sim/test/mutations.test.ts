import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { MUTATIONS } from "../src/mutations/index.ts";
import { mutatedSources } from "../src/mutations/load-mutated.ts";
import { runMutation } from "../src/mutations/run-table.ts";

describe("the list of guards", () => {
  test.for(MUTATIONS)("$name applies to the present source, changes it, and still is code", (mutation) => {
    for (const [path, source] of mutatedSources(mutation)) {
      expect(source).not.toBe(readFileSync(path, "utf8"));
      expect(() => stripTypeScriptTypes(source)).not.toThrow();
    }
  });

  test("names are unique, and there are at least 25", () => {
    expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
    expect(MUTATIONS.length).toBeGreaterThanOrEqual(25);
  });
});

describe("the simulator notices", () => {
  // Few and quick; the whole table is `npm run sim:mutations`.
  // Two processes each, on machines that may be busy: hence the long limit.
  const quick = ["strict-majority", "promise-renewed", "promise-after-restart", "silence-after-reboot"];
  test.for(quick)("%s, when it is away, and nothing when it is there", { timeout: 180_000 }, async (name) => {
    const mutation = MUTATIONS.find((each) => each.name === name);
    if (mutation === undefined) throw new Error(`no mutation ${name}`);
    const row = await runMutation(mutation, 1);
    expect(row).toMatchObject({ failure: null, controls: [], seeds: 1 });
    expect(row.caught?.invariant).toMatch(/^INV-/);
  });
});
