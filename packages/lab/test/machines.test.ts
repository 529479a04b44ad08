import { describe, expect, it } from "vitest";
import { machineDocument } from "../src/bench/machine-document.ts";
import { parseDecision } from "../src/guest/decisions.ts";
import { doubleStarts, sharedDisks } from "../src/guest/double-starts.ts";
import { parseLibvirtEvent } from "../src/guest/libvirt-watch.ts";
import { Pauses } from "../src/guest/pauses.ts";
import { Relocation } from "../src/guest/relocation.ts";
import { guestLines } from "../src/live.ts";
import type { StorageTraffic } from "../src/storage-watch.ts";

describe("a line of a node's log", () => {
  it("is a decision when it has a code, with the facts beside it", () => {
    const line = { level: "info", time: "2026-01-02T03:04:05.678Z", code: "VM_PLACED", vm: "vm1", node: 4 };
    expect(parseDecision(8, JSON.stringify({ ...line, message: "vm1 is given to node 4." }))).toMatchObject({
      ...{ host: 8, atMs: Date.parse(line.time), code: "VM_PLACED", message: "vm1 is given to node 4." },
      facts: { vm: "vm1", node: 4 },
    });
    expect(parseDecision(8, JSON.stringify({ time: line.time, message: "ready" }))).toBeNull();
    expect(parseDecision(8, "half a li")).toBeNull();
  });
});

describe("a line of virsh", () => {
  it("is an event with its moment", () => {
    const line = "2026-01-02 03:04:05.678+0000: event 'lifecycle' for domain 'vm1': Started Booted";
    expect(parseLibvirtEvent(2, line)).toEqual({
      ...{ host: 2, guest: "vm1", what: "Started Booted" },
      atMs: Date.parse("2026-01-02T03:04:05.678Z"),
    });
    expect(parseLibvirtEvent(2, "event loop interrupted")).toBeNull();
  });
});

describe("a relocation", () => {
  const placed = (vm: string, node: number, atMs: number) => ({
    ...{ host: 8, atMs, code: "VM_PLACED", message: "" },
    facts: { vm, node },
  });
  const answer = (guest: string, run: string, atMs: number) => ({
    guest,
    run,
    number: 1,
    sentMs: atMs,
    atMs,
  });

  it("is done when each guest was ordered, runs and answers elsewhere; the slowest one counts", async () => {
    const first: string[] = [];
    const relocation = new Relocation(
      2,
      new Map([
        ["vm1", "a"],
        ["vm2", "b"],
      ]),
      ({ guest, run }) => first.push(`${guest} ${run}`),
    );
    relocation.begin(1000);
    relocation.answered(answer("vm1", "a", 1001));
    expect(relocation.missing()).toBe("vm1 was not ordered elsewhere, vm2 was not ordered elsewhere");
    const done = relocation.done(10_000);
    relocation.decided(placed("vm1", 4, 2000));
    relocation.decided(placed("vm2", 8, 2100));
    relocation.decided(placed("vm2", 4, 2900));
    relocation.happened({ host: 2, guest: "vm1", what: "Started Booted", atMs: 2200 });
    relocation.happened({ host: 4, guest: "vm1", what: "Suspended Paused", atMs: 2300 });
    relocation.happened({ host: 4, guest: "vm1", what: "Started Booted", atMs: 2600 });
    relocation.happened({ host: 8, guest: "vm2", what: "Started Booted", atMs: 2500 });
    expect(relocation.missing()).toBe("vm1 does not answer, vm2 does not answer");
    relocation.answered(answer("vm1", "c", 7000));
    relocation.answered(answer("vm1", "c", 7100));
    relocation.answered(answer("vm2", "d", 6000));
    expect(await done).toBe(true);
    expect(first).toEqual(["vm1 c", "vm2 d"]);
    expect(relocation.figures()).toEqual({
      ...{ vm_start_ordered_ms: 1100, vm_running_ms: 1600, vm_answer_ms: 6000 },
    });
  });

  it("is not done for ever", async () => {
    expect(await new Relocation(2, new Map([["vm1", "a"]])).done(1)).toBe(false);
  });
});

describe("pauses", () => {
  it("are told with the last one, and one that went on does not count", async () => {
    const pauses = new Pauses(2, ["vm1", "vm2"]);
    const last = pauses.last(10_000);
    const take = (guest: string, what: string, atMs: number, host = 2) =>
      pauses.take({ host, guest, what, atMs });
    take("vm1", "Suspended I/O Error", 10);
    take("vm2", "Suspended Paused", 15, 4);
    take("vm1", "Resumed Unpaused", 20);
    take("vm2", "Suspended Paused", 30);
    take("vm1", "Suspended Paused", 40);
    take("vm1", "Stopped Destroyed", 50);
    expect(await last).toBe(40);
    expect(await new Pauses(2, ["vm1"]).last(1)).toBeNull();
  });
});

describe("double starts", () => {
  const traffic = (host: number, firstMs: number, lastMs: number, guest = "vm1"): StorageTraffic => ({
    ...{ host, address: "", sourcePort: 1, guest, bytes: 1, segments: 1, firstMs, lastMs },
    data: { firstMs, lastMs },
  });
  const report = {
    ...{ guest: "vm1", answers: 1, refusals: 0, runs: [], overlaps: [], repeated: [] },
    silence: { longestMs: 0, fromMs: 0, open: false },
  };
  const verdict = {
    ...{ guest: "vm1", newest: 1, acknowledged: 1, lost: [], torn: [], runs: ["a"], interleaved: false },
  };

  it("are two hosts that write to one disk within one stretch of time, not one after the other", () => {
    expect(sharedDisks([traffic(2, 0, 10), traffic(4, 11, 20), traffic(4, 5, 6, "vm2")])).toEqual([]);
    expect(sharedDisks([traffic(2, 0, 10), traffic(4, 10, 20)])).toEqual([{ guest: "vm1", hosts: [2, 4] }]);
    expect(sharedDisks([traffic(2, 0, 10), traffic(2, 5, 20)])).toEqual([]);
    // Who only reads may do so while another writes.
    expect(sharedDisks([traffic(2, 0, 10), { ...traffic(4, 10, 20), data: null }])).toEqual([]);
  });

  it("are seen by each of the watchers, and count once for a guest", () => {
    expect(doubleStarts([report], [verdict], [])).toEqual([]);
    const overlaps = [{ runs: ["a", "b"] as [string, string], fromMs: 1, toMs: 2 }];
    const all = doubleStarts(
      [{ ...report, overlaps }],
      [{ ...verdict, interleaved: true }],
      [traffic(2, 0, 10), traffic(4, 5, 20)],
    );
    expect(all).toEqual([{ guest: "vm1", why: "the hosts 2 and 4 wrote to its disk at once" }]);
  });
});

describe("what people read", () => {
  it("has a line for each guest", () => {
    const machine = { vm: "vm1", node: 2, state: "running", movingTo: null, blocked: null };
    const lines = guestLines([
      machine,
      { ...machine, vm: "vm2", node: null, state: "stopped", blocked: "no room" },
    ]);
    expect(lines).toBe("  vm1        node-2   running\n  vm2        -        stopped (no room)\n");
    expect(guestLines([{ ...machine, movingTo: 4 }])).toContain("moving to node-4");
    expect(guestLines(null)).toContain("No master");
  });

  it("has the bench's table in it", () => {
    expect(machineDocument("what  value\n")).toContain("```text\nwhat  value\n```");
  });
});
