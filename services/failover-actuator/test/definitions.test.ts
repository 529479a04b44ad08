import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { machineNumber, machineUser } from "@quorate/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  configFor,
  definitionOf,
  localDefinitionOf,
  MACHINES,
  type MachineHost,
  MachineSite,
  until,
  uuidOf,
} from "./machine-site.ts";

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

async function running(): Promise<MachineHost> {
  const host = await site.host(4, configFor([4]));
  host.speak({});
  await host.define("vm1", 1);
  await until("vm1 is reachable", () => host.isOpen(1) && host.state("vm1") === "running");
  return host;
}

describe("a machine that is defined otherwise while it runs", () => {
  it("has the storage that it runs on held, also by the next life of the process", async () => {
    const other = { address: "10.99.0.7", port: 10_809 };
    const host = await site.host(4, configFor([4], { machines: { ...MACHINES, storage: [] } }));
    host.speak({});
    await host.define("vm1", 1, definitionOf("vm1", 1).replace("10.99.0.1", other.address));
    await until("it runs", () => host.state("vm1") === "running");
    const started = host.room.machines.host.vms["vm1"]?.record?.definition;
    await host.define("vm1", 1);
    await until("that is on the disk", () => host.room.machines.host.vms["vm1"]?.saved?.revision === 2);
    expect(host.room.machines.host.vms["vm1"]?.record).toMatchObject({ started: { definition: started } });
    await host.restart();
    host.speak(null);
    const user = machineUser(machineNumber(uuidOf(1)));
    await until("its lease has lapsed", () => !host.kernel.passesStorage(user, other));
  });

  it("keeps its UUID", async () => {
    const host = await running();
    await expect(host.define("vm1", 2)).rejects.toMatchObject({ code: "MACHINE_BUSY" });
    expect(host.isOpen(1)).toBe(true);
  });
});

describe("a machine that was given up and is started by hand", () => {
  it("runs on, and is not taken in while it does", async () => {
    const host = await running();
    await host.wish("vm1", "undefined");
    await until("it is over", () => host.room.machines.host.vms["vm1"]?.saved?.released != null);
    const uuid = uuidOf(1);
    host.machines.guests.set("vm1", { name: "vm1", uuid, xml: "", state: "running", answersShutdown: true });
    host.room.machines.toHost({ kind: "changed" });
    await until("it is seen", () => host.room.machines.host.vms["vm1"]?.copy?.state === "running");
    await expect(host.define("vm1", 1)).rejects.toMatchObject({ code: "MACHINE_BUSY" });
    const { counter } = host.room.machines.relocator.reign ?? { counter: 0 };
    host.room.machines.toMaster({ kind: "tick" });
    await until("the master has heard of it", () =>
      (host.room.machines.relocator.reports[4]?.copies ?? []).some(({ vm }) => vm === "vm1"),
    );
    expect(host.room.machines.relocator.reign?.counter).toBe(counter);
    expect(host.state("vm1")).toBe("running");
  });
});

describe("a host whose records are damaged", () => {
  it("gets its machine back from the master's memory, started anew", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    for (const host of [two, four]) host.speak({ members: [2, 4], leader: 4 });
    await two.define("vm1", 1);
    await until("it runs", () => two.isOpen(1));
    await until("node 4 knows", () => four.room.inventory()[0]?.record.released === null);
    await two.part.close();
    writeFileSync(join(two.stateDir, "machines", "records.state"), "torn");
    await two.open();
    await until("it runs under care again", () => two.isOpen(1) || four.isOpen(1));
    expect(four.room.inventory()).toMatchObject([{ record: { vm: "vm1", wanted: "running" } }]);
    expect([two, four].filter((host) => host.state("vm1") === "running").length).toBe(1);
  });
});

describe("what libvirt knows", () => {
  it("and nobody has taken under care is shown with what it would mean", async () => {
    const host = await running();
    const { kept } = host.machines;
    kept.set("vm1", { xml: definitionOf("vm1", 1), autostart: false });
    kept.set("old1", { xml: localDefinitionOf("old1", 7), autostart: true });
    kept.set("odd", { xml: "<domain/>", autostart: false });
    const { domains } = await host.bus.request("failover-actuator", "machine-discover", 4, {}, 2000);
    expect(domains.map(({ name }) => name)).toEqual(["odd", "old1"]);
    expect(domains[0]).toMatchObject({ meaning: null, problem: expect.stringContaining("odd:1:") });
    expect(domains[1]).toMatchObject({
      ...{ state: "off", autostart: true, persistent: true },
      meaning: { memoryMib: 96, obstacles: [expect.stringContaining("on this host alone")] },
    });
  });
});

describe("a machine whose disk lies below a folder", () => {
  it("of this host alone is kept here, and may be had elsewhere once the folder is named as shared", async () => {
    const config = configFor([4]);
    const host = await site.host(4, config);
    host.speak({});
    const { obstacles } = await host.define("vm1", 1, localDefinitionOf("vm1", 1));
    expect(obstacles).toEqual([expect.stringContaining("on this host alone")]);
    const record = () => host.room.machines.host.vms["vm1"]?.record;
    expect(record()).toMatchObject({ storage: "local", gated: false, revision: 1 });
    const machines = { ...MACHINES, sharedMounts: ["/var/lib/vm"] };
    await host.part.configure({ ...config, machines });
    await until("its record says so", () => record()?.storage === "shared");
    expect(record()).toMatchObject({ storage: "shared", gated: false, wanted: "running", revision: 2 });
    const [entry] = (await host.ask()).obstacles;
    expect(entry?.obstacles).toEqual([expect.stringContaining("no gate of one machine holds")]);
    // Said once: what is as it should be is left alone, after a restart too.
    await host.restart();
    await host.part.configure({ ...config, machines });
    await until("it has read its records", () => record() !== undefined);
    expect(record()).toMatchObject({ revision: 2 });
  });
});
