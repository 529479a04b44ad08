import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  configFor,
  definitionOf,
  localDefinitionOf,
  MACHINES,
  type MachineHost,
  MachineSite,
  nodeOf,
  TOKEN_MS,
  until,
} from "./machine-site.ts";

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

const BOTH = { network: true, storage: true };
const NONE = { network: false, storage: false };

async function running(config = configFor([4])): Promise<MachineHost> {
  const host = await site.host(4, config);
  host.speak({});
  await host.define("vm1", 1);
  await until("vm1 is reachable", () => host.isOpen(1) && host.state("vm1") === "running");
  return host;
}

describe("a machine under care", () => {
  it("is started on the master's word alone, its storage open before it and its network after", async () => {
    const host = await site.host(4, configFor([4]));
    const seen: string[] = [];
    host.machines.listeners.add(() => {
      const { network, storage } = host.passes(1);
      seen.push(`${host.state("vm1")} network ${network} storage ${storage}`);
    });
    await host.define("vm1", 1);
    // Whoever runs as a user that the gate does not know: shut from the first moment on.
    expect(host.passes(1)).toEqual(NONE);
    await until("it is written down", () => host.room.machines.host.vms["vm1"]?.saved !== null);
    expect(host.state("vm1")).toBe("none");
    host.speak({});
    await until("vm1 is reachable", () => host.isOpen(1));
    expect(seen[0]).toBe("running network false storage true");
    expect(host.passes(2)).toEqual(NONE);
    const { report, obstacles, table } = await host.ask();
    expect(report?.copies).toMatchObject([{ vm: "vm1", state: "running", confirmed: true }]);
    expect(table).toMatchObject([{ vm: "vm1", owner: 4 }]);
    expect(obstacles).toEqual([]);
  });

  it("is shut off and paused when the lease lapses, and comes back on a word after it", async () => {
    const host = await running();
    host.speak(null);
    const silentAtMs = performance.now();
    await until("nothing passes", () => !host.passes(1).network && !host.passes(1).storage);
    expect(performance.now() - silentAtMs).toBeLessThan(TOKEN_MS * 2);
    await until("it is paused", () => host.state("vm1") === "paused");
    await until("it is told", () => host.logged.join("\n").includes("VM_LEASE_LAPSED"));
    const before = host.room.machines.host.vms["vm1"]?.record?.placement;
    host.speak({});
    await until("it runs again", () => host.state("vm1") === "running" && host.isOpen(1));
    // The same copy with its memory, not another start.
    expect(host.room.machines.host.vms["vm1"]?.record?.placement).toEqual(before);
  });

  it("has no lease left after its host's kernel was paused, and waits for a new word", async () => {
    const host = await running();
    host.speak(null);
    host.pausedUs = 1_000_000;
    // Long before the last lease is over by the clock that stood still.
    const isVoid = () => {
      host.room.machines.toHost({ kind: "tick" });
      return host.room.machines.host.vms["vm1"]?.confirmed === null;
    };
    await until("every lease is void", isVoid, TOKEN_MS / 4);
    await until("nothing passes", () => !host.passes(1).network && !host.passes(1).storage);
    await until("it is paused", () => host.state("vm1") === "paused");
    host.speak({});
    await until("it runs again", () => host.state("vm1") === "running" && host.isOpen(1));
  });

  it("runs on over a restart of the process, with its gates open all the time", async () => {
    const host = await running();
    const states: string[] = [];
    host.machines.listeners.add(() => states.push(host.state("vm1")));
    let closedTimes = 0;
    const watch = setInterval(() => {
      if (!host.isOpen(1)) closedTimes += 1;
    }, 1);
    await host.restart();
    await until("the new process has it under a word", () => {
      const facts = host.room.machines.host.vms["vm1"];
      return facts?.confirmed !== null && facts?.open.network === true;
    });
    const keptUntilUs = () => host.room.machines.host.vms["vm1"]?.keptUntilUs ?? 0;
    const firstUs = keptUntilUs();
    await until("it has renewed", () => keptUntilUs() > firstUs + TOKEN_MS * 1000);
    clearInterval(watch);
    expect(states).toEqual([]);
    expect(closedTimes).toBe(0);
    expect(host.state("vm1")).toBe("running");
  });

  it("waits for a libvirtd that is down, and is started when it answers", async () => {
    const host = await site.host(4, configFor([4]));
    host.speak({});
    await until("it has looked", () => host.room.machines.host.copiesSeenAtUs !== null);
    host.machines.isDown = true;
    await expect(host.define("vm1", 1)).rejects.toMatchObject({ code: "HYPERVISOR_DOWN" });
    host.machines.isDown = false;
    await host.define("vm1", 1);
    await until("it runs", () => host.isOpen(1));
    host.machines.isDown = true;
    host.machines.changed();
    await until("it is said", () => Object.keys(host.room.machines.host.troubles).length > 0);
    const { problems, report } = await host.ask();
    expect(problems[0]).toMatchObject({ code: "HYPERVISOR_DOWN" });
    expect(report?.records.map(({ vm }) => vm)).toEqual(["vm1"]);
    // What runs needs no libvirtd: its gates stay open.
    expect(host.passes(1)).toEqual(BOTH);
    host.machines.isDown = false;
    await until(
      "nothing is wrong any more",
      () => Object.keys(host.room.machines.host.troubles).length === 0,
    );
    expect(host.state("vm1")).toBe("running");
  });

  it("is shut down on a wish, started on another, and given up with its record", async () => {
    const host = await running();
    await host.wish("vm1", "stopped");
    const isOver = () => host.room.machines.host.vms["vm1"]?.saved?.released !== null;
    await until("it has ended", () => host.state("vm1") === "none");
    await until("its gates are shut", () => !host.passes(1).network && !host.passes(1).storage);
    await until("its placement is over", isOver);
    await host.wish("vm1", "running");
    await until("it runs again", () => host.isOpen(1) && host.state("vm1") === "running");
    await host.wish("vm1", "undefined");
    await until("it has ended", () => host.state("vm1") === "none");
    await until("its placement is over", isOver);
    await expect(host.wish("vm1", "running")).rejects.toMatchObject({ code: "MACHINE_UNKNOWN" });
    // Taken under care again it begins anew.
    await host.define("vm1", 1);
    await until("it runs again", () => host.isOpen(1) && host.state("vm1") === "running");
  });
});

describe("a storage that does not answer", () => {
  const SAN = "10.99.0.1:10809";
  const goneAt = (host: MachineHost) =>
    host.room.reports.find(({ node }) => node === host.id)?.storageGone ?? [];

  it("is known by the host without any machine's help, said, and forgotten with its first answer", async () => {
    const host = await running();
    expect((await host.ask()).problems).toEqual([]);
    host.storages.refusing.add(SAN);
    await until("it is known", () => goneAt(host).includes(SAN));
    const { problems } = await host.ask();
    expect(problems).toMatchObject([
      { code: "STORAGE_GONE", message: expect.stringContaining(`${SAN} does not answer`) },
    ]);
    // The host is not to blame: nothing is killed, paused or shut for it.
    expect(host.isOpen(1)).toBe(true);
    expect(host.state("vm1")).toBe("running");
    host.storages.refusing.clear();
    await until("it is back", () => goneAt(host).length === 0);
    expect((await host.ask()).problems).toEqual([]);
    const told = host.logged.join("\n");
    expect(told).toMatch(/STORAGE_GONE[^]*STORAGE_BACK/);
  });

  it("is looked at by hosts that have no machine there yet, and keeps machines from them", async () => {
    const config = configFor([2, 4], { machines: { ...MACHINES, storage: [] } });
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    const speak = (change: Parameters<MachineHost["speak"]>[0]) => {
      two.speak(change);
      four.speak(change);
    };
    four.storages.refusing.add(SAN);
    speak({ members: [2, 4], leader: 4 });
    await two.define("vm1", 1);
    await until("it runs on the node that defined it", () => two.isOpen(1));
    await until("the other node lacks its storage", () => goneAt(four).includes(SAN));
    two.speak(null);
    four.speak({ number: 2, members: [4], fenced: [2] });
    const blocked = () => four.room.machines.relocator.blocked["vm1"]?.code;
    await until("the storage is blamed", () => blocked() === "VM_STORAGE_GONE");
    expect(four.state("vm1")).toBe("none");
    four.storages.refusing.clear();
    await until("it runs on the other node", () => four.isOpen(1));
  });
});

describe("what is asked for and cannot be", () => {
  it("is refused with its place and the remedy", async () => {
    const host = await running();
    await expect(host.define("x", 9, "<domain>\n<name>x</nam></domain>")).rejects.toMatchObject({
      code: "DEFINITION_BROKEN",
      message: expect.stringContaining("the definition:2"),
      hint: expect.stringContaining("virsh dumpxml"),
    });
    await expect(host.define("vm2", 1)).rejects.toMatchObject({
      code: "MACHINE_EXISTS",
      message: expect.stringContaining("vm1 of node 4 has the UUID"),
      hint: expect.stringContaining("quorate vm list"),
    });
    await expect(host.wish("vm9", "stopped")).rejects.toMatchObject({
      code: "MACHINE_UNKNOWN",
      message: expect.stringContaining("nobody's"),
    });
    expect(host.state("vm1")).toBe("running");
    expect(Object.keys(host.room.machines.host.vms)).toEqual(["vm1"]);
  });

  it("does not take over what libvirt alone has started", async () => {
    const host = await site.host(4, configFor([4]));
    const uuid = "00000000-0000-4000-8000-000000000001";
    host.machines.guests.set("vm1", { name: "vm1", uuid, xml: "", state: "running", answersShutdown: true });
    host.machines.changed();
    host.speak({});
    await until("it was seen", () => host.room.machines.host.vms["vm1"]?.copy !== undefined);
    await until("it is told", () => host.logged.join("\n").includes("VM_FOREIGN"));
    await expect(host.define("vm1", 1)).rejects.toMatchObject({
      code: "MACHINE_BUSY",
      message: expect.stringContaining("started by somebody else"),
      hint: expect.stringContaining("virsh shutdown vm1"),
    });
    expect(host.state("vm1")).toBe("running");
  });

  it("has a name that another node has already", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    four.speak({ members: [2, 4], leader: 4 });
    two.speak({ members: [2, 4], leader: 4 });
    await two.define("vm1", 1);
    await until("node 4 knows", () => four.room.reports.some(({ records }) => records.length > 0));
    const ofTwo = { code: "MACHINE_EXISTS", message: "vm1 is node 2's already." };
    await expect(four.define("vm1", 2)).rejects.toMatchObject(ofTwo);
    // A UUID is compared although this node never had the definition.
    await expect(four.define("vm2", 1)).rejects.toMatchObject({
      code: "MACHINE_EXISTS",
      message: expect.stringContaining("vm1 of node 2 has the UUID"),
    });
    await until("it runs", () => two.isOpen(1));
    await two.wish("vm1", "stopped");
    await until("its placement is over", () => two.room.machines.host.vms["vm1"]?.saved?.released !== null);
    await until("node 4 knows", () => four.room.inventory()[0]?.record.released !== null);
    await expect(four.define("vm1", 2)).rejects.toMatchObject(ofTwo);
    await expect(four.define("vm1", 1)).rejects.toMatchObject({ hint: expect.stringContaining("--node 2") });
  });

  it("is being given up elsewhere, where something is left of it", async () => {
    const config = configFor([2, 4], { machines: { ...MACHINES, shutdownGraceMs: 3000 } });
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    four.speak({ members: [2, 4], leader: 4 });
    two.speak({ members: [2, 4], leader: 4 });
    await two.define("deaf1", 1);
    await until("it runs", () => two.isOpen(1));
    await two.wish("deaf1", "undefined");
    await until("node 4 knows", () => four.room.inventory()[0]?.record.wanted === "undefined");
    await expect(four.define("deaf1", 1)).rejects.toMatchObject({
      code: "MACHINE_BUSY",
      message: expect.stringContaining("being given up on node 2"),
    });
  });
});

describe("a machine that was given up", () => {
  it("is taken in again on another node, on whose disk alone it lies now", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    four.speak({ members: [2, 4], leader: 4 });
    two.speak({ members: [2, 4], leader: 4 });
    await two.define("vm1", 1);
    await until("it runs", () => two.isOpen(1));
    await two.wish("vm1", "undefined");
    await until("node 4 knows that it is over", () => {
      const record = four.room.inventory()[0]?.record;
      return record?.wanted === "undefined" && record.released !== null;
    });
    await four.define("vm1", 1, localDefinitionOf("vm1", 1));
    await until("it runs on node 4", () => four.state("vm1") === "running");
    expect(two.state("vm1")).toBe("none");
    await until("node 2 has let it go", () => two.room.machines.host.vms["vm1"]?.saved == null);
    expect(two.room.inventory()).toMatchObject([
      { node: 4, record: { wanted: "running", storage: "local" } },
    ]);
  });
});

describe("a host that was away", () => {
  it("sees its machine started elsewhere from the definition that it had, and gives its own copy up", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    const speak = (change: Parameters<MachineHost["speak"]>[0]) => {
      two.speak(change);
      four.speak(change);
    };
    speak({ members: [2, 4], leader: 4 });
    await two.define("vm1", 1);
    await until("it runs on the node that defined it", () => two.isOpen(1));
    const digest = two.room.machines.host.vms["vm1"]?.record?.definition ?? "";
    expect(four.room.definitions.peek(digest)).toBeUndefined();
    // Cut off from its evaluator: its gates run out while its process lives.
    two.speak(null);
    await until("its gates are shut", () => !two.passes(1).network && !two.passes(1).storage);
    four.speak({ number: 2, members: [4], fenced: [2] });
    await until("it runs on the other node", () => four.isOpen(1));
    expect(four.room.definitions.peek(digest)?.xml).toBe(definitionOf("vm1", 1));
    expect(two.isOpen(1)).toBe(false);
    expect(two.state("vm1")).not.toBe("running");
    expect(four.reportUnder(1).strays).toEqual([2]);
    expect(two.reportUnder(1).cleanUnderTerm).toBeNull();
    // It learns of its removal, and what it has is taken away before it is clean.
    two.speak({ number: 2, members: [4], out: true });
    await until("its copy is gone", () => two.state("vm1") === "none");
    await until("it is clean", () => two.reportUnder(1).cleanUnderTerm === 1);
    await until("it is no stray", () => four.reportUnder(1).strays === undefined);
    expect(four.isOpen(1)).toBe(true);
  });
});

describe("what is on the disk", () => {
  it("is set aside when it is damaged, and said; the copy that runs is shut off, and taken away once it is another's", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    const members = [2, 4];
    four.speak({ members, leader: 4 });
    two.speak({ members, leader: 4 });
    await two.define("vm1", 1);
    await until("it runs where it was defined", () => two.isOpen(1));
    // As from a replica: its writer will not answer any more.
    const digest = two.room.machines.host.vms["vm1"]?.record?.definition ?? "";
    await four.room.definitions.get(digest, [2]);
    two.speak(null);
    await two.part.close();
    const folder = join(two.stateDir, "machines");
    writeFileSync(join(folder, "records.state"), "torn");
    await until("its gates are shut", () => !two.passes(1).network && !two.passes(1).storage);
    four.speak({ number: 2, members: [4], fenced: [2] });
    await until("it runs on the other node", () => four.isOpen(1));
    two.logged.length = 0;
    await two.open();
    expect(readdirSync(folder)).toContain("records.state.refused");
    expect(two.logged.join("\n")).toMatch(/STATE_\w+.*records\.state/);
    expect(two.passes(1)).toEqual(NONE);
    await until("the master knows of the copy", () => four.reportUnder(1).strays?.includes(2) === true);
    two.speak({ number: 2, members: [4], out: true });
    await until("it is gone", () => two.state("vm1") === "none");
    await until("node 2 is clean", () => two.reportUnder(1).cleanUnderTerm === 1);
    await until("it is no stray", () => four.reportUnder(1).strays === undefined);
    expect(two.isOpen(1)).toBe(false);
    expect(four.isOpen(1)).toBe(true);
  });

  it("holds what is known shut before anybody asks, and says nothing of a host that has not looked", async () => {
    const host = await running();
    host.speak(null);
    await host.part.close();
    await until("its gates are shut", () => !host.isOpen(1));
    host.kernel.flushRuleset();
    host.machines.isDown = true;
    await host.open();
    expect(host.passes(1)).toEqual(NONE);
    host.speak({ number: 2, members: [2], leader: 2, out: true });
    await until("libvirt was asked", () => Object.keys(host.room.machines.host.troubles).length > 0);
    expect((await host.ask()).report).toBeNull();
    expect(host.reportUnder(1).cleanUnderTerm).toBeNull();
  });

  it("is a new life's with every start", async () => {
    const host = await site.host(4, configFor([4]));
    const first = host.room.machines.host.incarnation;
    await host.restart();
    expect(host.room.machines.host.incarnation).toBeGreaterThan(first);
  });
});

describe("the configuration", () => {
  it("that no longer has the section takes the gate away and leaves the machines alone", async () => {
    const host = await running();
    const { machines: _machines, ...without } = host.config;
    await host.part.configure(without);
    expect(host.part.room).toBeNull();
    expect(host.kernel.storage).toBeUndefined();
    expect(host.passes(1)).toEqual(BOTH);
    expect(host.state("vm1")).toBe("running");
    expect(host.reportUnder(1).cleanUnderTerm).toBe(1);
    await expect(host.ask()).rejects.toMatchObject({ code: expect.any(String) });
  });

  it("is not clean between its arrival and the first look", async () => {
    const { machines: _machines, ...without } = configFor([4]);
    const host = await site.host(4, without);
    expect(host.reportUnder(1).cleanUnderTerm).toBe(1);
    const opening = host.part.configure({ ...without, machines: MACHINES });
    expect(host.reportUnder(1).cleanUnderTerm).toBeNull();
    await opening;
    host.speak({ out: true });
    await until("it has looked and is clean", () => host.reportUnder(1).cleanUnderTerm === 1);
  });

  it("places nothing on a node in maintenance, until that ends by itself", async () => {
    const maintenanceUntil = new Date(Date.now() + 1500).toISOString();
    const host = await site.host(4, configFor([4], { nodes: [nodeOf(4, { maintenanceUntil })] }));
    host.speak({});
    await host.define("vm1", 1);
    await until("it waits", () => host.room.machines.relocator.blocked["vm1"] !== undefined);
    expect(host.room.machines.relocator.config.policy.blocked).toEqual([4]);
    expect(Date.now()).toBeLessThan(Date.parse(maintenanceUntil));
    await until("it runs", () => host.isOpen(1));
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(maintenanceUntil));
    expect(host.room.machines.relocator.config.policy.blocked).toEqual([]);
  });
});
