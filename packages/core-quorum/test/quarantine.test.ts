import type { PeerState, QuorumMessage } from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import { buildQuorumMessage } from "../src/outgoing.ts";
import { TestCluster } from "./test-cluster.ts";

const NODES = [
  { id: 2, prio: 99 },
  { id: 4, prio: 100 },
  { id: 8, prio: 98 },
];

function settled(): TestCluster {
  const cluster = new TestCluster(NODES);
  cluster.start();
  cluster.runUntil(() => cluster.masters()[0] === 4, 5000);
  cluster.run(3000);
  return cluster;
}

function judgement(cluster: TestCluster): QuorumMessage {
  return buildQuorumMessage(cluster.core(4), cluster.nowUs);
}

const isIn = (cluster: TestCluster) => cluster.core(4).durable.view.members.length === 3;

describe("quarantine", () => {
  it("doubles for a flapping node up to 32 tokens, and says until when", () => {
    const cluster = settled();
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      cluster.kill(8);
      cluster.runUntil(() => !isIn(cluster), 2000);
      const [away] = judgement(cluster).quarantines ?? [];
      expect(away?.node).toBe(8);
      expect(away?.removals).toBe(round + 1);
      cluster.start(8);
      cluster.run(200);
      const [waiting] = judgement(cluster).quarantines ?? [];
      const untilUs = waiting?.untilUs ?? 0;
      waits.push(Math.round((waiting?.waitUs ?? 0) / 1_000_000));
      cluster.runUntil(() => isIn(cluster), 40_000);
      // Said beforehand, and kept to within what a report and a ballot take.
      expect(Math.abs(cluster.nowUs - untilUs)).toBeLessThan(300_000);
      expect(judgement(cluster).quarantines).toEqual([]);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 32, 32]);
  });

  it("is forgiven after 60 tokens without a removal", () => {
    const cluster = settled();
    for (const after of [1000, 61_000, 1000]) {
      cluster.kill(8);
      cluster.runUntil(() => !isIn(cluster), 2000);
      cluster.start(8);
      cluster.runUntil(() => isIn(cluster), 5000);
      cluster.run(after);
    }
    expect(cluster.core(4).flaps.get(8)?.count).toBe(1);
  });

  it("and removal: a master whose own loop was late waits for as long as its patience says", () => {
    for (const patience of [1, 2.5]) {
      const cluster = settled();
      cluster.kill(8);
      const tellPatience = (): void => {
        const peers = [...cluster.core(4).peerStates].map(([node, { sinceUs }]) => {
          const state: PeerState = node === 8 ? "failed" : "joined";
          return { node, state, sinceUs };
        });
        cluster.give(4, { kind: "peers", stampUs: cluster.nowUs, peers, patience });
      };
      let tookMs = 0;
      for (; isIn(cluster) && tookMs < 5000; tookMs += 10) {
        tellPatience();
        cluster.run(10);
      }
      expect(tookMs).toBeGreaterThanOrEqual(patience * 1000 - 210);
      expect(tookMs).toBeLessThan(patience * 1000 + 100);
    }
  });
});
