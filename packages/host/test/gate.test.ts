import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeGate, FakeTables } from "../src/gate/fake-gate.ts";
import type { Gate, GateVip } from "../src/gate/gate.ts";
import type { LeaseGateOptions } from "../src/gate/lease-gate.ts";
import { createRealGate } from "../src/gate/real-gate.ts";
import { Cable, pauseMs } from "./namespaces.ts";

const VIPS: readonly GateVip[] = [
  { address: "10.9.0.100", family: 4, device: "net0" },
  { address: "fd00:9::100", family: 6, device: "net0" },
];
const ADDRESSES = VIPS.map((vip) => vip.address);
/** Generous, and so are the leases: these tests share their machine. */
const PERMIT_US = 200_000;

interface World {
  gate(options?: LeaseGateOptions): Gate;
  nowUs(): number;
  /** Lets time go by. */
  pass(us: number): Promise<void>;
  /** Whether an outsider gets an answer from the address. */
  answers(address: string): boolean;
  /** What another program may do to us. */
  flushRuleset(): void;
  end(): Promise<void>;
}

function fakeWorld(): World {
  let nowUs = 1_000_000;
  const tables = new FakeTables(() => nowUs);
  return {
    gate: (options) => createFakeGate({ nowUs: () => nowUs }, { ...options, tables }),
    nowUs: () => nowUs,
    pass: async (us) => {
      nowUs += us;
    },
    answers: (address) => tables.passes(address),
    flushRuleset: () => tables.flushRuleset(),
    end: async () => {},
  };
}

function realWorld(): World {
  const cable = new Cable();
  cable.inHost("ip", "addr", "add", "10.9.0.100/24", "dev", "net0");
  cable.inHost("ip", "addr", "add", "fd00:9::100/64", "dev", "net0", "nodad");
  cable.inPeer("ip", "addr", "add", "10.9.0.2/24", "dev", "net0");
  cable.inPeer("ip", "addr", "add", "fd00:9::2/64", "dev", "net0", "nodad");
  const gates: Gate[] = [];
  return {
    gate: (options) => {
      const gate = createRealGate(cable.context, { answerTimeoutMs: 2_000, ...options });
      gates.push(gate);
      return gate;
    },
    nowUs: () => cable.context.nowUs(),
    pass: (us) => pauseMs(us / 1_000),
    answers: (address) => {
      cable.inPeer("ip", "neigh", "flush", "dev", "net0");
      return cable.peerGetsAnswer(address);
    },
    flushRuleset: () => cable.inHost("nft", "flush", "ruleset"),
    end: async () => {
      for (const gate of gates) await gate.close();
      cable.remove();
    },
  };
}

describe.each([
  ["fake", fakeWorld],
  ["real", realWorld],
] as const)("the %s gate", (_name, makeWorld) => {
  let world: World;
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.end());

  function renewFor(gate: Gate, us: number, addresses: readonly string[] = ADDRESSES) {
    return gate.renew({ addresses, leaseEndUs: world.nowUs() + us, permitUs: PERMIT_US });
  }

  test("is shut once loaded, opens for a lease, and shuts by itself", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([false, false]);
    const leaseEndUs = world.nowUs() + 3_000_000;
    const renewal = await gate.renew({ addresses: ADDRESSES, leaseEndUs, permitUs: PERMIT_US });
    expect(renewal).toMatchObject({ outcome: "open", leaseEndUs });
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([true, true]);
    const { intact, open } = await gate.inspect();
    expect(intact).toBe(true);
    expect(open.map((element) => element.address)).toEqual(ADDRESSES);
    for (const element of open) expect(world.nowUs() + element.remainingUs).toBeLessThanOrEqual(leaseEndUs);
    await world.pass(leaseEndUs - world.nowUs());
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([false, false]);
    expect((await gate.inspect()).open).toEqual([]);
    expect(gate.stats()).toMatchObject({ renewals: 1, refusals: 0, lateAcknowledgements: 0 });
  });

  test("a renewal prolongs what is open, and opens again what has run out", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    expect(await renewFor(gate, 1_000_000)).toMatchObject({ outcome: "open" });
    expect(await renewFor(gate, 8_000_000)).toMatchObject({ outcome: "open" });
    await world.pass(1_000_000);
    expect(world.answers("10.9.0.100")).toBe(true);
    await gate.shut();
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "open" });
    expect(world.answers("10.9.0.100")).toBe(true);
  });

  test("a renewal shuts what it does not name, and can name nothing", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    await renewFor(gate, 10_000_000);
    expect(await renewFor(gate, 10_000_000, ["fd00:9::100"])).toMatchObject({ outcome: "open" });
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([false, true]);
    await renewFor(gate, 10_000_000, []);
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([false, false]);
  });

  test("an unknown address is refused", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    await expect(renewFor(gate, 10_000_000, ["10.9.0.7"])).rejects.toMatchObject({ code: "USAGE" });
  });

  test("shutting is confirmed", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    await renewFor(gate, 10_000_000);
    expect(await gate.shut()).toEqual({ outcome: "confirmed" });
    expect(world.answers("10.9.0.100")).toBe(false);
    expect(await gate.shut()).toEqual({ outcome: "confirmed" });
  });

  test("a freeze longer than the permit, at the worst moment, ends refused and shut", async () => {
    const gate = world.gate({ beforeCommit: () => world.pass(PERMIT_US + 20_000) });
    await gate.load(VIPS);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "permit-expired" });
    expect(world.answers("10.9.0.100")).toBe(false);
    expect((await gate.inspect()).open).toEqual([]);
  });

  test("a lease that passes while its renewal is under way is shut and counted", async () => {
    const gate = world.gate({ beforeCommit: () => world.pass(1_500_000) });
    await gate.load(VIPS);
    expect(await renewFor(gate, 1_500_000)).toMatchObject({ outcome: "refused", refusal: "lease-passed" });
    expect(gate.stats().lateAcknowledgements).toBe(1);
    expect(world.answers("10.9.0.100")).toBe(false);
  });

  test("a lease too short to be worth opening is refused, as is one that has passed", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    expect(await renewFor(gate, PERMIT_US)).toMatchObject({ refusal: "lease-too-short" });
    expect(await renewFor(gate, -5_000_000)).toMatchObject({ refusal: "lease-too-short" });
    expect(await gate.renew({ addresses: ADDRESSES, leaseEndUs: 0, permitUs: PERMIT_US })).toMatchObject({
      refusal: "lease-too-short",
    });
  });

  test("shutting overtakes a renewal under way", async () => {
    let shutting: Promise<unknown> | undefined;
    const gate = world.gate({
      beforeCommit: () => {
        shutting = gate.shut();
      },
    });
    await gate.load(VIPS);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "overtaken" });
    expect(await shutting).toEqual({ outcome: "confirmed" });
    expect(world.answers("10.9.0.100")).toBe(false);
  });

  test("a restarted process adopts the tables without a hole and without an opening", async () => {
    const first = world.gate();
    await first.load(VIPS);
    const leaseEndUs = world.nowUs() + 5_000_000;
    await first.renew({ addresses: ADDRESSES, leaseEndUs, permitUs: PERMIT_US });
    await first.close();
    const second = world.gate();
    await second.load(VIPS);
    expect((await second.inspect()).intact).toBe(true);
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([true, true]);
    await world.pass(leaseEndUs - world.nowUs());
    const third = world.gate();
    await third.load(VIPS);
    expect(world.answers("10.9.0.100")).toBe(false);
  });

  test("addresses come and go without disturbing the others", async () => {
    const gate = world.gate();
    await gate.load(VIPS.slice(0, 1));
    await renewFor(gate, 10_000_000, ["10.9.0.100"]);
    expect(world.answers("fd00:9::100")).toBe(true);
    await gate.load(VIPS);
    expect(ADDRESSES.map((address) => world.answers(address))).toEqual([true, false]);
    await gate.load(VIPS.slice(1));
    expect((await gate.inspect()).intact).toBe(true);
  });

  test("a flushed ruleset is seen, refuses renewals, and is written again shut", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    await renewFor(gate, 10_000_000);
    world.flushRuleset();
    expect((await gate.inspect()).intact).toBe(false);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "not-loaded" });
    expect(await gate.shut()).toMatchObject({ outcome: "unconfirmed" });
    await gate.load(VIPS);
    expect((await gate.inspect()).intact).toBe(true);
    expect(world.answers("10.9.0.100")).toBe(false);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "open" });
  });

  test("unloading takes the tables away", async () => {
    const gate = world.gate();
    await gate.load(VIPS);
    await gate.unload();
    expect(world.answers("10.9.0.100")).toBe(true);
    expect((await gate.inspect()).intact).toBe(false);
  });

  test("words that are no address or device never reach nft", async () => {
    const gate = world.gate();
    const evil = { address: "10.9.0.1 }; flush ruleset", family: 4, device: "net0" } as const;
    await expect(gate.load([evil])).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const device = { address: "10.9.0.1", family: 4, device: 'a" priority 0; }' } as const;
    await expect(gate.load([device])).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

test("what opened although its lease has passed by our clock is shut at once", async () => {
  let nowUs = 1_000_000;
  let transactions = 0;
  // A kernel whose clock stands still: the permit lives, the opening takes place, and the answer comes late.
  const tables = new FakeTables(() => 1_000_000);
  const gate = createFakeGate(
    { nowUs: () => nowUs },
    {
      tables,
      beforeTransaction: () => {
        transactions += 1;
        if (transactions === 3) nowUs += 900_000;
      },
    },
  );
  await gate.load(VIPS);
  const renewal = await gate.renew({ addresses: ADDRESSES, leaseEndUs: 1_900_000, permitUs: PERMIT_US });
  expect(renewal).toMatchObject({ outcome: "refused", refusal: "lease-passed" });
  expect(gate.stats().lateAcknowledgements).toBe(1);
  expect(ADDRESSES.map((address) => tables.passes(address))).toEqual([false, false]);
});
