import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isQuorum, quorumValue } from "../src/index.ts";

const votersArbitrary = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 7 })
  .filter((votes) => votes.some((vote) => vote > 0))
  .map((votes) => ({
    tokenMs: 1000,
    totalVotes: votes.reduce((sum, vote) => sum + vote, 0),
    nodes: votes.map((vote, index) => ({ id: index + 1, prio: 1, votes: vote })),
  }));

describe("quorum", () => {
  test("any two quorums of one configuration share a voter", () => {
    fc.assert(
      fc.property(votersArbitrary, fc.nat(127), fc.nat(127), (voters, left, right) => {
        const inLeft = (id: number) => (left & (1 << (id - 1))) !== 0;
        const inRight = (id: number) => (right & (1 << (id - 1))) !== 0;
        if (!isQuorum([voters], inLeft) || !isQuorum([voters], inRight)) return;
        expect(voters.nodes.some(({ id, votes }) => votes > 0 && inLeft(id) && inRight(id))).toBe(true);
      }),
    );
  });

  test("quorumValue is the latest instant that a quorum has reached", () => {
    fc.assert(
      fc.property(
        votersArbitrary,
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 7, maxLength: 7 }),
        (voters, values) => {
          const valueOf = (id: number) => values[id - 1] ?? 0;
          const result = quorumValue([voters], valueOf);
          const best = Math.max(
            ...[...Array(10).keys()].filter((limit) => isQuorum([voters], (id) => valueOf(id) >= limit)),
            Number.NEGATIVE_INFINITY,
          );
          expect(result).toBe(best);
        },
      ),
    );
  });

  test("while a change is in flight both quorums count", () => {
    const before = {
      tokenMs: 1000,
      totalVotes: 3,
      nodes: [1, 2, 3].map((id) => ({ id, prio: 1, votes: 1 })),
    };
    const after = {
      tokenMs: 1000,
      totalVotes: 5,
      nodes: [1, 2, 3, 4, 5].map((id) => ({ id, prio: 1, votes: 1 })),
    };
    expect(isQuorum([after, before], (id) => [3, 4, 5].includes(id))).toBe(false);
    expect(isQuorum([after, before], (id) => [1, 2, 5].includes(id))).toBe(true);
    expect(quorumValue([after, before], (id) => ([3, 4, 5].includes(id) ? 9 : 2))).toBe(2);
  });
});
