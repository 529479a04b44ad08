import { describe, expect, test } from "vitest";
import { ownAbility } from "../src/election.ts";
import { buildQuorumMessage } from "../src/outgoing.ts";
import { amnesicState, isSilenceShown, judgesBySilence, stepQuorum } from "../src/index.ts";
import { makeConfig, refOf, TestCluster } from "./test-cluster.ts";

const nodes = [
  { id: 1, prio: 30 },
  { id: 2, prio: 20 },
  { id: 3, prio: 10 },
];

function settled(): TestCluster {
  const cluster = new TestCluster(nodes);
  cluster.start();
  cluster.runUntil(() => cluster.masters().length === 1, 4000);
  for (const { id } of nodes) cluster.store(id, 1, cluster.config);
  cluster.run(1500);
  return cluster;
}

/** Each of these was a hole once. */
describe("holes that were closed", () => {
  test("a member that never stored a change of votes loses its grants, so it cannot live on the old quorum", () => {
    const cluster = settled();
    const heavier = makeConfig(
      [
        { id: 1, prio: 30, votes: 3 },
        { id: 2, prio: 20 },
        { id: 3, prio: 10 },
      ],
      2,
    );
    for (const id of [1, 2]) cluster.store(id, 1, heavier);
    cluster.run(1500);
    expect(cluster.core(1).durable.jointWith).toEqual([]);
    cluster.member(1).deafTo = new Set([2, 3]);
    cluster.member(2).deafTo = new Set([1]);
    cluster.member(3).deafTo = new Set([1]);
    cluster.runUntil(() => cluster.codes(1).filter((code) => code === "NODE_FENCED").length === 2, 4000);
    expect(cluster.core(3).nodeLeaseEndUs).toBeLessThan(cluster.nowUs);
    expect(cluster.core(2).nodeLeaseEndUs).toBeLessThan(cluster.nowUs);
  });

  test("an actuator that knows nothing of the newest grant is told it at once, any other in its time", () => {
    const cluster = settled();
    const core = cluster.core(1);
    const { report } = core;
    if (report === null) throw new Error("node 1 has no report");
    const grantsAfter = (known: { term: number; generation: number }) => {
      cluster.nowUs += 1;
      const input = { kind: "report", report: { ...report, ...known, stampUs: cluster.nowUs } } as const;
      const { effects } = stepQuorum(core, { ...input, nowUs: cluster.nowUs, drainedUs: cluster.nowUs });
      return effects.filter(({ kind }) => kind === "grant").length;
    };
    const { term, generation } = core.durable;
    expect(grantsAfter({ term, generation })).toBe(0);
    expect(grantsAfter({ term, generation: generation - 1 })).toBe(1);
    expect(grantsAfter({ term: 0, generation: 0 })).toBe(1);
    expect(grantsAfter({ term, generation })).toBe(0);
  });

  test("a thawed master hands over for a silent actuator only when it has read all, and asks for that at once", () => {
    const cluster = settled();
    const core = cluster.core(1);
    const heardAtUs = core.report?.stampUs ?? 0;
    // Its peers and its lease are as fresh as ever; only the actuator's reports are not read yet.
    const nowUs = heardAtUs + 1_100_000;
    for (const peer of core.peers.values()) peer.receivedAtUs = nowUs - 1000;
    core.masterLeaseEndUs = nowUs + 900_000;
    const readUntil = (drainedUs: number) =>
      stepQuorum(core, { kind: "tick", nowUs, drainedUs }).reasons.map(({ code }) => code);
    expect(readUntil(heardAtUs + 1_000_000)).not.toContain("NO_ACTUATOR");
    expect(judgesBySilence(core, nowUs)).toBe(true);
    expect(isSilenceShown(core, heardAtUs + 1_000_000, nowUs)).toBe(true);
    expect(readUntil(nowUs)).toContain("NO_ACTUATOR");
    expect(isSilenceShown(core, nowUs, nowUs + 1)).toBe(false);
  });

  test("a master that lifts its term is master of the old term until its followers came along", () => {
    const cluster = settled();
    const { term } = cluster.core(1).durable;
    const ballot = cluster.member(2).ballots.at(-1);
    if (ballot === undefined) throw new Error("node 2 has sent nothing");
    const name = { ...ballot.name, atUs: ballot.name.atUs + 50 };
    cluster.nowUs += 1000;
    cluster.give(1, {
      kind: "heard",
      ballot: { ...ballot, name, term: term + 4, follows: 2 },
      receivedAtUs: cluster.nowUs,
    });
    expect(cluster.core(1).durable.term).toBe(term + 5);
    const said = buildQuorumMessage(cluster.core(1), cluster.nowUs);
    expect([said.role, said.term]).toEqual(["master", term]);
    cluster.run(50);
    expect(cluster.core(1).wonTerm).toBe(term + 5);
  });

  test("ballots from before a loss of state re-admit nobody", () => {
    const cluster = settled();
    const old = structuredClone(cluster.member(1).ballots.at(-1));
    cluster.kill(3);
    cluster.member(3).durable = amnesicState(cluster.config, refOf(cluster.config, 0), 3);
    cluster.start(3);
    cluster.run(1100);
    if (old === undefined) throw new Error("node 1 has sent nothing");
    cluster.kill(1);
    cluster.kill(2);
    cluster.run(1100);
    const { term } = old;
    for (const version of [1, 2]) {
      const config = makeConfig(nodes, version);
      const name = { ...old.name, atUs: cluster.nowUs };
      cluster.nowUs += 1000;
      cluster.give(3, {
        kind: "heard",
        ballot: { ...old, name, committed: refOf(config, term), stored: refOf(config, term) },
        receivedAtUs: cluster.nowUs,
      });
      cluster.give(3, { kind: "stored", ref: refOf(config, term), from: 1, config });
      cluster.run(50);
    }
    expect(cluster.core(3).durable.amnesic).toBe(true);
  });

  test("with a service that is broken everywhere the mastership makes one round and stays", () => {
    const cluster = settled();
    for (const member of cluster.members.values()) member.inability = "SERVICE_FAILED";
    const masters: number[] = [];
    for (let second = 0; second < 200; second += 1) {
      const [master] = cluster.masters();
      if (master !== undefined && masters.at(-1) !== master) masters.push(master);
      // Able for a while after taking over, then not; and able again a minute after giving it away.
      for (const { id } of nodes) cluster.member(id).able = id !== master || second % 10 < 5;
      cluster.run(1000);
    }
    expect(masters).toEqual([1, 2, 3]);
  });

  test("a master whose disk lost a configuration that it promised to have lets another lead, and leads where none can", () => {
    const cluster = settled();
    const [master = 0] = cluster.masters();
    const { config } = cluster;
    cluster.core(master).durable.stored = { ...cluster.core(master).durable.stored, version: 5 };
    cluster.give(master, { kind: "stored", ref: { ...refOf(config, 0), version: 0 }, from: null, config });
    expect(ownAbility(cluster.core(master), cluster.nowUs).code).toBe("REGISTER_BEHIND");
    cluster.runUntil(() => cluster.masters().length === 1 && cluster.masters()[0] !== master, 3000);
    const alone = settled();
    const [only = 0] = alone.masters();
    for (const member of alone.members.values()) member.able = member.id === only;
    alone.run(1000);
    alone.core(only).durable.stored = { ...alone.core(only).durable.stored, version: 5 };
    alone.give(only, { kind: "stored", ref: { ...refOf(config, 0), version: 0 }, from: null, config });
    alone.run(5000);
    expect(alone.masters()).toEqual([only]);
  });

  test("a master that cannot hold the address does not keep it from an able node for ever", () => {
    const cluster = settled();
    for (const master of [1, 2, 3]) {
      cluster.runUntil(() => cluster.masters()[0] === master, 3000);
      cluster.member(master).able = false;
      if (master === 3) cluster.member(1).able = true;
    }
    cluster.run(10_000);
    expect(cluster.masters()).toEqual([3]);
    cluster.runUntil(() => cluster.masters()[0] === 1, 25_000);
  });

  test("three who need each other and each promised the next to help it do not go on asking for ever", () => {
    // Four votes, three nodes: the simulator's lost datagrams brought the circle about.
    const cluster = new TestCluster([...nodes, { id: 4, prio: 0 }]);
    cluster.start(1, 2, 3);
    const helped = new Map([
      [1, 3],
      [2, 1],
      [3, 2],
    ]);
    for (const helper of helped.keys()) cluster.core(helper).standNotBeforeUs = Number.POSITIVE_INFINITY;
    cluster.run(1500);
    for (const [helper, asker] of helped) {
      const core = cluster.core(helper);
      core.standNotBeforeUs = 0;
      core.eligibleSinceUs = cluster.nowUs - 5_000_000;
      core.preVote = { term: 1, sinceUs: cluster.nowUs };
      core.preVoteFor = { node: asker, term: 1 };
    }
    const untilUs = cluster.nowUs + 10_000;
    cluster.loses = (from, to) => cluster.nowUs < untilUs && helped.get(to) !== from;
    for (const helper of helped.keys()) cluster.give(helper, { kind: "tick" });
    cluster.run(20);
    for (const [helper, asker] of helped) {
      expect(cluster.core(helper).preVoteFor?.node, `whom node ${helper} helps`).toBe(asker);
      expect(cluster.core(helper).preVote, `node ${helper} asks`).not.toBeNull();
    }
    cluster.runUntil(() => cluster.masters().length === 1, 2000);
  });

  test("a node that was away while the list changed follows a master whom its own list does not name", () => {
    // Found by the simulator: added while a node was cut off, and master by the time it came back.
    const cluster = settled();
    const config = makeConfig([...nodes, { id: 4, prio: 40 }], 2);
    const { ballots } = cluster.member(1);
    const said = ballots.at(-1);
    if (said === undefined) throw new Error("node 1 has said nothing");
    cluster.kill(1);
    cluster.kill(3);
    cluster.run(2500);
    const stored = refOf(config, 9);
    const ballot = {
      ...said,
      node: 4,
      name: { bootId: "4".padStart(16, "0"), atUs: 1 },
      term: 9,
      follows: 4,
      stored,
    };
    const heard = (more: Partial<typeof said>) =>
      cluster.give(2, { kind: "heard", ballot: { ...ballot, ...more }, receivedAtUs: cluster.nowUs });
    heard({ master: false });
    expect(cluster.core(2).durable.follows).toBe(1);
    heard({ name: { ...ballot.name, atUs: 2 } });
    expect(cluster.core(2).durable).toMatchObject({ term: 9, follows: 4 });
    cluster.give(2, { kind: "stored", ref: stored, from: 4, config });
    expect(cluster.core(2).durable.stored).toEqual(stored);
    expect(cluster.core(2).durable.voters.nodes.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
  });

  test("a node that is told to stop while it stands does not stay master", () => {
    const cluster = settled();
    cluster.kill(1);
    cluster.runUntil(() => cluster.core(2).candidacy !== null, 1300);
    cluster.give(2, { kind: "drain" });
    cluster.run(1500);
    expect(cluster.masters()).not.toContain(2);
  });

  test("a raised prio is remembered over a restart of the evaluator", () => {
    const cluster = settled();
    cluster.member(2).able = false;
    cluster.run(200);
    const raised = makeConfig(
      [
        { id: 1, prio: 30 },
        { id: 2, prio: 90 },
        { id: 3, prio: 10 },
      ],
      2,
    );
    for (const { id } of nodes) cluster.store(id, 1, raised);
    cluster.run(300);
    cluster.kill(1);
    cluster.run(200);
    cluster.start(1);
    cluster.run(500);
    expect(cluster.masters()).toEqual([1]);
    cluster.member(2).able = true;
    cluster.runUntil(() => cluster.masters()[0] === 2, 1000);
  });

  test("a kernel that stood still for longer than the lease and a token ends the mastership", () => {
    const cluster = settled();
    cluster.give(1, { kind: "suspended-host", jumpUs: 10_000_000 });
    expect(cluster.core(1).wonTerm).toBeNull();
    expect(cluster.core(1).durable.overTerm).toBe(cluster.core(1).durable.term);
  });

  test("a count of generations that was lost is brought above what the actuator has seen", () => {
    const cluster = settled();
    const { term, generation } = cluster.core(2).durable;
    const report = cluster.core(2).report;
    if (report === null) throw new Error("no report");
    cluster.give(2, {
      kind: "report",
      report: { ...report, stampUs: cluster.nowUs, term, generation: generation + 7 },
    });
    expect(cluster.core(2).durable.generation).toBe(generation + 8);
  });
});
