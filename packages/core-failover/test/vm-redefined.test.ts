import { describe, expect, it } from "vitest";
import { copy, record, standing, Desk, TOKEN_US } from "./vm-desk.ts";
import { recordOf } from "./vm-model.ts";
import { runningAt } from "./vm-invariants.ts";
import { VmWorld } from "./vm-world.ts";

describe("a machine that no gate held when it was started", () => {
  it("is not fenced by a lease because its next start would be", () => {
    const world = new VmWorld(7);
    world.run(1_000_000);
    world.define(2, recordOf("u", { gated: false }));
    world.run(4_000_000);
    const [at] = runningAt(world, "u");
    if (at === undefined) throw new Error("it does not run");
    world.define(at, recordOf("u", { gated: true }));
    world.run(1_000_000);
    world.pause(at, 8_000_000);
    world.cut([at]);
    world.run(8_000_000);
    expect(world.violations).toEqual([]);
  });

  it.each([
    ["in the same reign", true],
    ["before the next reign", false],
  ])("waits for a proof although its host was taken off the node list %s", (_when, same) => {
    const desk = same ? standing({ gated: false }) : new Desk({ nodes: [1, 3] });
    if (same) {
      desk.fence(2);
      desk.go([1, 3], 2 * TOKEN_US);
      expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
      desk.fences = [];
      desk.input({ kind: "config", config: { ...desk.state.config, nodes: [1, 3] } });
    } else {
      desk.members = [1, 3];
      desk.replica([{ node: 2, record: record({ gated: false }) }]);
    }
    desk.go([1, 3], 4 * TOKEN_US);
    expect(desk.codes).not.toContain("VM_PLACED");
    expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
    expect(desk.state.blocked["a"]?.message).toContain("on the list again");
  });
});

describe("a machine that the gates hold", () => {
  it("is placed when its host, which found no room for it elsewhere, is taken off the node list", () => {
    const desk = standing();
    for (const node of [1, 3]) desk.hosts.set(node, { copies: [], records: [], change: { memoryMib: 10 } });
    desk.go([1, 2, 3]);
    desk.fence(2);
    desk.go([1, 3], 2 * TOKEN_US);
    expect(desk.blockedFor()).toBe("VM_NO_ROOM");
    desk.fences = [];
    desk.input({ kind: "config", config: { ...desk.state.config, nodes: [1, 3] } });
    for (const node of [1, 3]) desk.hosts.set(node, { copies: [], records: [], change: {} });
    desk.go([1, 3], 2 * TOKEN_US);
    expect(desk.codes).toContain("VM_PLACED");
  });
});

describe("a power device", () => {
  it("that answers while the master's lease has lapsed for a moment is asked again", () => {
    const desk = standing({ gated: false }, { devices: [2] });
    desk.fence(2);
    desk.go([1, 3], 2 * TOKEN_US);
    const [first] = desk.asked;
    desk.nowUs += 995_000;
    desk.input({ kind: "power-off", node: 2, attempt: first?.attempt ?? 0, failure: null });
    expect(desk.codes).not.toContain("HOST_OFF_PROVED");
    desk.go([1, 3], 2 * TOKEN_US);
    expect(desk.asked.length).toBe(2);
  });

  it.each([
    ["taken out", [] as number[]],
    ["corrected", [2]],
  ])("that was %s while it was at work proves nothing by what it says then", (_what, devices) => {
    const desk = standing({ gated: false }, { devices: [2], devicesKey: "the wrong plug" });
    desk.fence(2);
    desk.go([1, 3], 2 * TOKEN_US);
    const [first] = desk.asked;
    desk.input({ kind: "config", config: { ...desk.state.config, devices, devicesKey: "another" } });
    desk.input({ kind: "power-off", node: 2, attempt: first?.attempt ?? 0, failure: null });
    desk.go([1, 3], TOKEN_US / 2);
    expect(desk.codes).not.toContain("HOST_OFF_PROVED");
  });
});

describe("a live move", () => {
  function arriving() {
    const desk = standing();
    desk.input({ kind: "move", vm: "a", to: 3 });
    const order = desk.orderTo(3);
    if (order?.kind !== "incoming") throw new Error("no incoming");
    const { placement } = order;
    desk.hosts.set(3, { copies: [copy({ state: "incoming", placement })], records: [], change: {} });
    desk.go([1, 2, 3]);
    expect(desk.orderTo(2)?.kind).toBe("migrate");
    return { desk, placement };
  }

  it("whose source speaks before its target is done all the same", () => {
    const { desk, placement } = arriving();
    desk.hosts.set(2, { copies: [], records: [record({ released: { to: placement } })], change: {} });
    desk.go([1, 2], TOKEN_US);
    expect(desk.orderTo(3)?.kind).toBe("incoming");
    desk.hosts.set(3, {
      ...{ copies: [copy({ state: "incoming-complete", placement })] },
      ...{ records: [], change: {} },
    });
    desk.go([1, 2, 3]);
    expect(desk.codes).toContain("VM_MOVED");
    expect(desk.orderTo(3)?.kind).toBe("run");
  });

  it("whose target has nothing two tokens after its source let go starts anew", () => {
    const { desk, placement } = arriving();
    desk.hosts.set(2, { copies: [], records: [record({ released: { to: placement } })], change: {} });
    desk.hosts.set(3, { copies: [], records: [], change: {} });
    desk.go([1, 2, 3], 5 * TOKEN_US);
    expect(desk.codes).toContain("VM_MOVE_FAILED");
    expect(desk.codes).toContain("VM_PLACED");
  });

  it("is not broken off by the failure of an earlier one", () => {
    const desk = standing();
    const earlier = { term: 2, number: 1 };
    const failures = [
      { vm: "a", placement: record().placement, move: earlier, code: "MIGRATION_REFUSED", message: "No." },
    ];
    desk.hosts.set(2, { ...(desk.hosts.get(2) ?? { copies: [], records: [] }), change: { failures } });
    desk.go([1, 2, 3]);
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 300_000);
    expect(desk.codes).toContain("VM_MOVING");
    expect(desk.codes).not.toContain("VM_MOVE_FAILED");
    const order = desk.orderTo(3);
    if (order?.kind !== "incoming") throw new Error("no incoming");
    const own = failures.map((each) => ({ ...each, move: order.placement }));
    desk.hosts.set(2, { ...(desk.hosts.get(2) ?? { copies: [], records: [] }), change: { failures: own } });
    desk.go([1, 2, 3], 300_000);
    expect(desk.codes).toContain("VM_MOVE_FAILED");
  });

  it.each([
    ["a host without room", { memoryMib: 10 }, /no memory/],
    ["a host that does not reach its storage", { storageGone: ["san"] }, /reach its storage/],
  ])("to %s is refused with the reason, and does not begin long after it was asked", (_what, change, why) => {
    const desk = standing();
    desk.hosts.set(3, { copies: [], records: [], change });
    desk.go([1, 2, 3]);
    const seen: string[] = [];
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 3 * TOKEN_US);
    seen.push(...desk.messages.filter((message) => message.includes("not moved")));
    expect(seen).toEqual([expect.stringMatching(why)]);
    desk.hosts.set(3, { copies: [], records: [], change: {} });
    desk.go([1, 2, 3], 60 * TOKEN_US);
    expect(desk.codes).not.toContain("VM_MOVING");
  });

  it("is broken off when the machine is to be stopped: its guest is asked, where it is", () => {
    const { desk } = arriving();
    const { copies = [] } = desk.hosts.get(2) ?? {};
    desk.hosts.set(2, { copies, records: [record({ wanted: "stopped", revision: 2 })], change: {} });
    desk.go([1, 2, 3], 300_000);
    expect(desk.codes).toContain("VM_MOVE_FAILED");
    expect(desk.orderTo(2)?.kind).toBe("stop");
    expect(desk.orderTo(3)?.kind).toBe("destroy");
  });

  it("whose source dies keeps its machine down no longer than any other death", () => {
    const { desk } = arriving();
    desk.fence(2);
    desk.hosts.set(3, { copies: [], records: [], change: {} });
    const fromUs = desk.nowUs;
    while (!desk.codes.includes("VM_PLACED") && desk.nowUs < fromUs + 20 * TOKEN_US) desk.go([1, 3], 100_000);
    expect(desk.nowUs - fromUs).toBeLessThan(2 * TOKEN_US);
  });
});

describe("a machine that was given up", () => {
  it("is left alone when somebody starts one of that name", () => {
    const desk = standing();
    const forgotten = record({ wanted: "undefined", revision: 2, released: { to: null } });
    desk.hosts.set(2, { copies: [], records: [forgotten], change: {} });
    desk.go([1, 2, 3]);
    desk.hosts.set(2, {
      ...{ copies: [copy({ placement: null, confirmed: false })] },
      ...{ records: [forgotten], change: {} },
    });
    desk.go([1, 2, 3]);
    expect(desk.orderTo(2)).toBeUndefined();
  });
});
