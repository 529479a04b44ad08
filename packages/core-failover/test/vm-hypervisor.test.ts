import { describe, expect, it } from "vitest";
import { type Bench, running } from "./vm-bench.ts";
import { Desk, record, standing } from "./vm-desk.ts";

describe("a hypervisor that does not say what is here", () => {
  const saidLast = (bench: Bench) => bench.reports.at(-1)?.hypervisorSilent === true;

  it("is told when an answer takes longer than three seconds, and no more when it came", () => {
    const bench = running();
    bench.held.add("inspect-copies");
    bench.run(5_000_000);
    expect(saidLast(bench)).toBe(false);
    bench.run(4_000_000);
    expect(saidLast(bench)).toBe(true);
    bench.held.clear();
    bench.run(100_000);
    expect(saidLast(bench)).toBe(false);
  });

  it("is told when it fails", () => {
    const bench = running();
    bench.failing.add("inspect-copies");
    bench.run(6_000_000);
    expect(saidLast(bench)).toBe(true);
    bench.failing.clear();
    bench.run(2_000_000);
    expect(saidLast(bench)).toBe(false);
  });

  it("gets no machine, and is named where that leaves no host", () => {
    const desk = new Desk();
    desk.replica([{ node: 2, record: record() }]);
    desk.hosts.set(3, { copies: [], records: [], change: { hypervisorSilent: true } });
    desk.fence(2);
    desk.go([1, 3]);
    expect(desk.runsAt()).toEqual([1]);
    const alone = new Desk();
    alone.replica([{ node: 2, record: record() }]);
    for (const node of [1, 3])
      alone.hosts.set(node, { copies: [], records: [], change: { hypervisorSilent: true } });
    alone.fence(2);
    alone.go([1, 3]);
    expect(alone.runsAt()).toEqual([]);
    expect(alone.state.blocked["a"]?.message).toContain("The hypervisor of node 3 does not answer.");
  });
});

describe("what failed on a host", () => {
  it("is a trouble until it succeeds, and not when nobody wants it any more", () => {
    const bench = running();
    bench.failing.add("shutdown-copy");
    bench.say([{ kind: "stop", vm: "a", placement: { term: 1, number: 10 } }]);
    bench.run(60_000_000);
    expect(Object.keys(bench.state.troubles)).toEqual(["copy:a/shutdown-copy"]);
    bench.copies = [];
    bench.input({ kind: "changed" });
    bench.run(29_000_000);
    expect(Object.keys(bench.state.troubles)).toEqual(["copy:a/shutdown-copy"]);
    bench.run(5_000_000);
    expect(bench.state.troubles).toEqual({});
  });
});

describe("a move that was asked for and comes to nothing", () => {
  const refusal = (desk: Desk) => desk.state.reign?.refusals["a"];

  it("leaves the reason for who asked, until the next is asked for", () => {
    const desk = standing();
    desk.hosts.set(3, { copies: [], records: [], change: { storageGone: ["san"] } });
    desk.go([1, 2, 3], 300_000);
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 2_500_000);
    expect(refusal(desk)).toEqual({ to: 3, why: "that node does not reach its storage" });
    desk.input({ kind: "move", vm: "a", to: 1 });
    expect(refusal(desk)).toBeUndefined();
  });

  it("leaves it when it is broken off, too", () => {
    const desk = standing();
    desk.input({ kind: "move", vm: "a", to: 3 });
    desk.go([1, 2, 3], 300_000);
    const target = desk.state.reign?.table["a"]?.moving?.target;
    if (target === undefined) throw new Error("it does not move");
    const failure = { vm: "a", placement: target, code: "MIGRATION_FAILED", message: "No room." };
    desk.hosts.set(3, { copies: [], records: [], change: { failures: [failure] } });
    desk.go([1, 2, 3], 300_000);
    expect(refusal(desk)).toEqual({ to: 3, why: "it was broken off: No room." });
    expect(desk.orderTo(2)).toMatchObject({ kind: "run" });
  });
});

describe("a guest that pauses itself again and again", () => {
  const relapse = (bench: Bench, times: number) => {
    for (let each = 0; each < times; each += 1) {
      bench.copies = [{ vm: "a", state: "paused" }];
      bench.input({ kind: "changed" });
      bench.run(15_000_000);
    }
  };

  it("is resumed at once the first time, then later and later, which is told", () => {
    const bench = running();
    const resumed = () => bench.kinds().filter((kind) => kind === "resume-copy").length;
    bench.copies = [{ vm: "a", state: "paused" }];
    bench.input({ kind: "changed" });
    bench.run(50_000);
    expect(resumed()).toBe(1);
    expect(bench.reports.at(-1)?.copies[0]?.relapses).toBeUndefined();
    relapse(bench, 8);
    bench.copies = [{ vm: "a", state: "paused" }];
    bench.input({ kind: "changed" });
    const before = resumed();
    bench.run(8_000_000);
    expect(resumed()).toBe(before);
    expect(bench.reports.at(-1)?.copies[0]?.relapses).toBe(10);
    bench.run(3_000_000);
    expect(resumed()).toBe(before + 1);
  });

  it("is resumed at once when a storage answers again, and when it has run for a minute", () => {
    const bench = running();
    relapse(bench, 9);
    bench.copies = [{ vm: "a", state: "paused" }];
    bench.input({ kind: "changed" });
    bench.run(100_000);
    expect(bench.copies).toEqual([{ vm: "a", state: "paused" }]);
    bench.input({ kind: "storage", gone: [] });
    bench.run(50_000);
    expect(bench.copies).toEqual([{ vm: "a", state: "running" }]);
    relapse(bench, 9);
    bench.run(61_000_000);
    bench.copies = [{ vm: "a", state: "paused" }];
    bench.input({ kind: "changed" });
    bench.run(50_000);
    expect(bench.copies).toEqual([{ vm: "a", state: "running" }]);
  });
});
