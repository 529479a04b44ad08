import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sameRef } from "../src/index.ts";
import { configFrom } from "./model-document.ts";
import { ModelCluster } from "./model-cluster.ts";

const faults = fc.record({
  loss: fc.constantFrom(0.02, 0.1, 0.3),
  crash: fc.constantFrom(0, 0.005, 0.03),
  diskFailure: fc.constantFrom(0, 0.1, 0.4),
  election: fc.constantFrom(0.001, 0.004, 0.02),
});

describe("the register under random schedules", () => {
  it("loses and forks nothing that was committed (INV-5), and converges when the faults end", () => {
    let commits = 0;
    let taken = 0;
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(2, 3, 5), faults, (seed, size, rates) => {
        const cluster = new ModelCluster(seed, size, rates);
        for (let count = 0; count < 1500; count++) cluster.step();
        commits += cluster.committedEver.length;
        taken += [...cluster.answers.values()].filter((answer) => answer.ok).length;
        cluster.settle(60);
        const won = cluster.nodes.find((node) => cluster.elect(node));
        expect(won, "somebody has a register as new as a quorum's").toBeDefined();
        cluster.settle(60);
        // Everybody is up to date now, so anybody can win, and its mastership sticks.
        const master = cluster.nodes.find((node) => node !== won && cluster.elect(node));
        expect(master).toBeDefined();
        cluster.settle(60);
        for (const node of cluster.nodes) {
          expect(sameRef(node.evaluator.stored, node.register.stored.ref)).toBe(true);
          expect(node.register.stored.ref).toEqual(master?.register.stored.ref);
          expect(node.evaluator.committed).toEqual(master?.register.stored.ref);
          expect(node.disk.ref).toEqual(node.register.stored.ref);
          expect(node.register.proposals).toEqual([]);
        }
        const nodes = configFrom(master?.disk.text ?? "").nodes;
        const first = nodes.sort((left, right) => right.prio - left.prio || left.id - right.id)[0];
        expect(first?.id, "mastership sticks").toBe(master?.id);
      }),
      { numRuns: 300 },
    );
    // The runs did something worth checking.
    expect(commits).toBeGreaterThan(300);
    expect(taken).toBeGreaterThan(10);
  });
});
