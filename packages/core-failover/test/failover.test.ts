import { describe, expect, it } from "vitest";
import { CONFIG, grantOf, granting, VIP, World } from "./world.ts";

function master(): World {
  const world = new World();
  world.run(50_000);
  granting(world, 1_000_000);
  return world;
}

describe("becoming master", () => {
  it("goes lock, address, gate, announcement, move, service, and ends ready", () => {
    const world = new World();
    world.run(50_000);
    const from = world.log.length;
    granting(world, 500_000);
    const kinds: string[] = world.log
      .slice(from)
      .map((each) => (each.kind === "write-file" ? each.file : each.kind));
    const first = (kind: string) => kinds.indexOf(kind);
    const orderOfFirsts = ["lock", "add-address", "renew-gate", "relocate", "marker", "start-service"].map(
      first,
    );
    expect(orderOfFirsts).toEqual([...orderOfFirsts].sort((left, right) => left - right));
    expect(orderOfFirsts.every((index) => index >= 0)).toBe(true);
    expect(first("announce")).toBeGreaterThan(first("renew-gate"));
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.report).toMatchObject({ gate: "open", address: "present", service: "ready", problems: [] });
    expect(world.report?.able).toEqual({ ok: true, code: "OK", message: expect.any(String) });
    expect(world.violations).toEqual([]);
  });

  it("answers within a few steps of the grant", () => {
    const world = new World();
    world.run(50_000);
    const fromUs = world.nowUs;
    world.input({ kind: "grant", grant: grantOf(world.nowUs) });
    while (!world.answers(VIP.address)) world.run(100);
    // Six operations of 0.5 ms each way: write the lock, put the address on, open.
    expect(world.nowUs - fromUs).toBeLessThan(4_000);
  });

  it("announces at 0, T/10, T/4, 1 s and 3 s, and again on a foreign claim", () => {
    const world = new World();
    world.run(50_000);
    granting(world, 5_000_000);
    const count = () => world.log.filter((each) => each.kind === "announce" && each.ip === VIP).length;
    const announced = world.log.filter((each) => each.kind === "announce");
    expect(announced.length).toBe(10);
    world.input({ kind: "foreign-claim", address: VIP.address, mac: "02:00:00:00:00:01" });
    granting(world, 500_000);
    expect(world.log.filter((each) => each.kind === "announce").length).toBe(13);
    expect(world.report?.problems.map(({ code }) => code)).toContain("ADDRESS_IN_USE");
    expect(world.report?.able.ok).toBe(true);
    expect(count()).toBeGreaterThanOrEqual(0);
  });

  it("renews the gate when a sixth of a token is gained: not with every grant of a restless master", () => {
    const world = master();
    const before = world.log.filter((each) => each.kind === "renew-gate").length;
    granting(world, 10_000_000);
    const renewals = world.log.filter((each) => each.kind === "renew-gate").length - before;
    expect(renewals).toBeGreaterThanOrEqual(45);
    expect(renewals).toBeLessThanOrEqual(55);
  });

  it("skips the move when the marker of this term is there", () => {
    const world = master();
    world.service = "stopped";
    const from = world.log.length;
    world.restart();
    granting(world, 1_000_000);
    expect(world.log.slice(from).some((each) => each.kind === "relocate")).toBe(false);
    expect(world.report?.service).toBe("ready");
    // The next mastership is a move again.
    granting(world, 500_000, { term: 2, role: "slave" });
    granting(world, 1_000_000, { term: 3 });
    expect(world.log.filter((each) => each.kind === "relocate").length).toBe(2);
    expect(world.disk.get("marker")?.term).toBe(3);
  });

  it("does not take an address that another machine answers for, and takes it when that one is gone", () => {
    const world = new World();
    world.foreign = true;
    granting(world, 2_000_000);
    expect(world.interface.size).toBe(0);
    expect(world.report?.able).toMatchObject({ ok: false, code: "ADDRESS_IN_USE" });
    expect(JSON.stringify(world.report?.problems)).toContain("02:00:00:00:00:99");
    world.foreign = false;
    granting(world, 1_000_000);
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.report?.able.ok).toBe(true);
  });
});

describe("losing the role", () => {
  it("shuts the gate first, then takes address and service away, the files last", () => {
    const world = master();
    const from = world.log.length;
    granting(world, 500_000, { term: 2, role: "slave" });
    const kinds = world.log.slice(from).map(({ kind }) => kind);
    expect(kinds.indexOf("shut-gate")).toBeGreaterThanOrEqual(0);
    expect(kinds.indexOf("remove-address")).toBeGreaterThan(kinds.indexOf("shut-gate"));
    expect(kinds.indexOf("stop-service")).toBeGreaterThan(kinds.indexOf("shut-gate"));
    expect(kinds.indexOf("remove-file")).toBeGreaterThan(kinds.indexOf("stop-service"));
    expect(world.interface.size + world.disk.size).toBe(0);
    expect(world.service).toBe("stopped");
    expect(world.report).toMatchObject({
      gate: "shut",
      address: "absent",
      service: "stopped",
      cleanUnderTerm: 2,
    });
    expect(world.violations).toEqual([]);
  });

  it("confirms a close within a few operations and never opens under that name again", () => {
    const world = master();
    const fromUs = world.nowUs;
    world.input({
      kind: "grant",
      grant: grantOf(world.nowUs, { close: true, role: "slave", generation: 2 }),
    });
    expect(world.report?.shutConfirmed).toBe(null);
    while (world.report?.shutConfirmed === null && world.nowUs - fromUs < 100_000) world.run(100);
    expect(world.report?.shutConfirmed).toEqual({ term: 1, generation: 2 });
    expect(world.nowUs - fromUs).toBeLessThan(3_000);
    granting(world, 1_000_000, { generation: 2 });
    granting(world, 1_000_000, { generation: 1 });
    expect(world.answers(VIP.address)).toBe(false);
    world.restart();
    granting(world, 1_000_000, { generation: 2 });
    expect(world.answers(VIP.address)).toBe(false);
    granting(world, 1_000_000, { generation: 3 });
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.violations).toEqual([]);
  });

  it("without grants falls silent within the lease and cleans up", () => {
    const world = master();
    world.run(900_000);
    expect(world.answers(VIP.address)).toBe(false);
    world.run(100_000);
    expect(world.interface.size).toBe(0);
    expect(world.service).toBe("stopped");
  });

  it("voids every lease when the kernel was paused", () => {
    const world = master();
    world.input({ kind: "clock-jumped", jumpUs: 5_000_000 });
    expect(world.log.at(-1)?.kind).toBe("shut-gate");
    world.run(5_000);
    expect(world.interface.size).toBe(0);
    granting(world, 1_000_000);
    expect(world.answers(VIP.address)).toBe(true);
  });

  it("takes no grant that is old, of the future, or of an earlier name", () => {
    const world = new World();
    world.run(300_000);
    world.input({ kind: "grant", grant: grantOf(world.nowUs, { ageUs: 200_001 }) });
    world.input({ kind: "grant", grant: grantOf(world.nowUs + 1) });
    world.run(100_000);
    expect(world.state.grant).toBe(null);
    granting(world, 100_000, { term: 5, role: "slave" });
    granting(world, 500_000, { term: 4 });
    expect(world.interface.size).toBe(0);
    expect(world.report?.problems.map(({ code }) => code)).toEqual(["GRANT_REFUSED"]);
  });
});

describe("a restart of the process", () => {
  it("adopts what it finds without a gap, a probe, a second start or a move", () => {
    const world = master();
    world.alive = false;
    world.freeze(300_000);
    const from = world.log.length;
    world.restart();
    const endUs = world.nowUs + 1_000_000;
    while (world.nowUs < endUs) {
      expect(world.answers(VIP.address)).toBe(true);
      world.run(20_000);
      if (world.nowUs % 100_000 < 20_000) world.input({ kind: "grant", grant: grantOf(world.nowUs) });
    }
    const kinds = new Set(world.log.slice(from).map(({ kind }) => kind));
    for (const kind of ["probe-address", "add-address", "start-service", "relocate", "write-file"] as const) {
      expect(kinds.has(kind)).toBe(false);
    }
    expect(world.report?.service).toBe("ready");
  });

  it("removes what it finds, gate first, when it is not master", () => {
    const world = master();
    world.restart();
    const from = world.log.length;
    granting(world, 500_000, { role: "slave", term: 2 });
    const kinds = world.log.slice(from).map(({ kind }) => kind);
    expect(kinds.indexOf("remove-address")).toBeGreaterThan(kinds.indexOf("shut-gate"));
    expect(world.interface.size + world.disk.size).toBe(0);
    expect(world.violations).toEqual([]);
  });

  it("takes down what it finds when nothing is granted for a token", () => {
    const world = master();
    world.restart();
    world.run(1_100_000);
    expect(world.interface.size).toBe(0);
    expect(world.service).toBe("stopped");
  });
});

describe("repair", () => {
  it("puts a removed address back without a new probe", () => {
    const world = master();
    const from = world.log.length;
    world.interface.delete(VIP.address);
    world.input({ kind: "changed", what: "address", address: VIP.address, change: "removed" });
    world.run(10_000);
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.log.slice(from).some((each) => each.kind === "probe-address")).toBe(false);
    expect(world.log.slice(from).some((each) => each.kind === "announce")).toBe(true);
  });

  it("asks first for a removed address that another machine claims, and takes it when that one is gone", () => {
    const world = master();
    world.foreign = true;
    world.input({ kind: "foreign-claim", address: VIP.address, mac: "02:00:00:00:00:01" });
    world.interface.delete(VIP.address);
    world.input({ kind: "changed", what: "address", address: VIP.address, change: "removed" });
    granting(world, 500_000);
    expect([...world.interface.keys()]).not.toContain(VIP.address);
    world.foreign = false;
    granting(world, 1_000_000);
    expect(world.answers(VIP.address)).toBe(true);
  });

  it("remembers a claim that comes while its gate is shut, and asks before it puts a removed address back", () => {
    const world = master();
    world.broken.add("renew-gate");
    granting(world, 1_500_000);
    expect(world.isOpen(VIP.address)).toBe(false);
    expect([...world.interface.keys()]).toContain(VIP.address);
    world.foreign = true;
    world.input({ kind: "foreign-claim", address: VIP.address, mac: "02:00:00:00:00:01" });
    world.interface.delete(VIP.address);
    world.input({ kind: "changed", what: "address", address: VIP.address, change: "removed" });
    granting(world, 500_000);
    expect([...world.interface.keys()]).not.toContain(VIP.address);
  });

  it("loads flushed tables again; when it cannot, takes the address away until it can", () => {
    const world = master();
    world.tables = false;
    world.open.clear();
    granting(world, 400_000);
    expect(world.tables && world.answers(VIP.address)).toBe(true);
    world.broken.add("load-gate");
    world.tables = false;
    world.open.clear();
    granting(world, 1_500_000);
    expect(world.interface.size).toBe(0);
    expect(world.report?.able).toMatchObject({ ok: false, code: "TOOL_FAILED" });
    expect(world.report?.gate).toBe("unknown");
    world.broken.clear();
    granting(world, 1_500_000);
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.violations).toEqual([]);
  });

  it("writes a deleted lock again and starts a stopped service again", () => {
    const world = master();
    world.disk.delete("lock");
    world.disk.delete("marker");
    world.service = "stopped";
    world.input({ kind: "changed", what: "service" });
    granting(world, 2_500_000);
    expect([...world.disk.keys()].sort()).toEqual(["lock", "marker"]);
    expect(world.report?.service).toBe("ready");
    expect(world.log.filter((each) => each.kind === "relocate").length).toBe(1);
  });

  it("is unable after three failures in a minute, keeps trying, and recovers", () => {
    const world = master();
    for (let failure = 0; failure < 3; failure++) {
      world.service = "failed";
      world.input({ kind: "changed", what: "service" });
      granting(world, 2_000_000);
    }
    expect(world.report?.able).toMatchObject({ ok: false, code: "SERVICE_FAILED" });
    expect(world.service).toBe("running");
    granting(world, 61_000_000);
    expect(world.report?.able.ok).toBe(true);
    expect(world.report?.problems).toEqual([]);
  });

  it("counts a service that never becomes ready as unable, and starts it anew", () => {
    const world = new World();
    world.serviceAnswers = false;
    granting(world, 9_000_000);
    expect(world.report).toMatchObject({ service: "starting", able: { ok: true } });
    granting(world, 3_000_000);
    expect(world.report?.able).toMatchObject({ ok: false, code: "SERVICE_FAILED" });
    expect(world.log.filter((each) => each.kind === "start-service").length).toBe(2);
  });

  it("says at once when carrier or device are gone", () => {
    const world = master();
    world.carrier = "down";
    world.input({ kind: "changed", what: "link", device: "vmbr0" });
    world.run(2_000);
    expect(world.report?.able).toMatchObject({ ok: false, code: "NO_CARRIER" });
    world.carrier = "missing";
    world.interface.clear();
    world.input({ kind: "changed", what: "link", device: "vmbr0" });
    granting(world, 300_000);
    expect(world.report?.able).toMatchObject({ ok: false, code: "INTERFACE_MISSING" });
    world.carrier = "up";
    world.input({ kind: "changed", what: "link", device: "vmbr0" });
    granting(world, 300_000);
    expect(world.answers(VIP.address)).toBe(true);
  });
});

describe("disarmed", () => {
  it("moves the address with the lease and leaves the service alone", () => {
    const world = master();
    world.service = "stopped";
    granting(world, 3_000_000, { disarmed: true });
    expect(world.service).toBe("stopped");
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.report?.problems.map(({ code }) => code)).toEqual(["DISARMED"]);
    world.service = "running";
    granting(world, 3_000_000, { term: 2, role: "slave", disarmed: true });
    expect(world.interface.size).toBe(0);
    expect(world.service).toBe("running");
    granting(world, 3_000_000, { term: 2, role: "slave" });
    expect(world.service).toBe("stopped");
  });
});

describe("configuration", () => {
  it("lets go of an address that left the configuration, and keeps it guarded until it is gone", () => {
    const world = master();
    world.config = { ...CONFIG, clusterIps: [VIP] };
    world.input({ kind: "config", config: world.config });
    granting(world, 500_000);
    expect([...world.interface.keys()]).toEqual([VIP.address]);
    expect(world.loaded).toEqual([VIP]);
    expect(world.answers(VIP.address)).toBe(true);
    expect(world.violations).toEqual([]);
  });
});

describe("purity", () => {
  it("does not change the state it is given", () => {
    const world = new World();
    const before = () => structuredClone(world.state);
    let kept = world.state;
    let copy = before();
    for (let turn = 0; turn < 200; turn++) {
      if (turn === 100) world.interface.clear();
      if (turn === 120) world.foreign = true;
      const role = turn > 150 ? "slave" : "master";
      world.input({ kind: "grant", grant: grantOf(world.nowUs, { role, term: turn > 150 ? 2 : 1 }) });
      expect(kept).toEqual(copy);
      kept = world.state;
      copy = before();
      world.run(50_000);
      expect(kept).toEqual(copy);
      kept = world.state;
      copy = before();
    }
  });
});
