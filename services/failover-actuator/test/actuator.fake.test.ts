import { afterEach, describe, expect, it } from "vitest";
import { CONFIG, FakeHost, VIP } from "./fake-host.ts";

let host: FakeHost;

afterEach(() => host.stop());

async function master(): Promise<FakeHost> {
  host = new FakeHost();
  host.grant({});
  await host.until("it is master", () => host.report?.service === "ready" && host.report.gate === "open");
  return host;
}

describe("the actuator on fakes", () => {
  it("becomes master, reports at once, and goes down in order", async () => {
    await master();
    expect(host.answers(VIP)).toBe(true);
    const names = host.events.map(({ name }) => name);
    const places = ["address_added", "gate_opened", "relocated", "service_started", "service_ready"] as const;
    const at = places.map((name) => names.indexOf(name));
    expect(at).toEqual([...at].sort((left, right) => left - right));
    expect(at[0]).toBeGreaterThanOrEqual(0);
    expect(host.report?.able.ok).toBe(true);

    host.grant({ term: 2, role: "slave" });
    await host.until(
      "it is clean",
      () => host.report?.cleanUnderTerm === 2 && host.report.service === "stopped",
    );
    expect(host.kernel.address(VIP)).toBeUndefined();
    await host.until("the lock is gone", () => host.files.get("/run/quorate/service.lock") === undefined);
    const down = host.events.map(({ name }) => name).slice(names.length);
    expect(down.indexOf("gate_shut")).toBeLessThan(down.indexOf("address_removed"));
  });

  it("reports every T/5 while nothing changes", async () => {
    await master();
    await host.until(
      "the announcements are over",
      () => host.events.filter((e) => e.name === "address_announced").length >= 5,
    );
    const from = host.reports.length;
    await host.until("ten reports came", () => host.reports.length >= from + 10, 5000);
    const stamps = host.reports.slice(from, from + 10).map(({ stampUs }) => stampUs);
    // T is 400 ms: nine gaps of 80 ms, some shorter when something was found; a busy machine makes them longer.
    expect((stamps.at(-1) ?? 0) - (stamps[0] ?? 0)).toBeGreaterThan(300_000);
  });

  it("confirms a close only once it is written down", async () => {
    await master();
    host.diskIsFull = true;
    host.grant({ role: "slave", close: true, generation: 2 });
    await host.until(
      "the gate is shut",
      () => host.report?.gate === "shut" && host.report.problems.length > 0,
    );
    expect(host.report?.shutConfirmed).toBe(null);
    expect(host.report?.guarantees.find(({ name }) => name === "closed stays closed")?.inForce).toBe(false);
    host.diskIsFull = false;
    await host.until("it is confirmed", () => host.report?.shutConfirmed?.generation === 2);
    await host.restart();
    const from = host.reports.length;
    host.grant({ generation: 2 });
    // The grant is refused: seen in what is reported after several of them.
    await host.until("it reports again", () => host.report?.able.ok === true);
    await host.until("it has reported under these grants", () => host.reports.length >= from + 4);
    expect(host.reports.slice(from).every(({ gate }) => gate !== "open")).toBe(true);
    expect(host.answers(VIP)).toBe(false);
  });

  it("goes on over a crash and a start without touching the address", async () => {
    await master();
    const from = host.events.length;
    await host.restart();
    await host.until("it is master again", () => host.report?.service === "ready");
    expect(host.answers(VIP)).toBe(true);
    const names = host.events.slice(from).map(({ name }) => name);
    expect(names.filter((name) => ["address_added", "service_started", "relocated"].includes(name))).toEqual(
      [],
    );
  });

  it("repairs what others change, each with an event", async () => {
    await master();
    host.tables.flushRuleset();
    await host.until(
      "the tables are back",
      () => host.tables.held !== undefined && host.report?.gate === "open",
    );
    host.kernel.deleteAddress(VIP);
    await host.until("the address is back", () => host.answers(VIP));
    host.service("serve").crash();
    await host.until("the service is back", () => host.service("serve").starts === 2);
    await host.until("it is ready", () => host.report?.service === "ready");
    host.files.remove("/run/quorate/service.lock");
    await host.until("the lock is back", () => host.files.get("/run/quorate/service.lock") !== undefined);
    const repaired = () => host.events.filter(({ name }) => name === "repaired").map((event) => event.new);
    await host.until("the last one is told", () => repaired().includes("lock"));
    expect(new Set(repaired())).toEqual(new Set(["10.92.0.100", "loaded", "lock", "managed service"]));
  });

  it("does not take an address in use, and takes it when it is free", async () => {
    host = new FakeHost();
    host.kernel.foreignHolders.set(VIP, "02:00:00:00:00:09");
    host.grant({});
    await host.until("it is told", () => host.report?.able.code === "ADDRESS_IN_USE");
    expect(host.kernel.address(VIP)).toBeUndefined();
    host.kernel.foreignHolders.delete(VIP);
    await host.until("it is taken", () => host.answers(VIP));
  });

  it("changes the managed service and the lock's place with the configuration", async () => {
    await master();
    const managedService = {
      kind: "command",
      command: "other",
      startTimeoutMs: 5000,
      stopTimeoutMs: 1000,
    } as const;
    await host.actuator.configure({ ...CONFIG, configVersion: 2, managedService, lockFile: "/tmp/.lock" });
    await host.until("the other runs", () => host.service("other").state.kind === "running");
    expect(host.service("serve").state.kind).toBe("stopped");
    await host.until("the lock moved", () => host.files.get("/tmp/.lock") !== undefined);
    expect(host.files.get("/run/quorate/service.lock")).toBeUndefined();
    await host.until("it is ready", () => host.report?.service === "ready");
    expect(host.answers(VIP)).toBe(true);
  });

  it("is unable without carrier", async () => {
    await master();
    host.kernel.setDevice("vmbr0", false);
    await host.until("it is told", () => host.report?.able.code === "NO_CARRIER");
    host.kernel.setDevice("vmbr0", true);
    await host.until("it is well", () => host.report?.able.ok === true);
  });

  it("asked to end, takes everything down while grants still come; the service stays while automation is off", async () => {
    await master();
    await host.actuator.takeDown(5000);
    expect(host.answers(VIP)).toBe(false);
    expect(host.kernel.address(VIP)).toBeUndefined();
    expect(host.service("serve").state.kind).toBe("stopped");
    expect(host.files.get("/run/quorate/service.lock")).toBeUndefined();
    await host.restart();
    await host.until("it is master again", () => host.report?.service === "ready");
    host.grant({ disarmed: true });
    await host.until(
      "automation is off",
      () => host.report?.problems.some(({ code }) => code === "DISARMED") === true,
    );
    await host.actuator.takeDown(5000);
    expect(host.kernel.address(VIP)).toBeUndefined();
    expect(host.service("serve").state.kind).toBe("running");
  });
});
