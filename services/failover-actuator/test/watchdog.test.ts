import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configFor, definitionOf, type MachineHost, MachineSite, until } from "./machine-site.ts";

const TIMEOUT_MS = 2000;
const CONFIG = configFor([4], {
  watchdog: { device: "/dev/watchdog", timeoutMs: TIMEOUT_MS, softdog: false },
});
/** Its NIC is the host's own: no gate holds it. */
const UNGATED = definitionOf("vm1", 1).replace(
  "<interface type='bridge'><source bridge='vmbr0'/>",
  "<interface type='direct'><source dev='eth0'/>",
);

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

async function running(): Promise<MachineHost> {
  const host = await site.host(4, CONFIG);
  host.speak({});
  await host.define("vm1", 1, UNGATED);
  await until("vm1 runs", () => host.state("vm1") === "running");
  return host;
}

describe("a host's watchdog", () => {
  it("is armed with the machine's start, fed under the lease, and disarmed when it has stopped", async () => {
    const host = await running();
    const { watchdog } = host;
    expect(watchdog).toMatchObject({ isArmed: true, timeoutMs: TIMEOUT_MS });
    expect((await host.ask()).watchdog).toEqual({ timeoutMs: TIMEOUT_MS, state: "armed" });
    expect(host.room.machines.host.vms["vm1"]?.saved).toMatchObject({ watchdogUs: TIMEOUT_MS * 1000 });
    const { feeds } = watchdog;
    await until("it is fed again", () => watchdog.feeds > feeds + 1);
    await host.wish("vm1", "stopped");
    await until("it is disarmed", () => !watchdog.isArmed);
  });

  it("goes on through a restart of the process, which takes it over under a lease alone", async () => {
    const host = await running();
    const { watchdog } = host;
    host.speak(null);
    await host.restart();
    expect(watchdog).toMatchObject({ isArmed: true, holder: null });
    const { feeds } = watchdog;
    host.speak({});
    await until("it is fed again", () => watchdog.holder !== null && watchdog.feeds > feeds);
    expect(watchdog.isArmed).toBe(true);
  });

  it("is left to bite when the lease lapses, and that is said before it does", async () => {
    const host = await running();
    const { watchdog } = host;
    host.speak(null);
    await until("it is said", () => host.logged.some((line) => line.includes("WATCHDOG_STARVES")));
    expect((await host.ask()).watchdog).toMatchObject({ state: "starving" });
    const { feeds } = watchdog;
    await until("the machine is suspended", () => host.state("vm1") === "paused");
    expect(watchdog).toMatchObject({ isArmed: true, feeds });
    host.speak({});
    await until("it is fed again", () => watchdog.feeds > feeds);
  });

  it("is taken over although its section was deleted meanwhile", async () => {
    const host = await running();
    const { watchdog } = host;
    const { watchdog: _, ...config } = CONFIG;
    host.speak(null);
    host.config = config;
    await host.restart();
    host.speak({});
    await until("it is held again", () => watchdog.holder !== null);
    const { feeds } = watchdog;
    await until("it is fed again", () => watchdog.feeds > feeds + 1);
    await host.wish("vm1", "stopped");
    await until("it is disarmed", () => !watchdog.isArmed);
  });

  it("that a process left armed is taken down by the next one where nothing needs it, without a lease", async () => {
    const host = await running();
    const { watchdog } = host;
    await host.wish("vm1", "stopped");
    await until("it is disarmed", () => !watchdog.isArmed);
    host.speak(null);
    watchdog.isArmed = true;
    await host.restart();
    await until("it is disarmed again", () => !watchdog.isArmed);
  });

  it("that does not stop is fed on when the care for machines is given up, until it does", async () => {
    const host = await running();
    const { watchdog } = host;
    watchdog.isStubborn = true;
    const { machines: _, ...config } = CONFIG;
    await host.part.configure(config);
    expect(watchdog.isArmed).toBe(true);
    watchdog.isStubborn = false;
    await until("it is disarmed", () => !watchdog.isArmed);
  });

  it("that is lost ends the machine, and the master knows why", async () => {
    const host = await running();
    host.watchdog.isMissing = true;
    await until("it is ended", () => host.state("vm1") !== "running");
    expect(host.logged.some((line) => line.includes("WATCHDOG_LOST"))).toBe(true);
    const why = () => host.room.machines.relocator.blocked["vm1"];
    await until("it waits", () => why()?.code === "VM_FAILED");
    expect(why()?.message).toContain("or not at all, and this host has none");
  });

  it("bites nobody when the care for machines is given up", async () => {
    const host = await running();
    const { machines: _, ...config } = CONFIG;
    await host.part.configure(config);
    expect(host.watchdog.isArmed).toBe(false);
    expect(host.state("vm1")).toBe("running");
  });

  it("that is missing is named, and the machine runs without its promise", async () => {
    const host = await site.host(4, CONFIG);
    host.watchdog.isMissing = true;
    host.speak({});
    await host.define("vm1", 1, UNGATED);
    await until("vm1 runs", () => host.state("vm1") === "running");
    expect(host.room.machines.host.vms["vm1"]?.saved?.watchdogUs).toBeUndefined();
    const { problems } = await host.ask();
    expect(problems).toMatchObject([{ code: "WATCHDOG_MISSING" }]);
    expect((await host.ask()).watchdog).toEqual({ timeoutMs: TIMEOUT_MS, state: "missing" });
  });
});
