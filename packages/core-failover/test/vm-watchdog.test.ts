import { describe, expect, it } from "vitest";
import type { VmOrder, VmRecord } from "../src/index.ts";
import { Bench, OURS, recordAt } from "./vm-bench.ts";
import { Desk, OLD, record, SETTLE_US, TOKEN_US } from "./vm-desk.ts";

const WATCHDOG_US = 10_000_000;
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
    const bench = new Bench([], 1, WATCHDOG_US);
    bench.failing.add("arm-watchdog");
    bench.run(1_200_000);
    bench.say([order({ gated: false })]);
    bench.run(300_000);
    expect(bench.kinds()).toContain("start-copy");
    expect(saved(bench)?.watchdogUs).toBeUndefined();
    expect(bench.reasons).toContain("TOOL_FAILED");
  });

  it.each([
    ["start", order(PROMISE)],
    ["receipt", { ...order(PROMISE), kind: "incoming" as const, from: 2 }],
  ])(
    "that cannot be armed forbids the %s of a machine with a promise, and says so to the master",
    (_, say) => {
      const bench = new Bench([], 1, WATCHDOG_US);
      bench.failing.add("arm-watchdog");
      bench.run(1_200_000);
      bench.say([say]);
      bench.run(1_000_000);
      expect(bench.kinds()).not.toContain("start-copy");
      expect(bench.kinds()).not.toContain("receive-copy");
      expect(bench.reports.at(-1)?.failures).toMatchObject([{ vm: "a", code: "WATCHDOG_MISSING" }]);
      expect(saved(bench)).toMatchObject({ ...PROMISE, released: { to: null } });
    },
  );

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

  it("is taken over by the next life of the process, under a lease alone, before the machine is resumed", () => {
    const bench = new Bench([{ ...recordAt(OURS), ...PROMISE }], 2, WATCHDOG_US);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.failing.add("arm-watchdog");
    bench.run(1_500_000, "none");
    expect(watchdog(bench)).toEqual([]);
    bench.run(300_000);
    expect(bench.kinds()).toContain("pause-copy");
    bench.say([order(PROMISE)]);
    bench.run(300_000);
    expect(watchdog(bench)).toContain("arm-watchdog");
    expect(bench.kinds()).not.toContain("resume-copy");
    bench.failing.clear();
    bench.run(3_000_000);
    bench.say([order(PROMISE)]);
    bench.run(300_000);
    expect(bench.kinds()).toContain("resume-copy");
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

const RESET_US = Math.ceil((TOKEN_US + 3 * WATCHDOG_US) * 1.02);

describe("a machine on a silent host with a watchdog", () => {
  it("waits until that has reset its host for sure, and settle, and starts elsewhere without anybody's word", () => {
    const desk = bereft({});
    desk.go([1, 3], RESET_US - 200_000);
    expect(desk.orderTo(1) ?? desk.orderTo(3)).toBeUndefined();
    expect(desk.codes).toContain("VM_WAITS_FOR_RESET");
    expect(desk.codes).not.toContain("VM_NEEDS_HUMAN");
    desk.go([1, 3], 400_000);
    const given = desk.orderTo(1) ?? desk.orderTo(3);
    expect(given?.kind === "run" ? given.waitUs : 0).toBeGreaterThan(SETTLE_US - 400_000);
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
