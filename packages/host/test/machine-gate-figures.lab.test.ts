// How long bytes still leave, how long a reset and a renewal take: measured on this machine, and printed.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { KERNEL_TICK_US } from "@quorate/contracts";
import { expect, test } from "vitest";
import { monotonicNowUs } from "../src/tools/host-context.ts";
import { ALPHA, BETA, RealMachineWorld, STORAGE } from "./machine-gate-world.ts";

const ROUNDS = 20;
const LEASE_US = 1_500_000;
/** What a token of one second makes of it. */
const PERMIT_US = 50_000;
const [STORAGE4 = { address: "", port: 0 }] = STORAGE;
const FROZEN = fileURLToPath(new URL("./machine-gate-frozen.ts", import.meta.url));

function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] ?? "";
}

function print(what: string, valuesUs: readonly number[]): void {
  const sorted = [...valuesUs].sort((a, b) => a - b);
  const at = (share: number): string => {
    const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
    return ((sorted[index] ?? 0) / 1_000).toFixed(1);
  };
  process.stdout.write(
    `${what}: min ${at(0)}, median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms (n = ${sorted.length})\n`,
  );
}

/** When the last byte reached the storage and the last answer the guest, counted from the end of the lease. */
async function leaseRound(world: RealMachineWorld): Promise<{ storageUs: number; networkUs: number }> {
  const server = await world.server();
  server.order("read");
  const renewer = world.talk([
    ...[process.execPath, FROZEN, world.cable.host],
    ...[String(LEASE_US), String(PERMIT_US)],
  ]);
  const leaseEndUs = Number((await renewer.hear("open")).split(" ")[1]);
  const tools = readFileSync(`/proc/${renewer.pid}/task/${renewer.pid}/children`, "utf8").trim().split(" ");
  for (const tool of tools) process.kill(Number(tool), "SIGSTOP");
  const guest = ["nsenter", `--net=/run/netns/${world.namespaceOf(ALPHA, 0)}`];
  const pings = world.talk([...guest, "ping", "-n", "-D", "-i", "0.002", "-w", "3", "10.9.0.2"]);
  const client = await world.client(ALPHA, STORAGE4);
  client.order("stream 64");
  await client.hear("ended");
  await pings.closed();
  if (stateOf(renewer.pid) !== "T") throw new Error("the renewer was not frozen");
  for (const tool of tools) process.kill(Number(tool), "SIGKILL");
  const lastRead = server.said.findLast((line) => line.startsWith("read"));
  const lastPing = pings.said.findLast((line) => line.includes("bytes from"));
  const wallUs = Date.now() * 1_000 - monotonicNowUs();
  const pingUs = Number(/^\[(\d+\.\d+)\]/.exec(lastPing ?? "")?.[1]) * 1_000_000 - wallUs;
  return { storageUs: Number(lastRead?.split(" ")[2]) - leaseEndUs, networkUs: pingUs - leaseEndUs };
}

/** How long it takes to have nothing left of a frozen process's connection with bytes queued. */
async function resetRound(world: RealMachineWorld): Promise<number> {
  const gate = world.gate();
  await gate.load([ALPHA, BETA], STORAGE);
  const open = [{ vm: ALPHA.vm, network: false, storage: true }];
  await gate.renew({ open, leaseEndUs: monotonicNowUs() + 60_000_000, permitUs: PERMIT_US });
  const wire = await world.wire(ALPHA, STORAGE4);
  await wire.writeMuch();
  wire.freezeProcess();
  await gate.shut();
  const startedUs = monotonicNowUs();
  await gate.resetStorage(ALPHA.vm);
  return monotonicNowUs() - startedUs;
}

async function renewals(world: RealMachineWorld): Promise<readonly number[]> {
  const gate = world.gate();
  const machines = Array.from({ length: 50 }, (_, index) => ({
    vm: `vm${index}`,
    number: index,
    nicCount: 2,
  }));
  await gate.load(machines, STORAGE);
  const open = machines.map(({ vm }) => ({ vm, network: true, storage: true }));
  const tookUs: number[] = [];
  for (let count = 0; count < 500; count += 1) {
    const leaseEndUs = monotonicNowUs() + 10_000_000;
    const renewal = await gate.renew({ open, leaseEndUs, permitUs: PERMIT_US });
    if (renewal.outcome === "open") tookUs.push(renewal.tookUs);
  }
  return tookUs;
}

async function inWorld<Result>(act: (world: RealMachineWorld) => Promise<Result>): Promise<Result> {
  const world = new RealMachineWorld();
  try {
    return await act(world);
  } finally {
    await world.end();
  }
}

test("with all of ours frozen, nothing leaves after the end of the lease", async () => {
  const storageUs: number[] = [];
  const networkUs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const last = await inWorld(leaseRound);
    storageUs.push(last.storageUs);
    networkUs.push(last.networkUs);
  }
  print("last byte at the storage, from the end of the lease", storageUs);
  print("last answer to the guest, from the end of the lease", networkUs);
  expect(Math.max(...storageUs, ...networkUs)).toBeLessThan(0);
  // It shuts the permit and two ticks before; much earlier would mean that nothing was sent which could have passed.
  const medianUs = [...storageUs].sort((a, b) => a - b)[ROUNDS / 2];
  expect(medianUs).toBeGreaterThan(-PERMIT_US - 4 * KERNEL_TICK_US);
}, 300_000);

test("connections with bytes queued are gone soon", async () => {
  const resetUs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) resetUs.push(await inWorld(resetRound));
  print("resetStorage of a connection with bytes queued", resetUs);
  expect(Math.max(...resetUs)).toBeLessThan(1_000_000);
});

test("all machines of a host are renewed within a permit", async () => {
  const tookUs = [...(await inWorld(renewals))].sort((a, b) => a - b);
  print("renewal of 50 machines with 2 cards each", tookUs);
  expect(tookUs[250]).toBeLessThan(PERMIT_US);
});
