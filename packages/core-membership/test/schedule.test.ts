import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { T, TICK, World } from "./world.ts";

const nodes = [1, 2, 3] as const;
const nodeOf = fc.constantFrom(...nodes);
const act = fc.oneof(
  fc.record({ kind: fc.constant("cut" as const), from: nodeOf, to: nodeOf, ring: fc.nat({ max: 1 }) }),
  fc.record({ kind: fc.constant("heal" as const) }),
  fc.record({ kind: fc.constant("kill" as const), node: nodeOf }),
  fc.record({
    kind: fc.constant("start" as const),
    node: nodeOf,
    lose: fc.boolean(),
    boot: fc.nat({ max: 3 }),
  }),
  fc.record({ kind: fc.constant("freeze" as const), node: nodeOf }),
  fc.record({ kind: fc.constant("thaw" as const), node: nodeOf }),
  fc.record({ kind: fc.constant("replay" as const), to: nodeOf, pick: fc.nat() }),
  fc.record({ kind: fc.constant("leave" as const), node: nodeOf }),
);

describe("random schedules", () => {
  it("never join a dead peer, never pass a ballot twice, and converge when the faults are over", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(act, fc.integer({ min: 1, max: 40 })), { maxLength: 25 }), (schedule) => {
        const world = new World(nodes, [0, 1], true);
        world.run(T);
        const deadSince = new Map<number, number>();
        for (const [step, halfTicks] of schedule) {
          switch (step.kind) {
            case "cut":
              world.cut(step.from, step.to, step.ring);
              break;
            case "heal":
              world.heal();
              break;
            case "kill":
              world.kill(step.node);
              break;
            case "leave":
              world.input(step.node, { kind: "leave" });
              world.kill(step.node);
              break;
            case "start":
              if (!world.host(step.node).alive) {
                world.start(step.node, { lose: step.lose, boot: 0 });
                deadSince.delete(step.node);
              }
              break;
            case "freeze":
              world.freeze(step.node);
              break;
            case "thaw":
              if (world.host(step.node).frozen) world.thaw(step.node);
              break;
            case "replay": {
              const sent = world.wire[step.pick % world.wire.length];
              if (sent !== undefined && sent.from !== step.to) world.deliver(step.to, sent);
              break;
            }
          }
          for (const node of nodes) {
            if (!world.host(node).alive && !deadSince.has(node)) deadSince.set(node, world.nowUs);
          }
          world.run((halfTicks * TICK) / 2);
          for (const [dead, sinceUs] of deadSince) {
            for (const node of nodes) {
              const host = world.host(node);
              const watching = host.alive && !host.frozen && host.state.lastSentUs > sinceUs;
              if (node === dead || !watching) continue;
              const patienceUs = T * host.state.health.patience;
              if (world.nowUs - sinceUs - host.state.health.blindUs > patienceUs + 2 * TICK) {
                expect(world.seen(node, dead).state).not.toBe("joined");
              }
            }
          }
        }
        world.heal();
        for (const node of nodes) {
          if (world.host(node).frozen) world.thaw(node);
          if (!world.host(node).alive) world.start(node);
        }
        for (const node of nodes) if (world.host(node).state.leaving) world.start(node);
        world.run(2 * T);
        for (const node of nodes) {
          expect(world.states(node)).toMatch(/^\d:joined \d:joined$/);
          for (const peer of nodes) {
            const names = world
              .effectsOf(node, "publish-heard")
              .filter((effect) => effect.message.from === peer)
              .map((effect) => effect.message.ballot.name.atUs);
            expect(names.every((name, index) => index === 0 || name > (names[index - 1] ?? 0))).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
