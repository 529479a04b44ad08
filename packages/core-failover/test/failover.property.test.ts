import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Step } from "../src/index.ts";
import { CONFIG, grantOf, granting, VIP, VIP6, World } from "./world.ts";

type Act =
  | { kind: "run"; us: number }
  | { kind: "grant"; role: "master" | "slave"; leaseUs: number; ageUs: number; disarmed: boolean }
  | { kind: "name"; term: number; generation: number }
  | { kind: "replay"; back: number }
  | { kind: "close" }
  | { kind: "freeze"; us: number }
  | { kind: "restart" | "flush" | "remove" | "unlock" | "crash" | "jump" | "claim" | "everything" }
  | { kind: "foreign" | "answers"; on: boolean }
  | { kind: "carrier"; to: "up" | "down" | "missing" }
  | { kind: "break"; what: Step["kind"]; on: boolean };

const BREAKABLE: Step["kind"][] = [
  "load-gate",
  "renew-gate",
  "shut-gate",
  "inspect-gate",
  "persist-closed",
  "add-address",
  "remove-address",
  "inspect-address",
  "probe-address",
  "write-file",
  "inspect-file",
  "start-service",
];

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("run" as const), us: fc.integer({ min: 100, max: 400_000 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("grant" as const),
      role: fc.constantFrom("master" as const, "master" as const, "slave" as const),
      leaseUs: fc.integer({ min: -100_000, max: 990_000 }),
      ageUs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300_000 })),
      disarmed: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.boolean()),
    }),
  },
  fc.record({
    kind: fc.constant("name" as const),
    term: fc.integer({ min: 0, max: 1 }),
    generation: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({ kind: fc.constant("replay" as const), back: fc.integer({ min: 1, max: 6 }) }),
  fc.constant<Act>({ kind: "close" }),
  fc.record({ kind: fc.constant("freeze" as const), us: fc.integer({ min: 1_000, max: 2_500_000 }) }),
  fc.constantFrom<Act>(
    { kind: "restart" },
    { kind: "flush" },
    { kind: "remove" },
    { kind: "unlock" },
    { kind: "crash" },
    { kind: "jump" },
    { kind: "claim" },
    { kind: "everything" },
  ),
  fc.record({ kind: fc.constantFrom("foreign" as const, "answers" as const), on: fc.boolean() }),
  fc.record({
    kind: fc.constant("carrier" as const),
    to: fc.constantFrom("up" as const, "down" as const, "missing" as const),
  }),
  fc.record({ kind: fc.constant("break" as const), what: fc.constantFrom(...BREAKABLE), on: fc.boolean() }),
);

function perform(world: World, name: { term: number; generation: number }, each: Act): void {
  switch (each.kind) {
    case "run":
      return world.run(each.us);
    case "grant":
      return world.input({ kind: "grant", grant: grantOf(world.nowUs, { ...name, ...each }) });
    case "name":
      if (each.term > 0) {
        name.term += each.term;
        name.generation = each.generation;
      } else name.generation += each.generation;
      return;
    case "replay": {
      const grant = world.delivered.at(-each.back);
      if (grant !== undefined) world.input({ kind: "grant", grant });
      return;
    }
    case "close":
      name.generation += 1;
      return world.input({
        kind: "grant",
        grant: grantOf(world.nowUs, { ...name, close: true, role: "slave" }),
      });
    case "freeze":
      return world.freeze(each.us);
    case "restart":
      return world.restart();
    case "flush":
      world.tables = false;
      world.open.clear();
      return;
    case "remove":
      world.interface.delete(VIP.address);
      return world.input({ kind: "changed", what: "address", address: VIP.address, change: "removed" });
    case "unlock":
      world.disk.clear();
      return;
    case "crash":
      if (world.service === "running") world.service = "failed";
      return world.input({ kind: "changed", what: "service" });
    case "jump":
      return world.input({ kind: "clock-jumped", jumpUs: 1_000_000 });
    case "claim":
      return world.input({ kind: "foreign-claim", address: VIP.address, mac: "02:00:00:00:00:07" });
    case "everything":
      return world.input({ kind: "changed", what: "everything" });
    case "foreign":
      world.foreign = each.on;
      return;
    case "answers":
      world.serviceAnswers = each.on;
      return;
    case "carrier":
      world.carrier = each.to;
      if (each.to === "missing") world.interface.clear();
      return world.input({ kind: "changed", what: "link", device: VIP.device });
    case "break":
      if (each.on) world.broken.add(each.what);
      else world.broken.delete(each.what);
  }
}

function randomDelays(world: World, seed: number): void {
  let value = seed;
  world.delayUs = () => {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
    // Mostly quick, sometimes longer than the permit lives.
    return value % 16 === 0 ? value % 120_000 : value % 2_000;
  };
}

function heal(world: World): void {
  world.broken.clear();
  world.foreign = false;
  world.serviceAnswers = true;
  world.carrier = "up";
  world.delayUs = () => 700;
  world.input({ kind: "changed", what: "link", device: VIP.device });
}

function isSettled(world: World, asMaster: boolean): boolean {
  const { report } = world;
  if (report === null || report.problems.length > 0 || !world.tables) return false;
  const files = world.disk.get("lock")?.term === world.state.grant?.term && world.disk.has("marker");
  if (asMaster) return report.gate === "open" && report.service === "ready" && files;
  if (report.gate !== "shut" || report.cleanUnderTerm !== world.state.grant?.term) return false;
  return world.interface.size === 0 && world.service !== "running" && world.disk.size === 0;
}

describe("whatever comes in whatever order", () => {
  it("opens only with a lease and tables, never after a close; goes down gate first; converges once healed", () => {
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 60, size: "max" }),
        fc.nat(1_000_000),
        fc.boolean(),
        (acts, seed, asMaster) => {
          const world = new World();
          const name = { term: 1, generation: 1 };
          randomDelays(world, seed);
          for (const each of acts) perform(world, name, each);
          heal(world);
          name.term += 1;
          // The longest pause before a start of the service is 30 s.
          let seconds = 0;
          do {
            granting(world, 1_000_000, { ...name, role: asMaster ? "master" : "slave" });
            seconds += 1;
          } while (seconds < 40 && !isSettled(world, asMaster));
          expect(world.violations).toEqual([]);
          if (asMaster) {
            expect(CONFIG.clusterIps.map(({ address }) => world.answers(address))).toEqual([true, true]);
            expect(world.disk.get("lock")).toEqual({ term: name.term, node: CONFIG.nodeId });
            expect(world.disk.get("marker")).toEqual({ term: name.term, node: CONFIG.nodeId });
            expect(world.report).toMatchObject({ gate: "open", address: "present", service: "ready" });
          } else {
            expect([world.isOpen(VIP.address), world.isOpen(VIP6.address)]).toEqual([false, false]);
            expect(world.interface.size + world.disk.size).toBe(0);
            expect(world.service).not.toBe("running");
            expect(world.report).toMatchObject({
              gate: "shut",
              address: "absent",
              cleanUnderTerm: name.term,
            });
          }
          expect(world.tables).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("stays silent after a freeze longer than the lease until a new grant comes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_500_000 }), fc.nat(1_000_000), (beforeUs, seed) => {
        const world = new World();
        randomDelays(world, seed);
        granting(world, beforeUs + 1);
        const last = world.delivered.at(-1);
        world.freeze(2_000_000);
        expect(world.answers(VIP.address)).toBe(false);
        // Thawed: what waited in the socket is read first.
        if (last !== undefined) world.input({ kind: "grant", grant: last });
        for (let each = 0; each < 50; each++) {
          world.run(20_000);
          expect(world.answers(VIP.address)).toBe(false);
        }
      }),
      { numRuns: 100 },
    );
  });
});
