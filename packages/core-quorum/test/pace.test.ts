import { describe, expect, it } from "vitest";
import { TestCluster } from "./test-cluster.ts";

const NODES = [
  { id: 1, prio: 100 },
  { id: 2, prio: 99 },
  { id: 3, prio: 98 },
];

/** A fraction in [0, 1), the same every time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function settled(): TestCluster {
  const cluster = new TestCluster(NODES);
  cluster.start();
  cluster.runUntil(() => cluster.masters().length === 1, 5000);
  cluster.run(10_000);
  return cluster;
}

/** How many ballots each node sends while `ms` pass. */
function sentIn(cluster: TestCluster, ms: number): number[] {
  const before = NODES.map(({ id }) => cluster.member(id).ballots.length);
  cluster.run(ms);
  return NODES.map(({ id }, index) => cluster.member(id).ballots.length - (before[index] ?? 0));
}

describe("the pace of ballots", () => {
  it("is five a token while everybody hears everybody, and followers answer their master", () => {
    const cluster = settled();
    for (const count of sentIn(cluster, 10_000)) {
      expect(count).toBeGreaterThanOrEqual(48);
      expect(count).toBeLessThanOrEqual(51);
    }
    const [master] = cluster.masters();
    if (master === undefined) throw new Error("no master");
    const mastersAtUs = cluster
      .member(master)
      .ballots.slice(-10, -1)
      .map((ballot) => ballot.name.atUs);
    for (const { id } of NODES.filter((node) => node.id !== master)) {
      const atUs = cluster.member(id).ballots.map((ballot) => ballot.name.atUs);
      for (const sentUs of mastersAtUs) {
        expect(atUs.some((own) => own > sentUs && own <= sentUs + 3000)).toBe(true);
      }
    }
  });

  it("doubles with one loss, in whichever direction, and calms down after three tokens", () => {
    for (const direction of ["to node 3", "from node 3"] as const) {
      const cluster = settled();
      let lost = 0;
      cluster.loses = (from, to) => {
        const hit = direction === "to node 3" ? from === 1 && to === 3 : from === 3 && to === 1;
        return hit && lost++ === 0;
      };
      cluster.run(500);
      expect(lost).toBeGreaterThan(0);
      // The master: it knows from what node 3 says to have heard, or from its silence.
      expect(sentIn(cluster, 2000)[0]).toBeGreaterThanOrEqual(18);
      cluster.run(3000);
      expect(sentIn(cluster, 2000)[0]).toBeLessThanOrEqual(11);
    }
  });

  it("stays slow beside a node that is gone", () => {
    const cluster = settled();
    cluster.kill(3);
    cluster.run(6000);
    const [first, second] = sentIn(cluster, 2000);
    expect([first, second].every((count) => (count ?? 0) <= 11)).toBe(true);
  });

  it("keeps master and view through a minute of 30 % loss", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const cluster = settled();
      const view = cluster.core(1).durable.view;
      const random = dice(seed);
      cluster.loses = () => random() < 0.3;
      cluster.run(60_000);
      const over = cluster.reasons.filter(({ reason }) => reason.code === "MASTERSHIP_OVER");
      expect(over).toEqual([]);
      expect(cluster.core(1).durable.view).toEqual(view);
    }
  });
});
