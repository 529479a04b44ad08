import { describe, expect, it } from "vitest";
import { isFlapping, stepMembership } from "../src/index.ts";
import { bootOf, configOf, T, World } from "./world.ts";

describe("failure detection", () => {
  it("joins peers within one heartbeat of hearing each other", () => {
    const world = new World([1, 2, 3]);
    world.run(T / 10);
    for (const node of [1, 2, 3]) expect(world.states(node)).not.toMatch(/suspect|failed|one-way/);
    expect(world.seen(1, 2)).toEqual({ state: "joined", code: "heard-both-ways" });
  });

  it("says suspect after 0.6 T of silence and failed after T", () => {
    const world = new World([1, 2, 3]);
    world.run(T);
    world.kill(2);
    world.run(0.55 * T);
    expect(world.seen(1, 2).state).toBe("joined");
    world.run(0.25 * T);
    expect(world.seen(1, 2)).toEqual({ state: "suspect", code: "heartbeats-missing" });
    world.run(0.4 * T);
    expect(world.seen(1, 2)).toEqual({ state: "failed", code: "silent" });
    expect(world.seen(1, 3).state).toBe("joined");
  });

  it("says never-heard for a peer that is not there, after T", () => {
    const world = new World([1, 2]);
    world.kill(2);
    const lonely = new World([7, 8]);
    lonely.cut(8, 7);
    lonely.start(7);
    expect(lonely.seen(7, 8)).toEqual({ state: "suspect", code: "not-heard-yet" });
    lonely.run(1.2 * T);
    expect(lonely.seen(7, 8)).toEqual({ state: "failed", code: "never-heard" });
  });

  it("tells a one-way link from a dead peer, on both ends", () => {
    const world = new World([1, 2, 3]);
    world.run(T);
    world.cut(1, 2);
    world.run(1.3 * T);
    expect(world.seen(1, 2)).toEqual({ state: "one-way", code: "not-heard-by-peer" });
    expect(world.seen(2, 1)).toEqual({ state: "failed", code: "silent" });
    expect(world.host(2).state.peers[0]?.reason.facts?.["heardBy"]).toBe("3");
  });

  it("keeps a peer joined while any one link works", () => {
    const world = new World([1, 2], [0, 1]);
    world.run(T);
    world.cut(1, 2, 0);
    world.cut(2, 1, 0);
    world.run(2 * T);
    expect(world.seen(1, 2).state).toBe("joined");
    const links = world.lastPeers(1).peers[0]?.links;
    expect(links).toEqual([
      { ring: 0, hears: false, heard: false, lossPercent: 100 },
      { ring: 1, hears: true, heard: true, lossPercent: 0 },
    ]);
  });

  it("does not join two half-links into one", () => {
    const world = new World([1, 2], [0, 1]);
    world.run(T);
    world.cut(1, 2, 0);
    world.cut(2, 1, 1);
    world.run(2 * T);
    expect(world.seen(1, 2).state).toBe("one-way");
    expect(world.seen(2, 1).state).toBe("one-way");
  });

  it("does not notice a kill and restart within 0.4 s", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    const before = world.effectsOf(1, "peer-changed").length;
    world.kill(2);
    world.run(0.4 * T);
    world.start(2);
    world.run(T);
    expect(world.effectsOf(1, "peer-changed").length).toBe(before);
    expect(world.host(1).state.counters.peer_restarts).toBe(1);
    expect(world.effectsOf(1, "break-route")).toEqual([]);
  });

  it("has the dead route broken when a peer of the same boot is back after more than T, once", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.cut(1, 2);
    world.cut(2, 1);
    world.run(5 * T);
    expect(world.seen(1, 2).state).toBe("failed");
    world.heal();
    world.run(T);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(world.effectsOf(1, "break-route")).toEqual([{ kind: "break-route", node: 2 }]);
    expect(world.effectsOf(2, "break-route")).toEqual([{ kind: "break-route", node: 1 }]);
  });

  it("breaks no route of a peer that was rebooted", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.kill(2);
    world.run(5 * T);
    world.start(2, { boot: 1 });
    world.run(T);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(world.effectsOf(1, "break-route")).toEqual([]);
    expect(world.lastPeers(1).peers[0]?.bootId).toBe(bootOf(2, 1));
  });

  it("breaks no route after an outage of less than T", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.cut(2, 1);
    world.run(0.8 * T);
    expect(world.seen(1, 2).state).toBe("suspect");
    world.heal();
    world.run(T);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(world.effectsOf(1, "break-route")).toEqual([]);
  });

  it("takes nothing that another boot of the peer confirmed", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.kill(2);
    world.cut(1, 2);
    world.start(2, { boot: 1 });
    expect(world.seen(1, 2)).toEqual({ state: "suspect", code: "answer-missing" });
    world.run(1.2 * T);
    expect(world.seen(1, 2).state).toBe("one-way");
  });

  it("passes through suspect, not one-way, when an outage is over", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.cut(1, 2);
    world.cut(2, 1);
    world.run(5 * T);
    world.heal();
    world.run(T);
    for (const [by, of] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const path = world.effectsOf(by, "peer-changed").filter((effect) => effect.node === of);
      expect(path.map((effect) => effect.new)).not.toContain("one-way");
    }
  });

  it("passes through suspect, not one-way, when a peer comes back", () => {
    const world = new World([1, 2]);
    world.run(T);
    world.kill(2);
    world.run(3 * T);
    world.start(2);
    world.run(T);
    const path = world.effectsOf(1, "peer-changed").map((effect) => effect.new);
    expect(path.slice(1)).toEqual(["suspect", "failed", "suspect", "joined"]);
  });

  it("notes flapping in the facts of the reason", () => {
    const world = new World([1, 2]);
    world.run(T);
    for (let round = 0; round < 3; round += 1) {
      world.cut(2, 1);
      world.run(2 * T);
      world.heal();
      world.run(T);
    }
    const peer = world.host(1).state.peers[0];
    expect(peer !== undefined && isFlapping(peer)).toBe(true);
    expect(peer?.reason.facts?.["flaps"]).toBe(3);
  });

  it("names refused datagrams and own faults in the reason", () => {
    const world = new World([1, 2]);
    world.kill(2);
    world.run(1.5 * T);
    world.input(1, { kind: "refused", node: 2, code: "refused_foreign_key" });
    world.run(T / 10);
    expect(world.host(1).state.peers[0]?.reason.facts?.["refused"]).toBe("refused_foreign_key");
    const problem = { code: "ADDRESS_MISSING", message: "Ring 0 has no address." };
    world.input(1, { kind: "own-problem", problem });
    expect(world.seen(1, 2)).toEqual({ state: "failed", code: "ADDRESS_MISSING" });
  });
});

describe("own health", () => {
  it("does not hold its own freeze against the peers", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    const before = world.effectsOf(1, "peer-changed").length;
    world.freeze(1);
    world.run(10 * T);
    expect(world.seen(2, 1).state).toBe("failed");
    world.thaw(1);
    world.run(T / 2);
    expect(world.effectsOf(1, "peer-changed").length).toBe(before);
    expect(world.lastPeers(1).patience).toBeGreaterThan(2.5);
    expect(world.lastPeers(1).patience).toBeLessThanOrEqual(3);
    world.run(25 * T);
    expect(world.lastPeers(1).patience).toBe(1);
  });

  it("a silence that patience did not hold against a peer is one all the same: joined since it ended", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    world.freeze(1);
    world.run(10 * T);
    world.thaw(1);
    world.run(T / 2);
    const joinedSinceUs = () => world.lastPeers(1).peers.find(({ node }) => node === 2)?.sinceUs ?? 0;
    const before = joinedSinceUs();
    world.freeze(2);
    world.run(1.5 * T);
    expect(world.seen(1, 2).state).not.toBe("failed");
    world.thaw(2);
    world.run(T / 2);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(joinedSinceUs()).toBeGreaterThan(before + 1.5 * T);
  });

  it("tells since when a peer is joined before the ballot that ends its silence", () => {
    const world = new World([1, 2, 3], [0], true);
    world.run(2 * T);
    world.freeze(1);
    world.run(10 * T);
    world.thaw(1);
    world.run(T / 2);
    world.freeze(2);
    world.run(1.5 * T);
    const before = world.host(1).effects.length;
    const silentUntilUs = world.nowUs;
    world.thaw(2);
    world.run(T / 2);
    const later = world.host(1).effects.slice(before);
    const heard = later.findIndex((effect) => effect.kind === "publish-heard" && effect.message.from === 2);
    const told = later.findIndex(
      (effect) =>
        effect.kind === "publish-peers" &&
        effect.message.peers.some(
          ({ node, state, sinceUs }) => node === 2 && state === "joined" && sinceUs > silentUntilUs,
        ),
    );
    expect(told).toBeGreaterThanOrEqual(0);
    expect(told).toBeLessThan(heard);
  });

  it("accuses nobody by what it was reading when it was stopped, nor by a new configuration before its tick", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    world.freeze(1);
    world.run(4 * T);
    const before = world.effectsOf(1, "peer-changed").length;
    const [first] = world.host(1).queue.splice(0);
    if (first === undefined) throw new Error("nothing was sent to the frozen node");
    world.host(1).frozen = false;
    // It was taken from the socket, its time read, and then the process stood still.
    world.input(1, first.input);
    world.input(1, { kind: "configured", config: configOf(1, [1, 2, 3]) });
    world.input(1, { kind: "own-problem", problem: null });
    expect(world.effectsOf(1, "peer-changed").length).toBe(before);
  });

  it("stamps what it tells with the last tick, by which everything was read", () => {
    const world = new World([1, 2]);
    world.run(2 * T);
    world.freeze(1);
    world.run(10 * T);
    const backlog = world.host(1).queue.splice(0);
    const tickUs = world.host(1).state.health.lastTickUs;
    world.host(1).frozen = false;
    for (const { input } of backlog) world.input(1, input);
    expect(world.lastPeers(1).stampUs).toBeLessThanOrEqual(tickUs);
    world.input(1, { kind: "tick" });
    world.nowUs += T / 2;
    world.input(1, { kind: "tick" });
    expect(world.lastPeers(1).stampUs).toBe(world.nowUs);
  });

  it("does not say that it heard just now what waited in its socket while it stood still", () => {
    const world = new World([1, 2]);
    world.run(2 * T);
    world.freeze(1);
    world.run(T / 4);
    world.cut(2, 1);
    world.run(T);
    const backlog = world.host(1).queue.splice(0);
    expect(backlog.length).toBeGreaterThan(0);
    world.host(1).frozen = false;
    for (const { input } of backlog) {
      if (input.kind === "datagram") world.input(1, { ...input, receivedAtUs: world.nowUs });
    }
    world.input(1, { kind: "tick" });
    world.run(T / 5);
    const said = world
      .effectsOf(1, "send")
      .at(-1)
      ?.heartbeat.hears.find(({ node }) => node === 2);
    expect(said?.links[0]?.ageUs).toBeGreaterThanOrEqual(T);
    expect(world.seen(1, 2).state).toBe("joined");
  });

  it("still finds a peer dead that died during the freeze, within the capped patience", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    world.freeze(1);
    world.kill(2);
    world.run(10 * T);
    world.thaw(1);
    world.run(3.2 * T);
    expect(world.seen(1, 2).state).toBe("failed");
    expect(world.seen(1, 3).state).toBe("joined");
  });
});

describe("configuration at run time", () => {
  it("keeps the state of peers that stay, adds and removes others", () => {
    const world = new World([1, 2, 3]);
    world.run(2 * T);
    const before = world.host(1).state.peers.find((peer) => peer.node === 2);
    world.input(1, { kind: "configured", config: configOf(1, [1, 2, 4], [0, 1]) });
    expect(world.states(1)).toBe("2:joined 4:suspect");
    const after = world.host(1).state.peers.find((peer) => peer.node === 2);
    expect(after?.links[0]).toEqual(before?.links[0]);
    expect(after?.links[1]?.heard).toBeNull();
    expect(world.lastPeers(1).peers.map((peer) => peer.node)).toEqual([2, 4]);
  });

  it("publishes at least each T/2, and at once on change", () => {
    const world = new World([1, 2]);
    world.run(T);
    const quiet = world.effectsOf(1, "publish-peers").length;
    world.run(4 * T);
    const regular = world.effectsOf(1, "publish-peers").length - quiet;
    expect(regular).toBeGreaterThanOrEqual(7);
    expect(regular).toBeLessThanOrEqual(9);
    const { state } = world.host(1);
    const outcome = stepMembership(state, world.nowUs, {
      kind: "own-problem",
      problem: { code: "x", message: "x" },
    });
    expect(outcome.effects).toEqual([]);
  });
});
