import { describe, expect, test } from "vitest";
import { QuorumWorld } from "../src/index.ts";

const base = { nodes: 3, tokenMs: 1000, faultUs: 40_000_000, healUs: 30_000_000, faultEveryUs: 1_500_000 };

describe("the quorum cores together under random schedules", () => {
  for (const nodes of [3, 4, 5]) {
    test(`${nodes} nodes: no invariant breaks, and they converge once the faults are over`, () => {
      for (let seed = 1; seed <= 12; seed += 1) {
        const world = new QuorumWorld({ ...base, nodes, seed });
        world.run();
        expect(world.violations, `seed ${seed}: ${world.trace.slice(-30).join("\n")}`).toEqual([]);
        expect(world.elections).toBeGreaterThan(0);
      }
    });
  }

  test("a seed gives the same run again", () => {
    const runs = [1, 2].map(() => {
      const world = new QuorumWorld({ ...base, seed: 7 });
      world.run();
      return world.trace;
    });
    expect(runs[0]).toEqual(runs[1]);
  });
});
