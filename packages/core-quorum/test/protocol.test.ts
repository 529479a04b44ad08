import { describe, expect, test } from "vitest";
import { amnesicState } from "../src/index.ts";
import { makeConfig, refOf, TestCluster } from "./test-cluster.ts";

const three = [
  { id: 2, prio: 99 },
  { id: 4, prio: 100 },
  { id: 8, prio: 98 },
];

/** Started, with a master, everybody in the view under its present boot, the newest document committed. */
function settled(nodes: ConstructorParameters<typeof TestCluster>[0] = three): {
  cluster: TestCluster;
  master: number;
} {
  const cluster = new TestCluster(nodes);
  cluster.start();
  cluster.runUntil(() => cluster.masters().length === 1, 4000);
  const [master = 0] = cluster.masters();
  for (const { id } of nodes) cluster.store(id, master, cluster.config);
  cluster.run(1500);
  expect(cluster.core(master).committed?.version).toBe(1);
  return { cluster, master };
}

describe("election", () => {
  test("the highest prio becomes master of a fresh cluster", () => {
    expect(settled().master).toBe(4);
  });

  test("equal prios: the lowest id leads", () => {
    expect(
      settled([
        { id: 9, prio: 5 },
        { id: 3, prio: 5 },
        { id: 7, prio: 5 },
      ]).master,
    ).toBe(3);
  });

  test("when the master dies the next by prio follows within 1.3 tokens, and not before the promise is over", () => {
    const { cluster } = settled();
    cluster.kill(4);
    const tookMs = cluster.runUntil(() => cluster.masters()[0] === 2, 1300);
    expect(tookMs).toBeGreaterThan(900);
    expect(cluster.core(2).durable.term).toBe(cluster.core(8).durable.term);
  });

  test("rank is a delay, never a condition: an unable heir is passed over", () => {
    const { cluster } = settled();
    cluster.member(2).able = false;
    cluster.run(200);
    cluster.kill(4);
    cluster.runUntil(() => cluster.masters()[0] === 8, 1500);
  });

  test("rivals do not help each other into a split vote: the higher rank goes first, but only for one turn", () => {
    const { cluster } = settled();
    cluster.kill(4);
    cluster.runUntil(() => cluster.core(2).eligibleSinceUs !== null, 1400);
    const asking = cluster.member(8).ballots.at(-1);
    if (asking === undefined) throw new Error("node 8 has sent nothing");
    const answerAfter = (microseconds: number) => {
      cluster.nowUs += 1;
      const name = { ...asking.name, atUs: cluster.nowUs };
      const preVote = { term: cluster.core(2).durable.term + 1 };
      cluster.core(2).eligibleSinceUs = cluster.nowUs - microseconds;
      cluster.give(2, { kind: "heard", ballot: { ...asking, name, preVote }, receivedAtUs: cluster.nowUs });
      return cluster.core(2).preVoteFor?.node ?? null;
    };
    expect(answerAfter(0)).toBeNull();
    expect(answerAfter(299_000)).toBeNull();
    expect(answerAfter(301_000)).toBe(8);
  });

  test("prio 0 votes but never leads", () => {
    const { cluster } = settled([
      { id: 1, prio: 10 },
      { id: 2, prio: 0 },
      { id: 3, prio: 0 },
    ]);
    cluster.kill(1);
    cluster.run(5000);
    expect(cluster.masters()).toEqual([]);
    cluster.start(1);
    cluster.runUntil(() => cluster.masters()[0] === 1, 4000);
  });

  test("a minority stays without a master and is suspended", () => {
    const { cluster } = settled();
    cluster.kill(2);
    cluster.kill(8);
    cluster.run(3000);
    expect(cluster.masters()).toEqual([]);
    expect(cluster.core(4).nodeLeaseEndUs).toBeLessThan(cluster.nowUs);
  });

  test("a node with an older configuration does not become master", () => {
    const { cluster } = settled();
    const newer = makeConfig(
      [
        { id: 2, prio: 99 },
        { id: 4, prio: 100 },
        { id: 8, prio: 97 },
      ],
      2,
    );
    cluster.store(4, 4, newer);
    cluster.store(8, 4, newer);
    cluster.run(300);
    cluster.kill(4);
    cluster.runUntil(() => cluster.masters()[0] === 8, 2500);
  });
});

describe("restarts", () => {
  test("an evaluator that is back within a token keeps its term and its lease", () => {
    const { cluster } = settled();
    const { term } = cluster.core(4).durable;
    const leaseUs = cluster.core(4).masterLeaseEndUs;
    cluster.kill(4);
    cluster.run(300);
    cluster.start(4);
    cluster.runUntil(() => cluster.masters()[0] === 4, 300);
    expect(cluster.nowUs).toBeLessThan(leaseUs);
    cluster.run(3000);
    expect(cluster.masters()).toEqual([4]);
    expect(cluster.core(4).durable.term).toBe(term);
    expect(cluster.codes(4)).toContain("RESUMED");
  });

  test("one whose lease lapsed for a token meanwhile does not come back in the same term", () => {
    const { cluster } = settled();
    const { term } = cluster.core(4).durable;
    // Nobody may stand, so that the term would be free to come back.
    cluster.member(2).able = false;
    cluster.member(8).able = false;
    cluster.run(200);
    cluster.kill(4);
    cluster.run(2600);
    cluster.start(4);
    cluster.runUntil(() => cluster.masters()[0] === 4, 4000);
    expect(cluster.core(4).durable.term).toBeGreaterThan(term);
  });

  test("a restarted voter keeps its promise anew", () => {
    const { cluster } = settled();
    cluster.kill(4);
    cluster.run(900);
    cluster.kill(8);
    cluster.start(8);
    const tookMs = cluster.runUntil(() => cluster.masters()[0] === 2, 2000);
    expect(tookMs).toBeGreaterThan(1000);
  });

  test("after a reboot a node is silent for T(1 + rho) and master of no earlier term", () => {
    const { cluster } = settled();
    const { term } = cluster.core(4).durable;
    cluster.reboot(4);
    cluster.start(4);
    const sent = cluster.member(4).ballots.length;
    cluster.run(1000);
    expect(cluster.member(4).ballots.length).toBe(sent);
    cluster.runUntil(() => cluster.masters().length === 1 && !cluster.core(4).durable.out, 6000);
    expect(cluster.core(4).durable.overTerm).toBeGreaterThanOrEqual(term);
  });
});

describe("views and fences", () => {
  test("a dead node is removed, fenced one token after its last grant, and let in again clean", () => {
    const { cluster } = settled();
    const diedUs = cluster.nowUs;
    cluster.kill(8);
    cluster.runUntil(() => cluster.codes(4).includes("NODE_FENCED"), 1400);
    expect(cluster.nowUs - diedUs).toBeGreaterThan(900_000);
    expect(cluster.core(2).durable.view.members.map(({ node }) => node)).toEqual([2, 4]);
    cluster.start(8);
    cluster.runUntil(() => cluster.core(4).durable.view.members.length === 3, 2500);
    cluster.runUntil(() => !cluster.core(8).durable.out, 100);
  });

  test("a node that hears nobody is out for the others and suspends itself", () => {
    const { cluster } = settled();
    cluster.member(8).deafTo = new Set([2, 4]);
    cluster.runUntil(() => cluster.core(8).nodeLeaseEndUs < cluster.nowUs, 1200);
    cluster.runUntil(() => cluster.core(4).durable.view.members.length === 2, 1500);
    expect(cluster.masters()).toEqual([4]);
  });

  test("a second return soon after waits twice as long", () => {
    const { cluster } = settled();
    const returns: number[] = [];
    for (let round = 0; round < 2; round += 1) {
      cluster.kill(8);
      cluster.runUntil(() => cluster.core(4).durable.view.members.length === 2, 2000);
      cluster.start(8);
      returns.push(cluster.runUntil(() => cluster.core(4).durable.view.members.length === 3, 5000));
    }
    expect(returns[1]).toBeGreaterThan((returns[0] ?? 0) + 800);
  });
});

describe("hand-over", () => {
  test("an ordered move takes a few round trips, and only after the gate was confirmed shut", () => {
    const { cluster } = settled();
    expect(cluster.give(4, { kind: "move", target: 8 })).toBeNull();
    expect(cluster.masters()).toEqual([]);
    const tookMs = cluster.runUntil(() => cluster.masters()[0] === 8, 200);
    expect(tookMs).toBeLessThan(70);
    expect(cluster.codes(4)).toContain("RELEASED");
  });

  test("a move to a node that cannot serve is refused with the reason", () => {
    const { cluster } = settled();
    cluster.member(8).able = false;
    cluster.run(200);
    expect(cluster.give(4, { kind: "move", target: 8 })?.code).toBe("UNSAFE");
    expect(cluster.give(4, { kind: "move", target: 5 })?.code).toBe("NODE_UNKNOWN");
    expect(cluster.give(2, { kind: "move", target: 8 })?.code).toBe("NOT_MASTER");
    expect(cluster.masters()).toEqual([4]);
  });

  test("a master that cannot serve hands over, once to each, never in a circle", () => {
    const { cluster } = settled();
    cluster.member(4).able = false;
    cluster.runUntil(() => cluster.masters()[0] === 2, 400);
    cluster.run(2500);
    cluster.member(2).able = false;
    cluster.runUntil(() => cluster.masters()[0] === 8, 400);
    cluster.run(2500);
    cluster.member(8).able = false;
    cluster.run(3000);
    expect(cluster.masters()).toEqual([8]);
  });

  test("a prio raised by an operator moves the mastership; the master's own first commit does not", () => {
    const { cluster } = settled();
    const raised = makeConfig(
      [
        { id: 2, prio: 200 },
        { id: 4, prio: 100 },
        { id: 8, prio: 98 },
      ],
      2,
    );
    for (const id of [2, 4, 8]) cluster.store(id, 4, raised);
    cluster.runUntil(() => cluster.masters()[0] === 2, 400);
  });

  test("a drained master gives the mastership away, then leaves the view", () => {
    const { cluster } = settled();
    cluster.give(4, { kind: "drain" });
    cluster.runUntil(() => cluster.masters()[0] === 2, 300);
    cluster.runUntil(() => cluster.core(4).durable.out, 500);
  });

  test("disarmed, nobody takes a dead master's place; armed again, somebody does", () => {
    const { cluster } = settled();
    for (const id of [2, 8])
      cluster.give(id, { kind: "disarmed", disarmed: true, until: "2030-01-01T00:00:00Z" });
    cluster.kill(4);
    cluster.run(4000);
    expect(cluster.masters()).toEqual([]);
    for (const id of [2, 8]) cluster.give(id, { kind: "disarmed", disarmed: false, until: null });
    cluster.runUntil(() => cluster.masters()[0] === 2, 500);
  });
});

describe("disarmed", () => {
  test("an ordered move still works: its successor is named", () => {
    const { cluster } = settled();
    for (const id of [2, 4, 8])
      cluster.give(id, { kind: "disarmed", disarmed: true, until: "2030-01-01T00:00:00Z" });
    expect(cluster.give(4, { kind: "move", target: 8 })).toBeNull();
    cluster.runUntil(() => cluster.masters()[0] === 8, 200);
  });
});

describe("amnesia", () => {
  test("a node that lost its state has no vote until a later version is committed without it", () => {
    const { cluster } = settled();
    cluster.kill(8);
    cluster.run(2000);
    cluster.member(8).durable = amnesicState(cluster.config, refOf(cluster.config, 0), 8);
    cluster.start(8);
    cluster.run(2500);
    expect(cluster.core(8).durable.amnesic).toBe(true);
    // Without the amnesic node's vote the other one alone is no quorum.
    cluster.kill(4);
    cluster.run(3000);
    expect(cluster.masters()).toEqual([]);
    cluster.start(4);
    cluster.runUntil(() => cluster.masters().length === 1, 6000);
    const [master = 0] = cluster.masters();
    for (const id of [2, 4, 8]) cluster.store(id, master, cluster.config);
    cluster.run(500);
    const bumped = makeConfig(three, 2);
    for (const id of [2, 4, 8]) cluster.store(id, master, bumped);
    cluster.runUntil(() => !cluster.core(8).durable.amnesic, 500);
    cluster.runUntil(() => cluster.core(master).durable.view.members.length === 3, 6000);
  });
});

describe("changes of the votes", () => {
  test("the old quorum counts too until the change is committed and T(1 + rho) passed", () => {
    const { cluster } = settled();
    const heavier = makeConfig(
      [
        { id: 2, prio: 99 },
        { id: 4, prio: 100, votes: 3 },
        { id: 8, prio: 98 },
      ],
      2,
    );
    cluster.store(4, 4, heavier);
    expect(cluster.core(4).durable.jointWith).toHaveLength(1);
    cluster.run(500);
    expect(cluster.core(4).committed?.version).toBe(1);
    cluster.store(2, 4, heavier);
    cluster.runUntil(() => cluster.core(4).committed?.version === 2, 300);
    expect(cluster.core(4).durable.jointWith).toHaveLength(1);
    cluster.run(1100);
    expect(cluster.core(4).durable.jointWith).toHaveLength(0);
  });
});

describe("ballots", () => {
  test("a ballot heard twice, or out of order, acknowledges nothing", () => {
    const { cluster } = settled();
    const { ballots } = cluster.member(4);
    const [old] = ballots.slice(-5);
    const before = cluster.core(2).promiseUntilUs;
    if (old !== undefined) cluster.give(2, { kind: "heard", ballot: old, receivedAtUs: cluster.nowUs });
    expect(cluster.core(2).promiseUntilUs).toBe(before);
  });

  test("what must not be forgotten is persisted before anything is sent", () => {
    const { cluster } = settled();
    cluster.kill(4);
    cluster.runUntil(() => cluster.masters()[0] === 2, 1300);
    const vote = cluster
      .member(8)
      .ballots.find(({ follows, term }) => follows === 2 && term === cluster.core(2).durable.term);
    expect(vote).toBeDefined();
    expect(cluster.member(8).durable.term).toBe(vote?.term);
  });

  test("a host that was suspended holds no lease until new acknowledgements", () => {
    const { cluster } = settled();
    cluster.give(4, { kind: "suspended-host", jumpUs: 100_000 });
    expect(cluster.masters()).toEqual([]);
    cluster.runUntil(() => cluster.masters()[0] === 4, 300);
  });
});
