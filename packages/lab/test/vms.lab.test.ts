import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GuestReport, GuestWatch, guestOf, Lab, StorageWatch } from "../src/index.ts";
import {
  allPids,
  guestOfProcess,
  isAlive,
  isHypervisor,
  nameProcess,
  type ProcessName,
  processesWithEnvironment,
  readNamespace,
  waitUntil,
} from "../src/processes.ts";
import { LAB_MARK } from "../src/switch.ts";
import { idlePlan, ROOT, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const NAME = testLabName("vms");
const BOOT_LIMIT_MS = 60_000;
const vm1 = guestOf(1);

let lab: Lab;
let guests: GuestWatch;
let storage: StorageWatch;
let ends: (() => Promise<void>)[] = [];

// The guests' kernel is Debian's for x86-64.
describe.runIf(process.arch === "x64")("a lab with virtual machines", () => {
  beforeAll(async () => {
    await sweepAbandonedTestLabs();
    lab = await Lab.up(NAME, { ...idlePlan(NAME), guests: 2 }, { own: true });
    guests = await GuestWatch.start(lab);
    ends.push(() => guests.stop());
    storage = await StorageWatch.start(lab);
    ends.push(() => storage.stop());
  });

  afterAll(async () => {
    for (const end of ends) await end();
    await Lab.down(NAME);
  });

  it("has a hypervisor and every definition on each host, and starts nothing by itself", async () => {
    for (const { id } of lab.record().hosts) {
      const answers = () => lab.exec(id, ["virsh", "list", "--all", "--name"]);
      expect(await waitUntil(async () => (await answers()).code === 0, 20_000, 100)).toBe(true);
      expect((await answers()).stdout.trim()).toBe("");
      const defined = await lab.exec(id, ["ls", "/etc/quorate/vms"]);
      expect(defined.stdout).toBe("vm1.xml\nvm2.xml\n");
    }
    expect(existsSync("/run/libvirt")).toBe(false);
  });

  it("runs a guest that counts on its disk, seen by a client and at the storage's cable", async () => {
    const window = guests.observe();
    const traffic = storage.observe();
    const first = guests.waitFor(({ guest }) => guest === vm1.name, BOOT_LIMIT_MS);
    await start(2);
    const answer = await first;
    expect(answer?.number).toBeGreaterThan(0);
    const isHeard = () => (window.report()[0]?.answers ?? 0) > 30;
    expect(await waitUntil(isHeard, 20_000)).toBe(true);
    const [report] = window.report();
    expect(report).toMatchObject({ guest: vm1.name, refusals: 0, overlaps: [], repeated: [] });
    expect(report?.runs.map(({ run }) => run)).toEqual([answer?.run]);
    expect(new Set(traffic.report().map(({ host, guest }) => `${host} ${guest}`))).toEqual(
      new Set(["2 vm1"]),
    );
    expect(lab.status().hosts.map((host) => host.guests)).toEqual([["vm1"], [], []]);
    expect(guests.failure).toBeNull();
    expect(storage.failure).toBeNull();
  });

  it("goes on counting while the host's other processes stand still, and its libvirtd comes back", async () => {
    await lab.freeze(2, isHypervisor);
    const [frozen] = await answersDuring(500);
    expect(frozen?.silence.longestMs).toBeLessThan(450);
    await lab.thaw(2);
    await lab.killAll(2, (process) => !process.command.startsWith("/usr/sbin/libvirtd"));
    const running = () => lab.exec(2, ["virsh", "list", "--name", "--state-running"]);
    expect(await waitUntil(async () => (await running()).stdout.trim() === "vm1", 20_000, 100)).toBe(true);
    expect((await answersDuring(500))[0]?.runs.length).toBe(1);
  });

  it("falls silent without its storage, and goes on with the same run", async () => {
    const window = guests.observe();
    await lab.cutStorage(2);
    expect(await waitUntil(() => (window.report()[0]?.silence.longestMs ?? 0) > 1000, 10_000)).toBe(true);
    await lab.heal();
    await lab.cutStorage();
    await lab.heal();
    const newest = guests.verify()[0]?.newest ?? 0;
    expect(await guests.waitFor(({ number }) => number > newest, 30_000)).not.toBeNull();
    expect(window.report()[0]?.runs.length).toBe(1);
    expect(guests.verify()[0]?.lost).toEqual([]);
  });

  it("loses it with the host's power, but nothing that it had answered", async () => {
    const qemus = runningQemus();
    expect(qemus.length).toBe(1);
    const diedAtMs = await lab.kill(2);
    expect(qemus.filter(isAlive)).toEqual([]);
    const after = storage.observe(diedAtMs + 1);
    const window = guests.observe();
    expect(await waitUntil(() => window.report()[0]?.silence.longestMs !== 0, 5000)).toBe(true);
    expect(await guests.waitFor(() => true, 500)).toBeNull();
    expect(after.report()).toEqual([]);
    const [verdict] = guests.verify();
    expect(verdict).toMatchObject({ guest: vm1.name, lost: [], torn: [], interleaved: false });
    expect(verdict?.runs.length).toBe(1);
    expect(verdict?.acknowledged).toBeGreaterThan(20);
  });

  it("starts it elsewhere as a new run that counts on, and sees a second copy for what it is", async () => {
    const window = guests.observe();
    const newest = guests.verify()[0]?.newest ?? 0;
    const first = guests.waitFor(() => true, BOOT_LIMIT_MS);
    await start(4);
    expect((await first)?.number).toBeGreaterThan(newest);
    // Nobody holds a second host back: that is what the product is for.
    const writers = () => new Set(traffic.report().map(({ host }) => host));
    const traffic = storage.observe();
    await start(8);
    expect(await waitUntil(() => writers().size === 2, BOOT_LIMIT_MS)).toBe(true);
    // Which of the two is ahead is chance: the one behind either comes between the other's numbers or writes over them.
    const isTwice = () => guests.verify().some(({ interleaved, lost }) => interleaved || lost.length > 0);
    expect(await waitUntil(isTwice, BOOT_LIMIT_MS, 200)).toBe(true);
    window.close();
  });

  it("leaves nothing behind", async () => {
    for (const end of ends) await end();
    ends = [];
    const qemus = runningQemus();
    expect(qemus.length).toBe(2);
    const { hosts, storage: storageHost } = lab.status();
    const made = [...hosts.flatMap((host) => Object.values(host.namespaces ?? {})), storageHost?.net];
    await Lab.down(NAME);
    expect(qemus.filter(isAlive)).toEqual([]);
    expect(processesWithEnvironment(LAB_MARK, lab.place.runDir)).toEqual([]);
    const isGone = () => !namespaces().some((name) => made.includes(name));
    expect(await waitUntil(isGone, 10_000)).toBe(true);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(NAME);
    expect(existsSync(lab.place.runDir)).toBe(false);
    expect(existsSync(join(ROOT, ".lab", NAME))).toBe(false);
  });
});

async function answersDuring(ms: number): Promise<GuestReport[]> {
  const window = guests.observe();
  const end = Date.now() + ms;
  expect(await guests.waitFor(({ atMs }) => atMs > end, 20_000)).not.toBeNull();
  window.close();
  return window.report();
}

async function start(id: number): Promise<void> {
  const result = await lab.exec(id, ["virsh", "create", "/etc/quorate/vms/vm1.xml"]);
  if (result.code !== 0) throw new Error(`host ${id}: ${result.stderr}`);
}

function runningQemus(): ProcessName[] {
  const processes = lab.status().hosts.flatMap((host) => host.processes);
  return processes
    .filter((process) => guestOfProcess(process) !== null)
    .flatMap(({ pid }) => nameProcess(pid) ?? []);
}

function namespaces(): string[] {
  return allPids().flatMap((pid) =>
    (["net", "mnt", "pid"] as const).flatMap((kind) => readNamespace(pid, kind) ?? []),
  );
}
