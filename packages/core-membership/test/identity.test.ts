import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INCARNATION_MAX, judgeEnvelope, nextIncarnation } from "../src/index.ts";
import { accept, EMPTY_WINDOW, isFresh, lossPercent, WINDOW_SIZE } from "../src/replay-window.ts";
import { bootOf, T, World } from "./world.ts";

describe("incarnation", () => {
  it("rises with every start, whatever the clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -(2 ** 50), max: 2 ** 50 }), { maxLength: 30 }), (clocks) => {
        let persisted: number | null = null;
        for (const clock of clocks) {
          const next = nextIncarnation(persisted, clock);
          expect(next).toBeGreaterThan(persisted ?? 0);
          expect(next).toBeLessThanOrEqual(INCARNATION_MAX);
          persisted = next;
        }
      }),
    );
  });

  it("refuses what an older incarnation of a peer sent", () => {
    const world = new World([1, 2]);
    world.run(T);
    const recorded = world.wire.filter((sent) => sent.from === 2);
    world.kill(2);
    world.run(T / 10);
    world.start(2);
    world.run(T / 5);
    const accepted = world.host(1).state.counters.heartbeats_accepted;
    for (const sent of recorded) world.deliver(1, sent);
    expect(world.host(1).state.counters.heartbeats_accepted).toBe(accepted);
    expect(world.host(1).state.counters.refused_stale_incarnation).toBe(recorded.length);
  });

  it("never lets a recording of before its own restart make a peer joined", () => {
    const world = new World([1, 2]);
    world.run(T);
    const recorded = world.wire.filter((sent) => sent.from === 2);
    world.kill(1);
    world.kill(2);
    world.run(5 * T);
    world.start(1);
    for (const sent of recorded) {
      world.deliver(1, sent);
      world.run(T / 10);
      expect(world.seen(1, 2).state).not.toBe("joined");
    }
    world.start(2);
    world.run(T / 5);
    expect(world.seen(1, 2).state).toBe("joined");
  });

  it("lifts its own when the state was lost and the clock went back", () => {
    const world = new World([1, 2, 3]);
    world.run(T);
    world.kill(2);
    world.run(2 * T);
    world.start(2, { lose: true, wallClockMs: 5 });
    world.run(T / 2);
    expect(world.host(2).state.counters.incarnation_lifted).toBe(1);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(world.seen(3, 2).state).toBe("joined");
    expect(world.host(2).persisted).toBe(world.host(2).state.incarnation);
  });

  it("stops lifting and names the trouble when another machine uses its id", () => {
    const world = new World([1, 2]);
    world.run(T);
    const { state } = world.host(1);
    for (let round = 1; round <= 6; round += 1) {
      const incarnation = world.host(1).state.incarnation + 10;
      world.deliver(1, {
        from: 2,
        ring: 0,
        counter: 1000 + round,
        incarnation: world.host(2).state.incarnation,
        heartbeat: {
          cluster: "test",
          node: 2,
          incarnation: world.host(2).state.incarnation,
          bootId: bootOf(2),
          goodbye: false,
          config: null,
          hears: [{ node: 1, incarnation, links: [] }],
          ballot: null,
        },
      });
    }
    expect(world.host(1).state.counters.incarnation_lifted).toBe(3);
    expect(world.host(1).state.identityProblem?.code).toBe("duplicate-node-id");
    expect(state.identityProblem).toBeNull();
  });
});

describe("replays", () => {
  it("accepts every counter at most once, and whatever is in order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 500 }), (counters) => {
        const seen = new Set<number>();
        let window = EMPTY_WINDOW;
        for (const counter of counters) {
          const fresh = isFresh(window, counter);
          if (seen.has(counter)) expect(fresh).toBe(false);
          if (counter > window.highest) expect(fresh).toBe(true);
          if (!seen.has(counter) && counter > window.highest - WINDOW_SIZE) expect(fresh).toBe(true);
          if (!fresh) continue;
          seen.add(counter);
          window = accept(window, counter);
        }
      }),
    );
  });

  it("refuses what is no counter", () => {
    for (const counter of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(isFresh(EMPTY_WINDOW, counter)).toBe(false);
    }
  });

  it("measures the loss of the last hundred", () => {
    let window = EMPTY_WINDOW;
    for (let counter = 1; counter <= 300; counter += 1) {
      if (counter % 4 !== 0) window = accept(window, counter);
    }
    expect(lossPercent(window)).toBeCloseTo(25, 0);
    expect(lossPercent(accept(EMPTY_WINDOW, 77_777))).toBe(0);
  });

  it("counts the loss of any pattern of the last hundred", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }), (arrives) => {
        let window = accept(EMPTY_WINDOW, 1);
        for (const [index, comes] of arrives.entries()) if (comes) window = accept(window, index + 2);
        const last = [true, ...arrives].slice(0, window.highest).slice(-100);
        const lost = last.filter((comes) => !comes).length;
        expect(lossPercent(window)).toBe(Math.round((lost * 1000) / last.length) / 10);
      }),
    );
  });

  it("refuses a doubled datagram, on the same ring and its copy of another", () => {
    const world = new World([1, 2], [0, 1]);
    world.run(T);
    const { state } = world.host(1);
    for (const sent of world.wire.filter((candidate) => candidate.from === 2)) {
      const { incarnation, ring, counter } = sent;
      expect(judgeEnvelope(state, { node: 2, incarnation, ring, counter })).toBe("refused_replayed");
    }
    expect(judgeEnvelope(state, { node: 2, incarnation: 1e9, ring: 5, counter: 1 })).toBe(
      "refused_unknown_ring",
    );
    expect(judgeEnvelope(state, { node: 9, incarnation: 1e9, ring: 0, counter: 1 })).toBe(
      "refused_unknown_node",
    );
    expect(judgeEnvelope(state, { node: 1, incarnation: 1e9, ring: 0, counter: 1 })).toBe("refused_own_node");
  });
});

describe("goodbye", () => {
  it("is heard at once and not undone by what comes late", () => {
    const world = new World([1, 2]);
    world.run(T);
    const recorded = world.wire.filter((sent) => sent.from === 2);
    world.input(2, { kind: "leave" });
    world.kill(2);
    expect(world.seen(1, 2)).toEqual({ state: "left", code: "goodbye" });
    world.run(3 * T);
    const last = recorded.at(-1);
    if (last === undefined) throw new Error("nothing sent");
    world.deliver(1, { ...last, counter: last.counter + 50 });
    expect(world.seen(1, 2).state).toBe("left");
    expect(world.host(1).state.counters.refused_after_goodbye).toBe(1);
    world.start(2);
    world.run(T / 5);
    expect(world.seen(1, 2).state).toBe("joined");
    expect(world.effectsOf(1, "break-route")).toEqual([]);
  });
});
