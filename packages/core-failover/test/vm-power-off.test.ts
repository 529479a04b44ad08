import { describe, expect, it } from "vitest";
import { isOffWanted, OPEN_POLICY, type PlanPolicy, whyNotOff } from "../src/index.ts";
import { Desk, record, SETTLE_US, standing, TOKEN_US } from "./vm-desk.ts";

/** Node 2, which ran what no gate holds, is fenced by its lease alone, and silent for longer than a token. */
function fenced(change: Parameters<typeof record>[0] = {}): Desk {
  const desk = standing({ gated: false, ...change });
  desk.fence(2);
  desk.go([1, 3], 2 * TOKEN_US);
  return desk;
}

const confirm = (desk: Desk) => desk.input({ kind: "confirm-off", node: 2 });
const hear = (desk: Desk) => desk.input({ kind: "heard", hosts: [{ node: 2, atUs: desk.nowUs }] });

describe("an operator's word that a host is off", () => {
  it("lets what no gate holds start elsewhere, after what the host may have sent until then", () => {
    const desk = fenced();
    expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
    expect(desk.state.blocked["a"]?.message).toContain("quorate node confirm-off 2");
    confirm(desk);
    expect(desk.codes).toContain("HOST_OFF_CONFIRMED");
    const [to] = desk.runsAt().filter((node) => node !== 2);
    const order = desk.orderTo(to ?? 0);
    expect(order?.kind === "run" && order.waitUs).toBeGreaterThanOrEqual(SETTLE_US);
    expect(desk.blockedFor()).toBeUndefined();
  });

  it("does the same under a master who never knew whose the machine was", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record({ gated: false }) }]);
    desk.fence(2);
    desk.go([1, 3], 2 * TOKEN_US);
    expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
    confirm(desk);
    expect(desk.codes).toContain("VM_PLACED");
  });

  it("does not move a disk: a machine on a local one waits for its host", () => {
    const desk = fenced({ storage: "local" });
    confirm(desk);
    desk.go([1, 3]);
    expect(desk.codes).toContain("HOST_OFF_CONFIRMED");
    expect(desk.blockedFor()).toBe("VM_LOCAL_STORAGE");
    const heir = new Desk();
    heir.replica([{ node: 2, record: record({ gated: false, storage: "local" }) }]);
    heir.fence(2);
    heir.go([1, 3]);
    expect(heir.blockedFor()).toBe("VM_LOCAL_STORAGE");
  });

  it("is refused, with a reason, of a host that is a member, heard, not fenced, the master, or unknown", () => {
    const desk = standing({ gated: false });
    const why = (node = 2) => whyNotOff(desk.state, node, desk.nowUs);
    expect(why()).toContain("is a member");
    expect(why(1)).toContain("is the master");
    expect(why(9)).toContain("not among the hosts that are out");
    desk.fence(2, "pending");
    desk.judge();
    expect(why()).toContain("not fenced yet");
    desk.fence(2);
    desk.judge();
    expect(why()).toMatch(/was heard \d+ ms ago/);
    confirm(desk);
    desk.go([1, 3], 2 * TOKEN_US);
    expect(why()).toBeNull();
    hear(desk);
    expect(why()).toContain("was heard");
    desk.nowUs += 2 * TOKEN_US;
    expect(why()).toContain("does not lead");
    expect(desk.codes).not.toContain("HOST_OFF_CONFIRMED");
    expect(desk.codes).not.toContain("VM_PLACED");
  });

  /** The machine has ended on node 3, to which it was given on the operator's word: who may have it now? */
  function againAfter(change: (desk: Desk) => void): Desk {
    const desk = fenced();
    desk.input({
      kind: "config",
      config: { ...desk.state.config, policy: { ...desk.state.config.policy, blocked: [1] } },
    });
    confirm(desk);
    desk.go([1, 3]);
    const order = desk.orderTo(3);
    if (order?.kind !== "run") throw new Error("not placed");
    const released = record({ gated: false, placement: order.placement, released: { to: null } });
    desk.codes = [];
    change(desk);
    desk.hosts.set(3, { copies: [], records: [released], change: {} });
    desk.go([1, 3], 15 * TOKEN_US);
    return desk;
  }

  it("counts for as long as the host stays out and unheard, over other views", () => {
    const desk = againAfter(() => {});
    expect(desk.codes).toContain("VM_PLACED");
    expect(desk.codes).not.toContain("HOST_OFF_VOID");
  });

  it.each<[string, (desk: Desk) => void]>([
    ["was heard", hear],
    ["reported", (desk) => desk.answer(2)],
    [
      "was a member again",
      (desk) => {
        desk.back(2);
        desk.judge();
        desk.fence(2);
      },
    ],
    [
      "came back and was removed again between two judgements",
      (desk) => {
        desk.nowUs += 100_000;
        desk.fence(2);
      },
    ],
  ])("is void when the host %s", (_, change) => {
    const desk = againAfter(change);
    expect(desk.codes).toContain("HOST_OFF_VOID");
    expect(desk.codes).not.toContain("VM_PLACED");
    expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
  });

  it("is void under the next mastership", () => {
    const desk = againAfter((each) => {
      each.term = 3;
    });
    expect(desk.codes).toContain("VM_REIGN");
    expect(desk.codes).not.toContain("VM_PLACED");
    expect(desk.blockedFor()).toBe("VM_NEEDS_HUMAN");
  });
});

/** As `fenced`, where a power device can switch node 2 off. */
function withDevice(change: Parameters<typeof record>[0] = {}, policy: PlanPolicy = OPEN_POLICY): Desk {
  const desk = standing({ gated: false, ...change }, { devices: [2], policy });
  desk.fence(2);
  desk.go([1, 3], 2 * TOKEN_US);
  return desk;
}

const failing = "status ended with 1: no route.";
function end(desk: Desk, failure: string | null): void {
  const asked = desk.asked.at(-1);
  if (asked !== undefined) desk.input({ kind: "power-off", ...asked, failure });
}

describe("a power device", () => {
  it("is asked once to switch the host off for which a machine waits, and its word lets the machine start", () => {
    const desk = withDevice();
    expect(desk.asked.map(({ node }) => node)).toEqual([2]);
    expect(desk.blockedFor()).toBe("VM_WAITS_FOR_DEVICE");
    desk.go([1, 3], 30 * TOKEN_US);
    expect(desk.asked).toHaveLength(1);
    expect(isOffWanted(desk.state, 2, desk.asked[0]?.attempt ?? 0, desk.nowUs)).toBe(true);
    end(desk, null);
    expect(desk.codes).toEqual(expect.arrayContaining(["HOST_OFF_ORDERED", "HOST_OFF_PROVED", "VM_PLACED"]));
    desk.go([1, 3], 30 * TOKEN_US);
    expect(desk.asked).toHaveLength(1);
  });

  it("is asked by a master who never knew whose the machine was", () => {
    const desk = new Desk({ devices: [2] });
    desk.replica([{ node: 2, record: record({ gated: false }) }]);
    desk.fence(2);
    desk.go([1, 3], 2 * TOKEN_US);
    expect(desk.asked.map(({ node }) => node)).toEqual([2]);
    end(desk, null);
    expect(desk.codes).toContain("VM_PLACED");
  });

  it("that fails is asked again, later and later, for ever; a human's word does meanwhile", () => {
    const desk = withDevice();
    const pausesUs: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      end(desk, failing);
      const failedAtUs = desk.nowUs;
      const before = desk.asked.length;
      while (desk.asked.length === before && desk.nowUs - failedAtUs < 200 * TOKEN_US)
        desk.go([1, 3], 100_000);
      pausesUs.push(desk.nowUs - failedAtUs);
    }
    expect(pausesUs[0]).toBeLessThanOrEqual(2.2 * TOKEN_US);
    expect(pausesUs).toEqual(pausesUs.toSorted((left, right) => left - right));
    expect(pausesUs.at(-1)).toBeLessThanOrEqual(60.2 * TOKEN_US);
    expect(desk.codes.filter((code) => code === "HOST_OFF_FAILED")).toHaveLength(1);
    expect(desk.state.blocked["a"]?.message).toContain("no route. If you know that it is off: quorate node");
    confirm(desk);
    expect(desk.codes).toContain("VM_PLACED");
    desk.go([1, 3]);
    expect(desk.state.reign?.attempts).toEqual({});
  });

  it.each<[string, () => Desk]>([
    ["a machine that the gates hold", () => withDevice({ gated: true })],
    ["a machine on a local disk", () => withDevice({ storage: "local" })],
    ["a machine that shall not run", () => withDevice({ wanted: "stopped" })],
    ["a machine that fits nowhere", () => withDevice({}, { ...OPEN_POLICY, blocked: [1, 3] })],
    [
      "a host that is not fenced yet",
      () => {
        const desk = standing({ gated: false }, { devices: [2] });
        desk.fence(2, "pending");
        desk.go([1, 3], 30 * TOKEN_US);
        return desk;
      },
    ],
    [
      "a machine for which another host would have to be waited for as well",
      () => {
        const desk = new Desk({ devices: [2, 3] });
        desk.replica([{ node: 2, record: record({ gated: false }) }]);
        desk.fence(2);
        desk.fence(3, "pending");
        desk.go([1], 30 * TOKEN_US);
        return desk;
      },
    ],
    [
      "a host that is heard",
      () => {
        const desk = standing({ gated: false }, { devices: [2] });
        desk.fence(2);
        for (let round = 0; round < 50; round += 1) {
          hear(desk);
          desk.go([1, 3], 200_000);
        }
        return desk;
      },
    ],
    [
      "a member that is silent",
      () => {
        const desk = standing({ gated: false }, { devices: [2] });
        desk.go([1, 3], 30 * TOKEN_US);
        return desk;
      },
    ],
    [
      "a cluster whose automation is off",
      () => {
        const desk = standing({ gated: false }, { devices: [2] });
        desk.disarmed = true;
        desk.fence(2);
        desk.go([1, 3], 30 * TOKEN_US);
        return desk;
      },
    ],
    [
      "a host that may just be booting after the whole site was off",
      () => {
        const desk = new Desk({ devices: [2], bootedAtUs: 500_000_000, bootGraceUs: 60_000_000 });
        desk.replica([{ node: 2, record: record({ gated: false }) }]);
        desk.fence(2);
        desk.go([1, 3], 50 * TOKEN_US);
        return desk;
      },
    ],
  ])("is not asked for %s", (_, make) => {
    expect(make().asked).toEqual([]);
  });

  it("is not gone on with when the host is heard, and its late answer proves nothing", () => {
    const desk = withDevice();
    const [first] = desk.asked;
    const wanted = () => isOffWanted(desk.state, 2, first?.attempt ?? 0, desk.nowUs);
    hear(desk);
    expect(wanted()).toBe(false);
    // Silent again: asked anew, under another name.
    desk.go([1, 3], 3 * TOKEN_US);
    expect(desk.asked).toHaveLength(2);
    expect(wanted()).toBe(false);
    if (first !== undefined) desk.input({ kind: "power-off", ...first, failure: null });
    expect(desk.codes).not.toContain("HOST_OFF_PROVED");
  });

  it("proves nothing to the next master, who asks it anew", () => {
    const desk = withDevice();
    const [first] = desk.asked;
    desk.term = 3;
    desk.hosts.set(3, { copies: [], records: [record({ gated: false })], change: {} });
    desk.go([1, 3], 3 * TOKEN_US);
    if (first !== undefined) desk.input({ kind: "power-off", ...first, failure: null });
    expect(desk.codes).not.toContain("HOST_OFF_PROVED");
    expect(desk.asked).toHaveLength(2);
  });
});
