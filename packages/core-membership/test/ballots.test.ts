import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stepMembership } from "../src/index.ts";
import { ballotOf, T, TICK, World } from "./world.ts";

describe("ballots out", () => {
  it("leave at once in a heartbeat, each one once", () => {
    const world = new World([1, 2]);
    world.run(T);
    const ballot = ballotOf(1, world.nowUs);
    world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot });
    world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot });
    const heard = world.effectsOf(2, "publish-heard");
    expect(heard.map((effect) => effect.message.ballot)).toEqual([ballot]);
    expect(heard[0]?.message.receivedAtUs).toBe(world.nowUs);
    expect(world.host(1).state.counters.ballots_repeated).toBe(1);
    world.run(T);
    expect(world.effectsOf(2, "publish-heard").length).toBe(1);
    expect(world.wire.filter((sent) => sent.heartbeat.ballot !== null).length).toBe(1);
  });

  it("clock the heartbeats: ten a token, all with a ballot", () => {
    const world = new World([1, 2], [0], true);
    world.run(3 * T);
    const from = world.wire.length;
    world.run(10 * T);
    const sent = world.wire.slice(from).filter((candidate) => candidate.from === 1);
    expect(sent.length).toBe(100);
    expect(sent.every((candidate) => candidate.heartbeat.ballot !== null)).toBe(true);
  });

  it("missing, heartbeats go on by our own clock without one", () => {
    const world = new World([1, 2]);
    world.run(3 * T);
    const from = world.wire.length;
    world.run(10 * T);
    const sent = world.wire.slice(from).filter((candidate) => candidate.from === 1);
    expect(sent.length).toBeGreaterThanOrEqual(99);
    expect(sent.length).toBeLessThanOrEqual(105);
  });

  it("older than T/5, of another node or another boot are dropped and counted", () => {
    const world = new World([1, 2]);
    world.run(T);
    const ballot = ballotOf(1, world.nowUs);
    world.input(1, { kind: "ballot", stampUs: world.nowUs - T / 5 - 1, ballot });
    world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot: ballotOf(2, world.nowUs) });
    const otherBoot = { ...ballot, name: { ...ballot.name, bootId: "f".repeat(16) } };
    world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot: otherBoot });
    const { counters } = world.host(1).state;
    expect([counters.ballots_dropped_stale, counters.ballots_refused]).toEqual([1, 2]);
    expect(world.effectsOf(2, "publish-heard")).toEqual([]);
  });

  it("cannot make us flood the network, and the newest is not lost", () => {
    const world = new World([1, 2]);
    world.run(T);
    const from = world.wire.length;
    for (let count = 1; count <= 200; count += 1) {
      const ballot = ballotOf(1, world.nowUs + count);
      world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot });
    }
    expect(world.wire.length - from).toBeLessThanOrEqual(10);
    const lastAtUs = world.nowUs + 200;
    world.run(2 * TICK);
    expect(world.effectsOf(2, "publish-heard").at(-1)?.message.ballot.name.atUs).toBe(lastAtUs);
  });

  it("carry what the evaluator has stored as the hint, kept when ballots cease", () => {
    const world = new World([1, 2]);
    const stored = { term: 3, version: 7, digest: "b".repeat(64) };
    world.input(1, { kind: "ballot", stampUs: world.nowUs, ballot: ballotOf(1, world.nowUs, { stored }) });
    world.run(T);
    expect(world.lastPeers(2).peers[0]?.config).toEqual(stored);
    expect(world.wire.at(-1)?.heartbeat.config ?? world.wire.at(-2)?.heartbeat.config).toEqual(stored);
  });
});

describe("ballots in", () => {
  it("are passed on once, over two rings, doubled and reordered", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 60 }), (order) => {
        const world = new World([1, 2], [0, 1]);
        world.run(T);
        const before = world.wire.length;
        world.cut(1, 2, 0);
        world.cut(1, 2, 1);
        for (let count = 0; count < 8; count += 1) {
          world.run(TICK);
          world.input(1, {
            kind: "ballot",
            stampUs: world.nowUs,
            ballot: ballotOf(1, world.nowUs),
          });
        }
        const sent = world.wire.slice(before).filter((candidate) => candidate.from === 1);
        for (const pick of order) {
          const datagram = sent[pick % sent.length];
          if (datagram !== undefined) world.deliver(2, datagram);
        }
        const names = world.effectsOf(2, "publish-heard").map((effect) => effect.message.ballot.name.atUs);
        expect(names).toEqual([...new Set(names)].sort((left, right) => left - right));
      }),
      { numRuns: 50 },
    );
  });

  it("of another node or boot than the heartbeat's are refused", () => {
    const world = new World([1, 2, 3]);
    world.run(T);
    const sample = world.wire.filter((sent) => sent.from === 2).at(-1);
    if (sample === undefined) throw new Error("nothing sent");
    const heartbeat = { ...sample.heartbeat, ballot: ballotOf(3, world.nowUs) };
    world.deliver(1, { ...sample, counter: sample.counter + 1, heartbeat });
    expect(world.effectsOf(1, "publish-heard")).toEqual([]);
    expect(world.host(1).state.counters.ballots_refused).toBe(1);
  });
});

describe("leaving", () => {
  it("is quiet while the evaluator goes on, and a goodbye when its ballots say so or there is none", () => {
    const world = new World([1, 2], [0], true);
    world.run(T);
    const { state } = world.host(1);
    const quiet = stepMembership(state, world.nowUs, { kind: "leave" });
    expect(quiet.effects).toEqual([]);
    expect(quiet.reasons[0]?.code).toBe("quiet-stop");

    const atUs = world.nowUs + 1;
    const told = stepMembership(state, atUs, {
      kind: "ballot",
      stampUs: atUs,
      ballot: ballotOf(1, atUs, { leaving: true }),
    });
    const said = stepMembership(told.state, atUs, { kind: "leave" });
    expect(said.effects.map((effect) => effect.kind === "send" && effect.heartbeat.goodbye)).toEqual([true]);

    const alone = stepMembership(state, world.nowUs + 2 * T, { kind: "leave" });
    expect(alone.effects.length).toBe(1);
    const after = stepMembership(alone.state, world.nowUs + 3 * T, { kind: "tick" });
    expect(after.effects.filter((effect) => effect.kind === "send")).toEqual([]);
  });
});
