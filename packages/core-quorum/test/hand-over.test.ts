import { describe, expect, it } from "vitest";
import { makeConfig, TestCluster } from "./test-cluster.ts";

const NODES = [
  { id: 2, prio: 99 },
  { id: 4, prio: 100 },
  { id: 8, prio: 98 },
];

function settled(): TestCluster {
  const cluster = new TestCluster(NODES);
  cluster.start();
  cluster.runUntil(() => cluster.masters()[0] === 4, 5000);
  cluster.run(5000);
  return cluster;
}

/** Orders the move to node 8 and tells how long it takes until that one leads. */
function move(cluster: TestCluster, limitMs = 5000): number {
  expect(cluster.give(4, { kind: "move", target: 8 })).toBeNull();
  return cluster.runUntil(() => cluster.masters()[0] === 8, limitMs);
}

describe("a hand-over", () => {
  it("survives the loss of any one ballot without waiting for anything", () => {
    for (let lost = 0; lost < 40; lost += 1) {
      const cluster = settled();
      let count = 0;
      cluster.loses = () => count++ === lost;
      expect({ lost, late: move(cluster) > 100 }).toEqual({ lost, late: false });
    }
  });

  it("does not wait when a voter hears the successor's request before the release", () => {
    const cluster = settled();
    // Node 4 gives up and is gone: the vote must come from node 2, which hears the release last.
    cluster.loses = (from, to) => from === 4 && to === 2;
    expect(cluster.give(4, { kind: "move", target: 8 })).toBeNull();
    cluster.runUntil(() => cluster.codes(8).includes("STANDING"), 200);
    const release = cluster.member(4).ballots.at(-1);
    cluster.kill(4);
    cluster.run(20);
    expect(cluster.masters()).toEqual([]);
    if (release === undefined) throw new Error("nothing sent");
    cluster.give(2, { kind: "heard", ballot: release, receivedAtUs: cluster.nowUs });
    expect(cluster.codes(2).at(-1)).toBe("VOTED");
    expect(cluster.runUntil(() => cluster.masters()[0] === 8, 100)).toBeLessThanOrEqual(5);
  });

  it("bears a disk that takes longer to take the vote than a candidacy lasts", () => {
    const cluster = settled();
    cluster.member(8).diskMs = 350;
    // Two writes: to stand, and to have won.
    expect(move(cluster)).toBeLessThan(900);
    expect(cluster.codes(8)).not.toContain("ELECTION_LOST");
  });

  it("is refused while the successor has the document under an earlier term only", () => {
    const cluster = settled();
    const next = makeConfig(NODES, 2);
    for (const id of [2, 4, 8]) cluster.store(id, 4, next);
    cluster.run(500);
    const behind = cluster.core(8).durable.stored;
    const core = cluster.core(4);
    core.durable = { ...core.durable, stored: { ...behind, term: behind.term + 1 } };
    core.register = core.durable.stored;
    expect(cluster.give(4, { kind: "move", target: 8 })?.code).toBe("UNSAFE");
  });
});
