import { describe, expect, it } from "vitest";
import { machines } from "../src/generators/machines.ts";
import { runSeed } from "../src/run.ts";

const SEEDS = 2;

describe("virtual machines in the simulated world", () => {
  it.each(machines.map(({ name }) => name))(
    "%s: INV-3, INV-4 and INV-7 hold, and every machine runs once in the end",
    async (generator) => {
      const struck = { starts: 0, resumes: 0 };
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const { violations, faults } = await runSeed({ seed, generator });
        expect(violations, `seed ${seed}`).toEqual([]);
        struck.starts += faults["vm-start-copy"] ?? 0;
        struck.resumes += faults["vm-resume-copy"] ?? 0;
      }
      // Three machines are started at the beginning; a world in which nothing happens to them proves nothing.
      expect(struck.starts).toBeGreaterThan(3 * SEEDS);
      expect(struck.resumes).toBeGreaterThan(0);
    },
    120_000,
  );

  it("replays a seed with machines bit for bit", async () => {
    const once = await runSeed({ seed: 3, generator: "machines-mixed" });
    const again = await runSeed({ seed: 3, generator: "machines-mixed" });
    expect(again.digest).toBe(once.digest);
    expect(again.faults).toEqual(once.faults);
  }, 120_000);
});
