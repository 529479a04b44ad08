import type { NodeId } from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import { OPEN_POLICY, type PlanPolicy, planWithout, type VmRecord, type VmReport } from "../src/index.ts";
import { copy, Desk, OLD, record, SETTLE_US, standing, START_US } from "./vm-desk.ts";

describe("the master's care for machines", () => {
  it("asks everybody first, with no orders, and keeps what runs where it runs", () => {
    const desk = new Desk();
    desk.hosts.set(2, { copies: [copy()], records: [record()], change: {} });
    desk.replica();
    for (const node of [1, 2, 3]) desk.answer(node);
    expect([...desk.statements.values()].map(({ orders }) => orders)).toEqual([[], [], []]);
    desk.go([1, 2, 3]);
    expect(desk.orderTo(2)).toMatchObject({ kind: "run", placement: OLD });
    expect(desk.runsAt()).toEqual([2]);
    expect(desk.effects).toContain("relocated");
  });

  it("leaves alone what runs on a host without being under care", () => {
    const desk = new Desk();
    desk.hosts.set(2, {
      copies: [copy({ vm: "a", placement: null, confirmed: false })],
      records: [],
      change: {},
    });
    desk.replica();
    desk.go([1, 2, 3], 5_000_000);
    expect([...desk.statements.values()].flatMap(({ orders }) => orders)).toEqual([]);
    expect(desk.effects).toContain("relocated");
  });

  it("takes silence for neither a refusal nor an end", () => {
    const desk = standing();
    desk.go([1, 3], 60_000_000);
    expect(desk.runsAt()).toEqual([2]);
    desk.fence(2, "pending");
    desk.go([1, 3], 60_000_000);
    expect(desk.codes).not.toContain("VM_PLACED");
    expect(desk.blockedFor()).toBe("VM_OWNER_NOT_FENCED");
  });

  it("starts elsewhere once the owner is fenced, after what it sent is over, and says why it waits before", () => {
    const desk = standing();
    desk.fence(2, "yes");
    desk.judge();
    const [target] = desk.runsAt().filter((node) => node !== 2);
    const order = desk.orderTo(target ?? 0);
    expect(order).toMatchObject({ kind: "run", placement: { term: 2 } });
    expect(order?.kind === "run" && order.waitUs).toBeGreaterThanOrEqual(SETTLE_US);
  });

  it("waits for everybody, not only for the owner", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record() }]);
    desk.fence(2, "yes");
    desk.go([1], 30_000_000);
    expect(desk.codes).not.toContain("VM_PLACED");
    expect(desk.blockedFor()).toBe("VM_WAITS_FOR_ANSWER");
    desk.go([1, 3]);
    expect(desk.codes).toContain("VM_PLACED");
  });

  it("counts an order on its way as carried out until the host has taken its withdrawal", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record() }]);
    desk.fence(2, "yes");
    desk.go([1, 3]);
    const [first] = desk.runsAt();
    if (first === undefined) throw new Error("not placed");
    const other = first === 1 ? 3 : 1;
    const old = desk.statements.get(first);
    // The first host neither takes the order nor says anything new; after a minute the order is withdrawn.
    desk.go([other], 62_000_000);
    expect(desk.orderTo(first)).toBeUndefined();
    desk.go([other], 20_000_000);
    expect(desk.runsAt()).toEqual([]);
    expect(desk.statements.get(first)?.number).toBeGreaterThan(old?.number ?? 0);
    desk.go([1, 3], 2_000_000);
    expect(desk.runsAt()).toHaveLength(1);
  });

  it("tries elsewhere, later and later, when a host refuses", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record({ released: { to: null } }) }]);
    const tried: NodeId[] = [];
    for (let round = 0; round < 3; round += 1) {
      desk.go([1, 2, 3], 6_000_000);
      const [node] = desk.runsAt();
      const order = desk.orderTo(node ?? 0);
      if (node === undefined || order?.kind !== "run") throw new Error("not placed");
      tried.push(node);
      desk.hosts.set(node, {
        copies: [],
        records: [record({ placement: order.placement, released: { to: null } })],
        change: {
          failures: [{ vm: "a", placement: order.placement, code: "NO_SPACE", message: "No space." }],
        },
      });
      desk.answer(node);
      expect(desk.state.blocked["a"]?.message).toContain("No space.");
    }
    expect(new Set(tried).size).toBe(3);
  });

  it.each([
    ["VM_LOCAL_STORAGE", { storage: "local" as const }, {}],
    ["VM_NEEDS_HUMAN", { gated: false }, {}],
    ["VM_NO_ROOM", { memoryMib: 5000 }, {}],
    ["VM_NO_ROOM", {}, { policy: { ...OPEN_POLICY, blocked: [1, 3] } satisfies PlanPolicy }],
  ])("says %s when a machine of a fenced host cannot go elsewhere", (code, change, config) => {
    const desk = standing(change, config);
    desk.fence(2, "yes");
    desk.go([1, 3]);
    expect(desk.blockedFor()).toBe(code);
    expect(desk.codes).not.toContain("VM_PLACED");
  });

  it("blames the storage when no host reaches it, and nothing is stopped for it", () => {
    const desk = standing();
    for (const node of [1, 2, 3]) {
      const host = desk.hosts.get(node);
      if (host !== undefined) host.change = { storageGone: ["san"] };
    }
    desk.go([1, 2, 3], 5_000_000);
    expect(desk.orderTo(2)).toMatchObject({ kind: "run", placement: OLD });
    desk.fence(2, "yes");
    desk.go([1, 3]);
    expect(desk.blockedFor()).toBe("VM_STORAGE_GONE");
  });

  it("places nothing where the storage does not answer, and names that when there is no room elsewhere", () => {
    const desk = standing();
    const change = (node: NodeId, report: Partial<VmReport>) => {
      const host = desk.hosts.get(node);
      if (host !== undefined) host.change = report;
    };
    change(3, { storageGone: ["san"] });
    desk.go([1, 2, 3]);
    const plan = planWithout(desk.state, [2], desk.nowUs);
    expect(plan.placed).toMatchObject([{ to: 1 }]);
    expect(plan.unreachable).toEqual([{ node: 3, storage: "san" }]);
    change(1, { memoryMib: 1 });
    desk.go([1, 2, 3]);
    const [left] = planWithout(desk.state, [2], desk.nowUs).left;
    expect(left?.reason.code).toBe("VM_NO_ROOM");
    expect(left?.reason.message).toContain("Node 3 does not reach its storage.");
    expect(left?.reason.message).not.toContain("Node 1 does not");
    // Who would be gone is not spoken of.
    expect(planWithout(desk.state, [3], desk.nowUs).unreachable).toEqual([]);
  });

  it("waits after a cold start for a host that nobody has seen yet", () => {
    const desk = new Desk({ bootedAtUs: START_US, bootGraceUs: 20_000_000 });
    desk.replica([{ node: 2, record: record() }]);
    desk.fence(2, "yes");
    desk.go([1, 3], 15_000_000);
    expect(desk.blockedFor()).toBe("VM_BOOT_GRACE");
    desk.go([1, 3], 6_000_000);
    expect(desk.codes).toContain("VM_PLACED");
  });

  it("places nothing while automation is off, and keeps what runs", () => {
    const desk = standing();
    desk.disarmed = true;
    desk.fence(2, "yes");
    desk.go([1, 3]);
    expect(desk.blockedFor()).toBe("DISARMED");
  });

  it("lets the existing placement win, and has the other copy destroyed", () => {
    const desk = standing();
    desk.hosts.set(3, {
      copies: [copy({ placement: { term: 1, number: 2 }, confirmed: false })],
      records: [],
      change: {},
    });
    desk.go([1, 2, 3]);
    expect(desk.orderTo(3)).toMatchObject({ kind: "destroy", owner: 2 });
    expect(desk.orderTo(2)).toMatchObject({ kind: "run", placement: OLD });
  });

  it("does not resume a copy that may have been overtaken while its host was out", () => {
    const desk = new Desk();
    desk.hosts.set(2, {
      copies: [copy({ state: "paused", confirmed: false, wasOut: true })],
      records: [record()],
      change: {},
    });
    desk.replica();
    desk.fence(3, "yes");
    desk.go([1, 2]);
    expect(desk.orderTo(2)).toMatchObject({ kind: "destroy" });
    // When everybody answers and knows of nothing newer, it is as good as new.
    const whole = new Desk();
    whole.hosts.set(2, desk.hosts.get(2) ?? { copies: [], records: [], change: {} });
    whole.replica();
    whole.go([1, 2, 3]);
    expect(whole.orderTo(2)).toMatchObject({ kind: "run", placement: OLD });
  });

  it("passes a machine on only when its source says, from its disk, that it is over and where it went", () => {
    const desk = standing();
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 300_000);
    const incoming = desk.orderTo(3);
    if (incoming?.kind !== "incoming") throw new Error("no target");
    const target = incoming.placement;
    expect(desk.orderTo(2)?.kind).toBe("run");
    const unready = copy({ placement: target, state: "incoming", confirmed: false });
    desk.hosts.set(3, { copies: [unready], records: [], change: {} });
    desk.go([1, 2, 3], 300_000);
    // It could not open its images there yet.
    expect(desk.orderTo(2)?.kind).toBe("run");
    const waiting = { ...unready, confirmed: true };
    desk.hosts.set(3, { copies: [waiting], records: [], change: {} });
    desk.go([1, 2, 3], 300_000);
    expect(desk.orderTo(2)).toMatchObject({ kind: "migrate", to: 3, target });
    desk.hosts.set(3, { copies: [{ ...waiting, state: "incoming-complete" }], records: [], change: {} });
    desk.hosts.set(2, {
      copies: [copy({ state: "moved-out", confirmed: false })],
      records: [record()],
      change: {},
    });
    desk.go([1, 2, 3], 500_000);
    expect(desk.runsAt()).toEqual([]);
    desk.hosts.set(2, { copies: [], records: [record({ released: { to: target } })], change: {} });
    desk.go([1, 2, 3], 300_000);
    expect(desk.orderTo(3)).toMatchObject({ kind: "run", placement: target });
    expect(desk.codes).toContain("VM_MOVED");
    // The next one need not wait: only what was broken off does.
    desk.hosts.set(3, {
      copies: [copy({ placement: target })],
      records: [record({ placement: target })],
      change: {},
    });
    desk.input({ kind: "move", vm: "a", to: 1 });
    desk.go([1, 2, 3], 300_000);
    expect(desk.orderTo(1)).toMatchObject({ kind: "incoming", from: 3 });
  });

  it("says nothing under a lease that has lapsed", () => {
    const desk = standing();
    desk.statements.clear();
    desk.nowUs += 5_000_000;
    desk.input({ kind: "tick" });
    desk.answer(2);
    expect(desk.statements.size).toBe(0);
  });

  it("moves machines off a host that takes nothing any more", () => {
    const desk = standing();
    const { config } = desk.state;
    desk.input({ kind: "config", config: { ...config, policy: { ...OPEN_POLICY, blocked: [2] } } });
    desk.go([1, 2, 3], 300_000);
    expect(desk.codes).toContain("VM_MOVING");
  });
});

describe("live moves of one host", () => {
  const NAMES = ["a", "b", "c", "d"];
  const ofAll = (change: Partial<VmRecord>) => NAMES.map((vm) => record({ vm, memoryMib: 50, ...change }));
  /** A host with four machines, which takes nothing any more. */
  const leaving = (change: Partial<VmRecord> = {}) => {
    const desk = new Desk();
    const copies = NAMES.map((vm) => copy({ vm }));
    desk.hosts.set(2, { copies, records: ofAll(change), change: {} });
    desk.replica();
    desk.go([1, 2, 3]);
    const { config } = desk.state;
    desk.input({ kind: "config", config: { ...config, policy: { ...OPEN_POLICY, blocked: [2] } } });
    desk.go([1, 2, 3], 300_000);
    return desk;
  };
  const underWay = (desk: Desk) =>
    NAMES.filter((vm) => (desk.state.reign?.table[vm]?.moving ?? null) !== null);

  it("are two at a time, and the others say what they wait for, running on", () => {
    const desk = leaving();
    expect(underWay(desk)).toEqual(["a", "b"]);
    expect(desk.state.blocked["c"]?.code).toBe("VM_MOVE_WAITS");
    expect(desk.state.blocked["c"]?.message).toContain("node 2 has 2 live moves under way");
    desk.go([1, 2, 3], 30_000_000);
    expect(underWay(desk)).toEqual(["a", "b"]);
  });

  it("begin, asked for or not, when another is over", () => {
    const desk = leaving();
    desk.input({ kind: "move", vm: "d", to: 3 });
    desk.go([1, 2, 3], 5_000_000);
    const to = desk.state.reign?.table["a"]?.moving;
    const [first, ...others] = ofAll({});
    if (first === undefined || to === null || to === undefined) throw new Error("it does not move");
    const arrived = { ...first, placement: to.target };
    desk.hosts.set(2, {
      copies: NAMES.slice(1).map((vm) => copy({ vm })),
      records: [{ ...first, released: { to: to.target } }, ...others],
      change: {},
    });
    desk.hosts.set(to.to, {
      copies: [copy({ placement: to.target, state: "incoming-complete", confirmed: false })],
      records: [arrived],
      change: {},
    });
    desk.go([1, 2, 3], 1_000_000);
    expect(underWay(desk)).toEqual(["b", "c"]);
    expect(desk.state.blocked["d"]?.code).toBe("VM_MOVE_WAITS");
    expect(desk.state.reign?.moves["d"]?.to).toBe(3);
  });

  it("do not hold up those that go by a restart", () => {
    const desk = leaving({ move: "restart" });
    const stopped = desk.statements.get(2)?.orders.filter(({ kind }) => kind === "stop");
    expect(stopped).toHaveLength(NAMES.length);
  });
});

describe("a machine that is not to be moved live", () => {
  const drained = (change: Partial<VmRecord> = {}) => {
    const desk = standing({ move: "restart", ...change });
    const { config } = desk.state;
    desk.input({ kind: "config", config: { ...config, policy: { ...OPEN_POLICY, blocked: [2] } } });
    desk.go([1, 2, 3], 300_000);
    return desk;
  };
  const over = (desk: Desk) =>
    desk.hosts.set(2, {
      copies: [],
      records: [record({ move: "restart", released: { to: null } })],
      change: {},
    });

  it("is shut down first, and started elsewhere only when its owner's disk says that it is over", () => {
    const desk = drained();
    expect(desk.orderTo(2)).toMatchObject({ kind: "stop", placement: OLD });
    desk.go([1, 2, 3], 30_000_000);
    expect(desk.runsAt()).toEqual([]);
    expect(desk.codes).not.toContain("VM_PLACED");
    over(desk);
    desk.go([1, 2, 3], 300_000);
    expect(desk.runsAt()).toHaveLength(1);
    expect(desk.runsAt()).not.toContain(2);
    expect(desk.codes).not.toContain("VM_FAILED");
  });

  it("goes where it was asked to go, and elsewhere if that host is gone by then", () => {
    for (const gone of [false, true]) {
      const desk = standing({ move: "restart" });
      desk.input({ kind: "move", vm: "a", to: 3 });
      desk.go([1, 2, 3], 300_000);
      expect(desk.orderTo(2)).toMatchObject({ kind: "stop" });
      if (gone) desk.fence(3);
      over(desk);
      desk.go(gone ? [1, 2] : [1, 2, 3], 1_000_000);
      expect(desk.runsAt()).toEqual([gone ? 1 : 3]);
    }
  });

  it("is moved live first where its policy says so, and by a restart when that is broken off", () => {
    const desk = standing({ move: "live-or-restart" });
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 300_000);
    const incoming = desk.orderTo(3);
    if (incoming?.kind !== "incoming") throw new Error("no target");
    const failure = { vm: "a", placement: incoming.placement, code: "NO_ROOM", message: "No room." };
    desk.hosts.set(3, { copies: [], records: [], change: { failures: [failure] } });
    desk.go([1, 2, 3], 300_000);
    expect(desk.codes).toContain("VM_MOVE_FAILED");
    expect(desk.orderTo(2)).toMatchObject({ kind: "stop", placement: OLD });
    desk.hosts.set(3, { copies: [], records: [], change: {} });
    over(desk);
    desk.go([1, 2, 3], 300_000);
    expect(desk.runsAt()).toEqual([3]);
  });

  it("is placed at once when its host dies in between", () => {
    const desk = drained();
    desk.fence(2);
    desk.judge();
    expect(desk.runsAt()).toHaveLength(1);
  });
});

describe("what would happen without some nodes", () => {
  it("is what then does happen, and changes nothing by being asked", () => {
    const desk = standing();
    const before = JSON.stringify(desk.state);
    const { placed, left, orderedWithinMs } = planWithout(desk.state, [2], desk.nowUs);
    expect(JSON.stringify(desk.state)).toBe(before);
    expect(left).toEqual([]);
    expect(orderedWithinMs).toBe(1500 + SETTLE_US / 1000);
    desk.fence(2, "yes");
    desk.judge();
    expect(placed).toEqual([{ vm: "a", from: 2, to: desk.runsAt().find((node) => node !== 2) }]);
  });

  it("names what would not run, and why", () => {
    const local = planWithout(standing({ storage: "local" }).state, [2], START_US);
    expect(local.placed).toEqual([]);
    expect(local.left.map(({ reason }) => reason.code)).toEqual(["VM_LOCAL_STORAGE"]);
    const ungated = planWithout(standing({ gated: false }).state, [2], START_US);
    expect(ungated.left.map(({ reason }) => reason.code)).toEqual(["VM_NEEDS_HUMAN"]);
    const large = planWithout(standing({ memoryMib: 2000 }).state, [2], START_US);
    expect(large.left.map(({ reason }) => reason.code)).toEqual(["VM_NO_ROOM"]);
  });
});
