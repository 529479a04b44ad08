import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { machineUser } from "../src/hypervisor/machine-number.ts";
import type { MachineGate, MachineOpening } from "../src/machine-gate/machine-gate.ts";
import {
  ALPHA,
  BETA,
  fakeMachineWorld,
  type MachineWorld,
  RealMachineWorld,
  STORAGE,
  UNKNOWN,
} from "./machine-gate-world.ts";

const MACHINES = [ALPHA, BETA];
const PERMIT_US = 200_000;
const BOTH: readonly MachineOpening[] = MACHINES.map(({ vm }) => ({ vm, network: true, storage: true }));
const [STORAGE4 = { address: "", port: 0 }, STORAGE6 = { address: "", port: 0 }] = STORAGE;

describe.each([
  ["fake", fakeMachineWorld],
  ["real", (): MachineWorld => new RealMachineWorld()],
] as const)("the %s gate of machines", (_name, makeWorld) => {
  let world: MachineWorld;
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.end());

  function renewFor(gate: MachineGate, us: number, open = BOTH) {
    return gate.renew({ open, leaseEndUs: world.nowUs() + us, permitUs: PERMIT_US });
  }

  async function loaded(...options: Parameters<MachineWorld["gate"]>): Promise<MachineGate> {
    const gate = world.gate(...options);
    await gate.load(MACHINES, STORAGE);
    return gate;
  }

  /** What passes, as one word per path. */
  async function passing(): Promise<string[]> {
    const paths: [string, Promise<boolean>][] = [
      ["alpha0", world.guestReaches(ALPHA, 0)],
      ["alpha1", world.guestReaches(ALPHA, 1)],
      ["alpha-host", world.hostReaches(ALPHA, 0)],
      ["alpha-storage", world.connects(machineUser(ALPHA.number), STORAGE4)],
      ["alpha-storage6", world.connects(machineUser(ALPHA.number), STORAGE6)],
      ["beta0", world.guestReaches(BETA, 0)],
      ["beta-storage", world.connects(machineUser(BETA.number), STORAGE4)],
      ["unknown", world.guestReaches(UNKNOWN, 0)],
      ["unknown-host", world.hostReaches(UNKNOWN, 0)],
      ["unknown-storage", world.connects(machineUser(UNKNOWN.number), STORAGE4)],
      ["other-storage", world.connects(65_534, STORAGE4)],
    ];
    const names = await Promise.all(paths.map(async ([name, passes]) => ((await passes) ? [name] : [])));
    return names.flat();
  }
  const ALPHA_NETWORK = ["alpha0", "alpha1", "alpha-host"];
  const ALPHA_STORAGE = ["alpha-storage", "alpha-storage6"];
  const ALPHA_ALL = [...ALPHA_NETWORK, ...ALPHA_STORAGE];

  async function withStorageListening(): Promise<void> {
    if (world instanceof RealMachineWorld) await world.server();
  }

  test("lets nothing pass once loaded, opens for a lease, and shuts by itself", async () => {
    await withStorageListening();
    expect(await passing()).toHaveLength(11);
    const gate = await loaded();
    expect(await passing()).toEqual([]);
    const leaseEndUs = world.nowUs() + 6_000_000;
    const renewal = await gate.renew({ open: BOTH, leaseEndUs, permitUs: PERMIT_US });
    expect(renewal).toMatchObject({ outcome: "open", leaseEndUs });
    expect(await passing()).toEqual([...ALPHA_ALL, "beta0", "beta-storage"]);
    const { intact, open } = await gate.inspect();
    expect(intact).toBe(true);
    expect(open).toMatchObject(BOTH);
    for (const { remainingUs } of open) expect(world.nowUs() + remainingUs).toBeLessThanOrEqual(leaseEndUs);
    await world.pass(leaseEndUs - world.nowUs());
    expect(await passing()).toEqual([]);
    expect((await gate.inspect()).open).toEqual([]);
    expect(gate.stats()).toMatchObject({ renewals: 1, refusals: 0, lateAcknowledgements: 0 });
  });

  test("opens the network alone, or the storage alone, and of no other machine", async () => {
    await withStorageListening();
    const gate = await loaded();
    const network = [{ vm: "alpha", network: true, storage: false }];
    await renewFor(gate, 60_000_000, network);
    expect(await passing()).toEqual(ALPHA_NETWORK);
    expect((await gate.inspect()).open).toMatchObject(network);
    const storage = [{ vm: "alpha", network: false, storage: true }];
    await renewFor(gate, 60_000_000, storage);
    expect(await passing()).toEqual(ALPHA_STORAGE);
    expect((await gate.inspect()).open).toMatchObject(storage);
    await renewFor(gate, 60_000_000, []);
    expect(await passing()).toEqual([]);
  });

  test("shuts some and keeps others open, or shuts all; both are read back", async () => {
    await withStorageListening();
    const gate = await loaded();
    await renewFor(gate, 60_000_000);
    expect(await gate.shut(["beta", "never heard of"])).toEqual({ outcome: "confirmed" });
    expect(await passing()).toEqual(ALPHA_ALL);
    expect(await gate.shut(["beta"])).toEqual({ outcome: "confirmed" });
    expect(await gate.shut([])).toEqual({ outcome: "confirmed" });
    expect((await gate.inspect()).open).toHaveLength(1);
    expect(await gate.shut()).toEqual({ outcome: "confirmed" });
    expect(await passing()).toEqual([]);
  });

  test("a freeze longer than the permit, at the worst moment, ends refused and shut", async () => {
    const gate = await loaded({ beforeCommit: () => world.pass(PERMIT_US + 20_000) });
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "permit-expired" });
    expect((await gate.inspect()).open).toEqual([]);
    expect(await world.guestReaches(ALPHA, 0)).toBe(false);
  });

  test("a lease that passes while its renewal is under way is shut and counted", async () => {
    const gate = await loaded({ beforeCommit: () => world.pass(1_500_000) });
    expect(await renewFor(gate, 1_500_000)).toMatchObject({ outcome: "refused", refusal: "lease-passed" });
    expect(gate.stats().lateAcknowledgements).toBe(1);
    expect(await world.guestReaches(ALPHA, 0)).toBe(false);
    expect(await renewFor(gate, PERMIT_US)).toMatchObject({ refusal: "lease-too-short" });
  });

  test("shutting one machine overtakes the renewal of all that is under way", async () => {
    let shutting: Promise<unknown> | undefined;
    const gate = await loaded({
      beforeCommit: () => {
        shutting = gate.shut(["beta"]);
      },
    });
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "overtaken" });
    expect(await shutting).toEqual({ outcome: "confirmed" });
    expect((await gate.inspect()).open).toEqual([]);
  });

  test("a machine that is not held is refused", async () => {
    const gate = await loaded();
    const open = [{ vm: "unknown", network: true, storage: true }];
    await expect(renewFor(gate, 10_000_000, open)).rejects.toMatchObject({ code: "USAGE" });
  });

  test("a changed list keeps open what is open", async () => {
    await withStorageListening();
    const gate = await loaded();
    await renewFor(gate, 60_000_000, [{ vm: "alpha", network: true, storage: true }]);
    await gate.load([ALPHA, UNKNOWN], [STORAGE6, { address: "10.9.0.3", port: 3_260 }, STORAGE4]);
    expect(await passing()).toEqual(ALPHA_ALL);
    expect((await gate.inspect()).intact).toBe(true);
    const open = [ALPHA, UNKNOWN].map(({ vm }) => ({ vm, network: true, storage: true }));
    expect(await renewFor(gate, 60_000_000, open)).toMatchObject({ outcome: "open" });
    expect(await passing()).toEqual([...ALPHA_ALL, "unknown", "unknown-host", "unknown-storage"]);
    await gate.load(MACHINES, STORAGE.slice(0, 1));
    expect(await passing()).toContain("unknown");
    expect((await gate.shut(["alpha"])).outcome).toBe("confirmed");
    expect((await gate.shut()).outcome).toBe("confirmed");
    expect(await world.guestReaches(UNKNOWN, 0)).toBe(false);
  });

  test("a restarted process adopts the tables with what is open in them, which runs out", async () => {
    const first = await loaded();
    const leaseEndUs = world.nowUs() + 5_000_000;
    await first.renew({ open: BOTH, leaseEndUs, permitUs: PERMIT_US });
    await first.close();
    const second = world.gate();
    expect((await second.inspect()).intact).toBe(false);
    await second.load([], STORAGE);
    await second.load(MACHINES, STORAGE);
    expect(await second.inspect()).toMatchObject({ intact: true, open: BOTH });
    expect(await world.guestReaches(BETA, 0)).toBe(true);
    await world.pass(leaseEndUs - world.nowUs());
    expect(await world.guestReaches(BETA, 0)).toBe(false);
  });

  test("a flushed ruleset is seen, refuses renewals, and is written again shut", async () => {
    const gate = await loaded();
    await renewFor(gate, 60_000_000);
    world.flushRuleset();
    expect((await gate.inspect()).intact).toBe(false);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "refused", refusal: "not-loaded" });
    expect(await gate.shut()).toMatchObject({ outcome: "unconfirmed" });
    await expect(gate.resetStorage("alpha")).rejects.toMatchObject({ code: "GATE_OPEN" });
    await gate.load(MACHINES, STORAGE);
    expect(await gate.inspect()).toMatchObject({ intact: true, open: [] });
    expect(await world.guestReaches(ALPHA, 0)).toBe(false);
    expect(await renewFor(gate, 10_000_000)).toMatchObject({ outcome: "open" });
  });

  test("unloading takes the tables away", async () => {
    const gate = await loaded();
    await gate.unload();
    expect(await world.guestReaches(ALPHA, 0)).toBe(true);
    expect((await gate.inspect()).intact).toBe(false);
  });

  test.each([
    ["killed, and its connections reset", true, true],
    ["killed, and nobody resets anything", true, false],
    ["frozen, and its connections reset", false, true],
  ])("what a process has queued never arrives: it was %s", async (_how, killed, reset) => {
    for (const storage of world instanceof RealMachineWorld ? [STORAGE4] : STORAGE) {
      const gate = await loaded();
      const open = [{ vm: "alpha", network: false, storage: true }];
      await renewFor(gate, 60_000_000, open);
      const wire = await world.wire(ALPHA, storage);
      await wire.writeMuch();
      await expect(gate.resetStorage("alpha")).rejects.toMatchObject({ code: "GATE_OPEN" });
      await gate.shut(["alpha"]);
      const arrived = wire.arrived();
      if (killed) await wire.killProcess();
      else wire.freezeProcess();
      if (reset) await gate.resetStorage("alpha");
      expect(await renewFor(gate, 60_000_000, open)).toMatchObject({ outcome: "open" });
      expect(await wire.arrivedAtTheEnd()).toBeLessThanOrEqual(arrived);
      await gate.shut();
      await gate.resetStorage("alpha");
    }
  });

  test("without a reset, what a living process has queued would arrive once its gate is open again", async () => {
    const gate = await loaded();
    const open = [{ vm: "alpha", network: false, storage: true }];
    await renewFor(gate, 60_000_000, open);
    const wire = await world.wire(ALPHA, STORAGE6);
    await wire.writeMuch();
    await gate.shut();
    const arrived = wire.arrived();
    await renewFor(gate, 60_000_000, open);
    wire.endProcess();
    expect(await wire.arrivedAtTheEnd()).toBeGreaterThan(arrived);
  });

  test("what is no machine, storage or number never reaches nft", async () => {
    const gate = world.gate();
    const evil = { address: "10.9.0.2 . 1 }; flush ruleset", port: 80 };
    await expect(gate.load(MACHINES, [evil])).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    for (const address of ["fe80::1%eth0", "::ffff:10.9.0.2", "storage"]) {
      await expect(gate.load(MACHINES, [{ address, port: 80 }])).rejects.toMatchObject({
        code: "CONFIG_INVALID",
      });
    }
    for (const change of [{ number: 2 ** 28 }, { number: 0.5 }, { nicCount: -1 }, { nicCount: 1_000 }]) {
      await expect(gate.load([{ ...ALPHA, ...change }], STORAGE)).rejects.toMatchObject({
        code: "CONFIG_INVALID",
      });
    }
    const same = [ALPHA, { ...BETA, number: ALPHA.number }];
    await expect(gate.load(same, STORAGE)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
