import type { NodeId } from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import type { VmOrder, VmRecord } from "../src/index.ts";
import { Bench, OURS, recordAt } from "./vm-bench.ts";
import { copy, Desk, OLD, record, SETTLE_US, TOKEN_US } from "./vm-desk.ts";

const WATCHDOG_US = 10_000_000;
const ERROR = { code: "TOOL_FAILED", message: "No.", hint: "None." };
const PROMISE = { gated: false, watchdogUs: WATCHDOG_US };

function order(change: Partial<VmRecord> = {}): VmOrder & { kind: "run" } {
  return { kind: "run", vm: "a", placement: OURS, record: { ...recordAt(OURS), ...change }, waitUs: 0 };
}

/** A host with a watchdog, a lease and this order. */
function ordered(change: Partial<VmRecord> = {}, records: VmRecord[] = []): Bench {
  const bench = new Bench(records, 1, WATCHDOG_US);
  bench.run(1_200_000);
  bench.say([order(change)]);
  return bench;
}

/** A host whose watchdog cannot be armed, with a lease. */
function unarmed(): Bench {
  const bench = new Bench([], 1, WATCHDOG_US);
  bench.failing.add("arm-watchdog");
  bench.run(1_200_000);
  return bench;
}

/** What was done about the watchdog, with how often it was fed. */
function watchdog(bench: Bench): string[] {
  return bench.kinds().filter((kind) => kind.endsWith("-watchdog"));
}

function saved(bench: Bench): VmRecord | null | undefined {
  return bench.state.vms["a"]?.saved;
}

describe("the watchdog of a host", () => {
  it("is armed before a machine starts that no gate holds, and the record says so first", () => {
    const bench = ordered({ gated: false });
    bench.run(300_000);
    const kinds = bench.kinds();
    const at = (kind: string) => kinds.indexOf(kind);
    expect(at("arm-watchdog")).toBeGreaterThan(-1);
    expect(at("arm-watchdog")).toBeLessThan(at("save-records"));
    expect(at("save-records")).toBeLessThan(at("start-copy"));
    expect(saved(bench)).toMatchObject(PROMISE);
  });

  it.each([
    ["the gates hold", {}],
    ["lies on this host's disk", { gated: false, storage: "local" as const }],
  ])("is left alone for a machine that %s", (_, change) => {
    const bench = ordered(change);
    bench.run(5_000_000);
    expect(bench.kinds()).toContain("start-copy");
    expect(watchdog(bench)).toEqual([]);
  });

  it("is fed five times in its timeout while the lease runs, and taken down when the disk says that the machine is over", () => {
    const bench = ordered({ gated: false });
    bench.run(WATCHDOG_US);
    expect(watchdog(bench).filter((kind) => kind === "feed-watchdog").length).toBeGreaterThanOrEqual(4);
    bench.done = [];
    bench.copies = [];
    bench.say([{ kind: "stop", vm: "a", placement: OURS }]);
    bench.held.add("save-records");
    bench.run(1_000_000);
    expect(watchdog(bench)).not.toContain("disarm-watchdog");
    bench.held.clear();
    bench.run(100_000);
    expect(watchdog(bench)).toContain("disarm-watchdog");
    expect(bench.state.watchdog).toBeNull();
  });

  it("is not fed from the lapse of the lease on, which is said, and fed again when the lease is back", () => {
    const bench = ordered({ gated: false });
    bench.run(500_000);
    bench.run(1_000_000, "none");
    bench.done = [];
    bench.run(6_000_000, "none");
    expect(watchdog(bench)).toEqual([]);
    expect(bench.reasons.filter((code) => code.startsWith("WATCHDOG"))).toEqual(["WATCHDOG_STARVES"]);
    bench.run(200_000);
    expect(watchdog(bench)).toEqual(["feed-watchdog"]);
    expect(bench.reasons.filter((code) => code.startsWith("WATCHDOG"))).toEqual([
      "WATCHDOG_STARVES",
      "WATCHDOG_FED",
    ]);
  });

  it("that cannot be armed keeps no machine down that has no promise yet, and gives none", () => {
    const bench = unarmed();
    bench.say([order({ gated: false })]);
    bench.run(300_000);
    expect(bench.kinds()).toContain("start-copy");
    expect(saved(bench)?.watchdogUs).toBeUndefined();
    expect(bench.reasons).toContain("TOOL_FAILED");
  });

  it("that cannot be armed forbids the start of a machine with a promise, and says so to the master", () => {
    const bench = unarmed();
    bench.say([order(PROMISE)]);
    bench.run(1_000_000);
    expect(bench.kinds()).not.toContain("start-copy");
    expect(bench.reports.at(-1)?.failures).toMatchObject([{ vm: "a", code: "WATCHDOG_MISSING" }]);
    expect(saved(bench)).toMatchObject({ ...PROMISE, released: { to: null } });
  });

  it("that cannot be armed forbids its receipt too, and leaves no record: it is its source's", () => {
    const bench = unarmed();
    bench.say([{ ...order(PROMISE), kind: "incoming", from: 2 }]);
    bench.run(1_000_000);
    expect(bench.kinds()).not.toContain("receive-copy");
    expect(bench.reports.at(-1)).toMatchObject({ copies: [], records: [] });
    expect(bench.reports.at(-1)?.failures).toMatchObject([{ placement: OURS, code: "WATCHDOG_MISSING" }]);
  });

  it("keeps its promise although neither the order nor the configuration knows of it any more", () => {
    const earlier = { ...recordAt({ term: 1, number: 5 }), ...PROMISE, released: { to: null } };
    const bench = new Bench([earlier], 1, null);
    bench.failing.add("arm-watchdog");
    bench.run(1_200_000);
    bench.say([order({ gated: false })]);
    bench.run(1_000_000);
    expect(bench.kinds()).not.toContain("start-copy");
    expect(saved(bench)).toMatchObject(PROMISE);
  });

  it("is needed for a machine with a promise although it lies on this host's disk by now", () => {
    const bench = unarmed();
    bench.say([order({ ...PROMISE, storage: "local" })]);
    bench.run(1_000_000);
    expect(bench.kinds()).not.toContain("start-copy");
  });

  it("that could not be armed is tried again for the next machine, however long ago that was", () => {
    const bench = ordered({ gated: false });
    bench.state.troubles["watchdog/arm-watchdog"] = { failures: 5, retryAtUs: bench.nowUs, error: ERROR };
    bench.state.watchdog = null;
    bench.say([order({ gated: false })]);
    bench.run(500_000);
    expect(saved(bench)).toMatchObject(PROMISE);
    expect(bench.kinds()).toContain("start-copy");
  });

  it("is not armed for a machine that runs without a promise already", () => {
    const bench = new Bench([{ ...recordAt(OURS), gated: false }], 2, WATCHDOG_US);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.run(1_200_000);
    bench.say([order({ gated: false })]);
    bench.run(2_000_000);
    expect(bench.kinds()).toContain("resume-copy");
    expect(watchdog(bench)).toEqual([]);
  });
});

describe("the watchdog that an earlier life left armed", () => {
  const left = (records: VmRecord[]) => {
    const bench = new Bench(records, 2, WATCHDOG_US);
    bench.armedUs = WATCHDOG_US;
    return bench;
  };
  const adopted = (bench: Bench) => bench.done.some(({ kind }) => kind === "adopt-watchdog");

  it("is taken over under a lease alone, before the machine is resumed", () => {
    const bench = left([{ ...recordAt(OURS), ...PROMISE }]);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.run(1_500_000, "none");
    expect(adopted(bench)).toBe(false);
    expect(bench.reasons).toContain("WATCHDOG_STARVES");
    bench.held.add("adopt-watchdog");
    bench.run(300_000);
    expect(bench.kinds()).toContain("pause-copy");
    bench.say([order(PROMISE)]);
    bench.run(300_000);
    expect(bench.kinds()).not.toContain("resume-copy");
    bench.held.clear();
    bench.run(300_000);
    expect(bench.kinds()).toContain("resume-copy");
    expect(bench.state.watchdog?.timeoutUs).toBe(WATCHDOG_US);
  });

  it("is taken over and down without a lease when nothing here needs it", () => {
    const bench = left([{ ...recordAt(OURS), ...PROMISE, released: { to: null } }]);
    bench.run(100_000, "none");
    expect(watchdog(bench)).toEqual(["disarm-watchdog"]);
  });

  it("is fed under a lease alone while something runs here of which the records, being lost, say nothing", () => {
    const bench = left([]);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.run(1_500_000, "none");
    expect(adopted(bench)).toBe(false);
    bench.run(WATCHDOG_US);
    expect(watchdog(bench)).toContain("feed-watchdog");
    expect(watchdog(bench)).not.toContain("disarm-watchdog");
  });

  it("and that does not stop is fed on", () => {
    const bench = left([]);
    bench.failing.add("disarm-watchdog");
    bench.run(WATCHDOG_US);
    expect(watchdog(bench).filter((kind) => kind === "feed-watchdog").length).toBeGreaterThanOrEqual(4);
  });
});

describe("a machine whose host has lost its watchdog", () => {
  const lose = (bench: Bench) => {
    for (const kind of ["feed-watchdog", "adopt-watchdog", "arm-watchdog"] as const) bench.failing.add(kind);
  };

  it("is ended while the lease runs, and the master is told that nobody may count on a reset", () => {
    const bench = ordered({ gated: false });
    bench.run(500_000);
    expect(bench.copies).toHaveLength(1);
    lose(bench);
    bench.held.add("destroy-copy");
    bench.run(WATCHDOG_US);
    expect(bench.reports.at(-1)?.copies).toMatchObject([{ vm: "a", unguarded: true }]);
    expect(bench.reasons).toContain("WATCHDOG_LOST");
    bench.held.clear();
    bench.run(2_000_000);
    expect(bench.copies).toEqual([]);
    expect(saved(bench)).toMatchObject({ ...PROMISE, released: { to: null } });
    expect(bench.reports.at(-1)?.failures).toMatchObject([{ code: "WATCHDOG_MISSING" }]);
  });

  it("is not started if that was between its claim and its start", () => {
    const bench = new Bench([], 1, WATCHDOG_US);
    bench.run(1_200_000);
    bench.say([{ ...order({ gated: false }), waitUs: 5_000_000 }]);
    bench.run(500_000);
    expect(saved(bench)).toMatchObject({ ...PROMISE, released: null });
    lose(bench);
    bench.run(10_000_000);
    expect(bench.kinds()).not.toContain("start-copy");
    expect(saved(bench)?.released).toEqual({ to: null });
  });

  it("runs on when the watchdog can be taken over again at once", () => {
    const bench = ordered({ gated: false });
    bench.run(500_000);
    bench.armedUs = WATCHDOG_US;
    bench.failing.add("feed-watchdog");
    bench.run(3_000_000);
    bench.failing.clear();
    bench.run(WATCHDOG_US);
    expect(bench.copies).toHaveLength(1);
    expect(bench.kinds()).not.toContain("destroy-copy");
    expect(bench.state.watchdog).not.toBeNull();
  });

  it("is not started while its host's watchdog is on its way down", () => {
    const bench = ordered({ gated: false });
    bench.run(500_000);
    bench.copies = [];
    bench.held.add("disarm-watchdog");
    bench.say([{ kind: "stop", vm: "a", placement: OURS }]);
    bench.run(500_000);
    expect(bench.steps.map(({ step }) => step.kind)).toContain("disarm-watchdog");
    bench.done = [];
    bench.say([{ ...order(PROMISE), placement: { term: 1, number: 11 } }]);
    bench.run(500_000);
    expect(bench.kinds()).not.toContain("start-copy");
    bench.held.clear();
    bench.run(500_000);
    const kinds = bench.kinds();
    expect(kinds.indexOf("arm-watchdog")).toBeGreaterThan(-1);
    expect(kinds.indexOf("arm-watchdog")).toBeLessThan(kinds.indexOf("start-copy"));
  });
});

/** Node 2 died with the machine, node 3 answers. */
function bereft(change: Partial<VmRecord>): Desk {
  const desk = new Desk();
  desk.replica([{ node: 2, record: record({ ...PROMISE, ...change }) }]);
  desk.members = [1, 3];
  desk.fences = [{ node: 2, verdict: "yes", atUs: desk.nowUs }];
  return desk;
}

const RESET_US = Math.ceil((TOKEN_US + 3 * (WATCHDOG_US + 1_000_000)) * 1.02);

/** Where it is ordered to run, its own host apart. */
function elsewhere(desk: Desk): NodeId[] {
  return desk.runsAt().filter((node) => node !== 2);
}

describe("a machine on a silent host with a watchdog", () => {
  it("waits until that has reset its host for sure, and settle, and starts elsewhere without anybody's word", () => {
    const desk = bereft({});
    desk.go([1, 3], RESET_US - 200_000);
    expect(desk.orderTo(1) ?? desk.orderTo(3)).toBeUndefined();
    expect(desk.codes).toContain("VM_WAITS_FOR_RESET");
    expect(desk.codes).not.toContain("VM_NEEDS_HUMAN");
    desk.go([1, 3], 400_000);
    const given = desk.orderTo(1) ?? desk.orderTo(3);
    if (given?.kind !== "run") throw new Error("it is not given to anybody");
    expect(given.waitUs).toBeGreaterThan(0);
    expect(given.waitUs).toBeLessThanOrEqual(Math.ceil(SETTLE_US * 1.02));
  });

  it("waits for a human's word where that host still speaks of it after its reset", () => {
    const desk = bereft({});
    const said = { copies: [copy()], records: [record(PROMISE)], change: {} };
    desk.hosts.set(2, said);
    desk.go([1, 2, 3], RESET_US + 2_000_000);
    expect(elsewhere(desk)).toEqual([]);
    expect(desk.state.blocked["a"]).toMatchObject({ code: "VM_NEEDS_HUMAN" });
    expect(desk.state.blocked["a"]?.message).toContain("its watchdog should have reset it");
    desk.go([1, 3], 2 * RESET_US);
    expect(elsewhere(desk)).toEqual([]);
  });

  it("is silent of it for a token before its reset is believed", () => {
    const desk = bereft({});
    desk.hosts.set(2, { copies: [copy()], records: [record(PROMISE)], change: {} });
    desk.go([1, 2, 3], RESET_US - 200_000);
    desk.go([1, 3], 600_000);
    expect(elsewhere(desk)).toEqual([]);
    desk.go([1, 3], 600_000);
    expect(elsewhere(desk)).toHaveLength(1);
  });

  it("waits for a human's word where that host said last that its watchdog is lost", () => {
    const desk = bereft({});
    desk.hosts.set(2, { copies: [copy({ unguarded: true })], records: [record(PROMISE)], change: {} });
    desk.go([1, 2, 3], 300_000);
    desk.go([1, 3], 2 * RESET_US);
    expect(elsewhere(desk)).toEqual([]);
    expect(desk.state.blocked["a"]).toMatchObject({ code: "VM_NEEDS_HUMAN" });
  });

  it("goes to a host that has such a watchdog, and to no other", () => {
    const desk = bereft({});
    for (const [node, watchdogUs] of [
      [1, null],
      [3, WATCHDOG_US],
    ] as const)
      desk.hosts.set(node, { copies: [], records: [], change: { watchdogUs } });
    desk.go([1, 3], RESET_US + 500_000);
    expect(desk.runsAt()).toEqual([3]);
  });

  it("waits for a human's word on any other silent host, which may have been given it since", () => {
    const desk = bereft({});
    desk.members = [1];
    desk.fences = [2, 3].map((node) => ({ node, verdict: "yes" as const, atUs: desk.nowUs }));
    desk.go([1], 2 * RESET_US);
    expect(desk.state.blocked["a"]).toMatchObject({ code: "VM_NEEDS_HUMAN", facts: { node: 3 } });
  });

  it("without a promise waits for a human's word", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record({ gated: false, placement: OLD }) }]);
    desk.members = [1, 3];
    desk.fences = [{ node: 2, verdict: "yes", atUs: desk.nowUs }];
    desk.go([1, 3], 2 * RESET_US);
    expect(desk.state.blocked["a"]).toMatchObject({ code: "VM_NEEDS_HUMAN" });
  });
});
