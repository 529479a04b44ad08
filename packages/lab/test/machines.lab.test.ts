import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CaredMachine, defineGuests, guestsServe } from "../src/guest/care.ts";
import { sharedDisks } from "../src/guest/double-starts.ts";
import { MachineWatchers } from "../src/guest/watchers.ts";
import { DEFAULT_TOPOLOGY, type GuestAnswer } from "../src/index.ts";
import {
  guestOfProcess,
  isAlive,
  isHypervisor,
  nameProcess,
  processesWithEnvironment,
  waitUntil,
} from "../src/processes.ts";
import { LAB_MARK } from "../src/switch.ts";
import { ProductLab } from "./product-lab.ts";

const LIMIT_MS = 60_000;
const TOKEN_MS = DEFAULT_TOPOLOGY.tokenMs;

let product: ProductLab;
let watchers: MachineWatchers;
let isEnded = false;

// The guests' kernel is Debian's for x86-64.
describe.runIf(process.arch === "x64")("virtual machines under care", () => {
  beforeAll(async () => {
    product = await ProductLab.up("machines", { ...DEFAULT_TOPOLOGY, guests: 2 });
    watchers = await MachineWatchers.start(product.lab);
  });

  afterAll(async () => {
    if (isEnded) return;
    await watchers.stop();
    await product.down();
  });

  it("run where they were defined, and answer", async () => {
    const { master } = await product.whole();
    await defineGuests(product.lab, master, product.ids, LIMIT_MS);
    const machines = await guestsServe(product.lab, watchers.guests, master, LIMIT_MS);
    expect(machines?.map(({ vm, node }) => [vm, node])).toEqual([
      ["vm1", product.ids[0]],
      ["vm2", product.ids[1]],
    ]);
  });

  it("run again elsewhere when their host dies, once, and have all that they had answered", async () => {
    const traffic = watchers.storage.observe();
    const [before, host] = [await answerOf("vm1"), ownerOf(await machinesNow(), "vm1")];
    const { relocation, end } = watchers.relocation(host, ["vm1"]);
    const answered = watchers.guests.waitFor(
      ({ guest, run }) => guest === "vm1" && run !== before.run,
      LIMIT_MS,
    );
    relocation.begin(await product.lab.kill(host));
    expect(await relocation.done(LIMIT_MS), relocation.missing()).toBe(true);
    end();
    expect((await answered)?.number).toBeGreaterThan(before.number);
    expect(sharedDisks(traffic.report())).toEqual([]);
    expectOnce();
    await product.lab.start(host);
    await product.whole();
    traffic.close();
  });

  it("never write from a host whose processes stand still, and not after they go on either", async () => {
    const host = ownerOf(await machinesNow(), "vm2");
    const before = await answerOf("vm2");
    const lost = guestsOn(host);
    const { relocation, end } = watchers.relocation(host, lost);
    await product.lab.freeze(host, isHypervisor);
    const frozenMs = Date.now();
    relocation.begin(frozenMs);
    // The last lease was granted before the last process stood still.
    const old = watchers.storage.observe(frozenMs + TOKEN_MS);
    expect(await relocation.done(LIMIT_MS), relocation.missing()).toBe(true);
    end();
    // QEMU was spared: the old copies are still there, and want to write.
    expect(guestsOn(host)).toEqual(lost);
    expect(bytesFrom(host, old)).toBe(0);
    await product.lab.thaw(host);
    const listed = async () => (await product.shell(host, "virsh list --all --name")).trim();
    expect(await waitUntil(async () => (await listed()) === "", LIMIT_MS, 100)).toBe(true);
    await product.whole();
    const machines = await machinesNow();
    expect(machines.filter(({ node }) => node === host)).toEqual([]);
    const after = await answerOf("vm2");
    expect(after.run).not.toBe(before.run);
    expect(after.number).toBeGreaterThan(before.number);
    expect(bytesFrom(host, old)).toBe(0);
    expect(sharedDisks(old.report())).toEqual([]);
    expectOnce();
  });

  it("leave a host that is drained, each as it is to, and to power it off then starts nothing", async () => {
    const { master } = await product.whole();
    const traffic = watchers.storage.observe();
    await bringTo("vm1", master);
    await bringTo("vm2", master);
    const [live, stopped] = [await answerOf("vm1"), await answerOf("vm2")];
    await asked(master, "vm", "policy", "vm2", "--move", "restart");
    const said = await asked(master, "node", "drain", String(master), "--for", "1h");
    expect(said).toContain(`Node ${master} is empty`);
    expect((await machinesNow()).filter(({ node }) => node === master)).toEqual([]);
    const heir = (await product.whole()).master;
    expect(heir).not.toBe(master);
    // The one goes on with its memory, the other has begun anew.
    expect((await answerOf("vm1")).run).toBe(live.run);
    const begun = await answerOf("vm2");
    expect(begun.run).not.toBe(stopped.run);
    const decisions: string[] = [];
    const end = watchers.decisions.listen(({ code }) => decisions.push(code));
    const window = (await product.observer()).observe();
    await product.lab.kill(master);
    expect(await waitUntil(() => decisions.includes("NODE_FENCED"), LIMIT_MS, 50)).toBe(true);
    expect(window.report().silence.icmp.longestMs).toBeLessThan(TOKEN_MS / 2);
    window.close();
    expect((await answerOf("vm1")).run).toBe(live.run);
    expect((await answerOf("vm2")).run).toBe(begun.run);
    end();
    expect(decisions).not.toContain("VM_PLACED");
    expect(sharedDisks(traffic.report())).toEqual([]);
    traffic.close();
    expectOnce();
    await product.lab.start(master);
    await product.whole();
  });

  it("leave nothing behind", async () => {
    const { lab } = product;
    const qemus = lab
      .status()
      .hosts.flatMap(({ processes }) =>
        processes
          .filter((process) => guestOfProcess(process) !== null)
          .flatMap(({ pid }) => nameProcess(pid) ?? []),
      );
    expect(qemus.length).toBe(2);
    await watchers.stop();
    await product.down();
    isEnded = true;
    expect(qemus.filter(isAlive)).toEqual([]);
    expect(processesWithEnvironment(LAB_MARK, lab.place.runDir)).toEqual([]);
    expect(existsSync(lab.place.runDir)).toBe(false);
  });
});

async function machinesNow(): Promise<CaredMachine[]> {
  const { master } = await product.whole();
  const machines = await guestsServe(product.lab, watchers.guests, master, LIMIT_MS);
  if (machines === null) throw new Error(`not all guests run and answer\n${product.logTails()}`);
  return machines;
}

function ownerOf(machines: readonly CaredMachine[], vm: string): number {
  const node = machines.find((machine) => machine.vm === vm)?.node ?? null;
  if (node === null) throw new Error(`${vm} is nobody's`);
  return node;
}

async function answerOf(vm: string): Promise<GuestAnswer> {
  const answer = await watchers.guests.waitFor(({ guest }) => guest === vm, LIMIT_MS);
  if (answer === null) throw new Error(`${vm} does not answer`);
  return answer;
}

/** By a live move, where it is not there already. */
async function bringTo(vm: string, host: number): Promise<void> {
  if (ownerOf(await machinesNow(), vm) === host) return;
  expect(await asked(host, "vm", "move", vm, String(host))).toContain(`${vm} runs on node ${host}`);
}

async function asked(host: number, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await product.quorate(host, ...args);
  if (code !== 0) throw new Error(`quorate ${args.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

function guestsOn(host: number): string[] {
  return product.lab.status().hosts.find(({ id }) => id === host)?.guests ?? [];
}

function bytesFrom(host: number, window: ReturnType<MachineWatchers["storage"]["observe"]>): number {
  return window.report().reduce((sum, traffic) => sum + (traffic.host === host ? traffic.bytes : 0), 0);
}

/** Nothing that was answered is lost, and no two runs of a guest ever wrote in turns. */
function expectOnce(): void {
  for (const verdict of watchers.guests.verify())
    expect(verdict).toMatchObject({ lost: [], torn: [], interleaved: false });
  watchers.check();
}
