import { describe, expect, test } from "vitest";
import { buildQuorumMessage } from "../src/outgoing.ts";
import { makeConfig, TestCluster } from "./test-cluster.ts";

const three = [
  { id: 2, prio: 99 },
  { id: 4, prio: 100 },
  { id: 8, prio: 98 },
];

function settled(): TestCluster {
  const cluster = new TestCluster(three);
  cluster.start();
  cluster.runUntil(() => cluster.masters()[0] === 4, 4000);
  for (const { id } of three) cluster.store(id, 4, cluster.config);
  cluster.run(1500);
  return cluster;
}

function why(cluster: TestCluster, id: number): string {
  return buildQuorumMessage(cluster.core(id), cluster.nowUs).reason.message;
}

describe("a node says why it does nothing", () => {
  test("a master whose lease ran out does not wait for itself", () => {
    const cluster = settled();
    cluster.kill(2);
    cluster.kill(8);
    cluster.runUntil(() => cluster.masters().length === 0, 1500);
    expect(why(cluster, 4)).toBe("The master lease of term 1 ran out: no quorum acknowledges this master.");
  });

  test("suspended: that it has no lease, and what keeps it from standing", () => {
    const cluster = settled();
    cluster.kill(2);
    cluster.kill(4);
    cluster.run(2500);
    expect(why(cluster, 8)).toBe(
      "No quorum has granted this node a lease lately. " +
        "Votes joined: 1, needed: 2; a node that lost its state has none.",
    );
  });

  test("in the view without a master: that automation is off", () => {
    const cluster = settled();
    expect(why(cluster, 2)).toBe("In the view; follows node 4.");
    for (const id of [2, 8])
      cluster.give(id, { kind: "disarmed", disarmed: true, until: "2030-01-01T00:00:00Z" });
    cluster.kill(4);
    cluster.run(2500);
    expect(why(cluster, 2)).toBe(
      "In the view, without a master. Automation is off: only the last master, or whom it names, may lead.",
    );
  });

  test("an ordered close gives the order's reason", () => {
    const cluster = settled();
    expect(cluster.give(4, { kind: "move", target: 8 })).toBeNull();
    expect(cluster.core(4).closing).not.toBeNull();
    expect(why(cluster, 4)).toContain("node 8");
  });
});

test("what a version changes is said as it is: the token is no vote", () => {
  const cluster = settled();
  cluster.store(4, 4, { ...makeConfig(three), configVersion: 2, tokenMs: 900 });
  const said = cluster.reasons.findLast(({ reason }) => reason.code === "CONFIG_STORED");
  expect(said?.reason.message).toContain("it changes the token, so the old quorum counts too");
});
