import { describe, expect, it } from "vitest";
import type { VmOrder, VmRecord, VmStatement } from "../src/index.ts";
import { Bench, OURS, recordAt, run, running } from "./vm-bench.ts";
import { recordOf } from "./vm-model.ts";

describe("a host of virtual machines", () => {
  it("claims on disk, resets connections, opens the storage, starts, and opens the network last", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.say([run()]);
    bench.run(100_000);
    expect(bench.kinds().slice(0, 5)).toEqual([
      "save-records",
      "reset-storage",
      "renew-gates",
      "start-copy",
      "renew-gates",
    ]);
    const openings = bench.done.flatMap((step) => (step.kind === "renew-gates" ? [step.open] : []));
    expect(openings[0]).toEqual([{ vm: "a", network: false, storage: true }]);
    expect(openings[1]).toEqual([{ vm: "a", network: true, storage: true }]);
  });

  it("keeps a wish that it was told after the master had read its record, when the order comes", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.input({ kind: "define", record: recordOf("a") });
    const read = bench.state.vms["a"]?.record;
    bench.input({ kind: "define", record: { ...recordOf("a"), wanted: "stopped" } });
    expect(read).toMatchObject({ wanted: "running", revision: 1 });
    if (read != null) bench.say([{ ...run(), record: read } as VmOrder]);
    bench.run(100_000);
    expect(bench.state.vms["a"]?.record).toMatchObject({ placement: OURS, wanted: "stopped", revision: 2 });
  });

  it("takes a new record back, and none that a master has spoken of", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    const withdraw = () => bench.input({ kind: "withdraw", vm: "a", definition: recordOf("a").definition });
    bench.input({ kind: "define", record: recordOf("a") });
    bench.input({ kind: "withdraw", vm: "a", definition: "another" });
    bench.run(100_000);
    expect(bench.reports.at(-1)?.records).toHaveLength(1);
    withdraw();
    bench.run(100_000);
    expect(bench.state.vms["a"]).toMatchObject({ record: null, saved: null });
    expect(bench.reports.at(-1)?.records).toEqual([]);
    bench.input({ kind: "define", record: recordOf("a") });
    bench.say([run()]);
    withdraw();
    bench.run(100_000);
    withdraw();
    expect(bench.state.vms["a"]?.record).toMatchObject({ placement: OURS });
    bench.input({ kind: "define", record: recordOf("b") });
    bench.input({ kind: "define", record: { ...recordOf("b"), prio: 3 } });
    bench.input({ kind: "withdraw", vm: "b", definition: recordOf("b").definition });
    expect(bench.state.vms["b"]?.record).toMatchObject({ revision: 2 });
  });

  const given = (change: Partial<VmRecord> = {}): VmRecord => ({
    ...recordAt({ term: 1, number: 5 }),
    wanted: "undefined",
    revision: 3,
    released: { to: null },
    ...change,
  });

  it("takes in what another host gave up, newer than that one's word, and starts it under a new placement alone", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.input({ kind: "define", record: recordOf("a"), after: given() });
    bench.run(100_000);
    expect(bench.reports.at(-1)?.records).toMatchObject([
      { placement: { term: 1, number: 5 }, revision: 4, wanted: "running", released: { to: null } },
    ]);
    bench.say([run({ term: 1, number: 5 })]);
    bench.run(100_000);
    expect(bench.kinds()).not.toContain("start-copy");
    bench.say([run()]);
    bench.run(100_000);
    expect(bench.kinds()).toContain("start-copy");
  });

  it.each([
    ["was not given up", given({ wanted: "stopped" })],
    ["is not over there", given({ released: null })],
    ["was moved on", given({ released: { to: OURS } })],
  ])("takes in nothing that %s", (_what, after) => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.input({ kind: "define", record: recordOf("a"), after });
    expect(bench.state.vms["a"]?.record ?? null).toBeNull();
  });

  it("does not take in what it was told to run meanwhile", () => {
    const bench = running();
    bench.input({
      kind: "define",
      record: recordOf("a"),
      after: given({ placement: { term: 1, number: 20 } }),
    });
    expect(bench.state.vms["a"]?.record).toMatchObject({ placement: OURS, released: null });
  });

  it("waits with a start for as long as it was told, from the receipt on its own clock", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.say([run(OURS, 700_000)]);
    bench.run(650_000);
    expect(bench.kinds()).not.toContain("start-copy");
    bench.run(100_000);
    expect(bench.kinds()).toContain("start-copy");
  });

  it("shuts and pauses when the lease lapses, and resumes only on a word that came after it", () => {
    const bench = running();
    bench.run(1_200_000, "none");
    expect(bench.kinds().slice(-2)).toEqual(["pause-copy", "reset-storage"]);
    bench.done = [];
    bench.run(500_000);
    expect(bench.kinds()).toEqual([]);
    bench.say([run()]);
    bench.run(100_000);
    expect(bench.kinds()[0]).toBe("renew-gates");
    expect(bench.kinds()).toContain("resume-copy");
  });

  it("counts what it slept through: a fresh lease after a freeze brings no old word back", () => {
    const bench = running();
    bench.nowUs += 3_000_000;
    bench.grant("lease");
    bench.run(200_000);
    expect(bench.reasons).toContain("VM_LEASE_LAPSED");
    expect(bench.kinds()).toContain("pause-copy");
    expect(bench.kinds()).not.toContain("renew-gates");
  });

  it.each([
    ["for another life", { incarnation: 7 }],
    ["of a term that is over", { term: 0 }],
    ["older than the adopted one", { number: -1 }],
    ["of an older view", { view: { term: 1, number: 0 } }],
    ["for another host", { to: 2 }],
  ] satisfies [string, Partial<VmStatement>][])("refuses a statement %s", (_what, change) => {
    const bench = new Bench();
    bench.run(1_200_000);
    bench.say([]);
    const { adopted } = bench.state;
    bench.say([run()], change);
    bench.run(100_000);
    expect(bench.reasons).toContain("VM_ORDER_REFUSED");
    expect(bench.state.adopted).toEqual(adopted);
    expect(bench.kinds()).not.toContain("start-copy");
  });

  it("says that it has none only when the copy is gone, its connections too, what it sent is over, and the disk knows", () => {
    const bench = running();
    bench.held.add("save-records");
    bench.say([{ kind: "destroy", vm: "a", owner: 2, forget: false }]);
    const saysNone = () => bench.reports.at(-1)?.copies.length === 0;
    bench.run(90_000);
    expect(bench.kinds().slice(0, 3)).toEqual(["shut-gates", "destroy-copy", "reset-storage"]);
    expect(saysNone()).toBe(false);
    bench.run(200_000);
    expect(saysNone()).toBe(false);
    bench.held.clear();
    bench.run(50_000);
    expect(saysNone()).toBe(true);
    expect(bench.reports.at(-1)?.records[0]?.released).toEqual({ to: null });
  });

  it("takes what somebody starts under a name whose placement is over for no copy of its own, and destroys it on a word alone", () => {
    const bench = running();
    bench.copies = [];
    bench.say([{ kind: "stop", vm: "a", placement: OURS }]);
    bench.run(400_000);
    expect(bench.state.vms["a"]?.saved?.released).toEqual({ to: null });
    bench.done = [];
    bench.copies = [{ vm: "a", state: "running" }];
    bench.input({ kind: "changed" });
    bench.say([run()]);
    bench.run(400_000);
    expect(bench.reports.at(-1)?.copies).toMatchObject([{ state: "running", placement: null }]);
    expect(bench.kinds()).not.toContain("destroy-copy");
    bench.say([{ kind: "destroy", vm: "a", owner: null, forget: false }]);
    bench.run(10_000);
    expect(bench.kinds()).toContain("destroy-copy");
  });

  it("keeps the gates over a crash of its process: open gates prove that the lease never lapsed", () => {
    const bench = new Bench([recordAt(OURS)], 2);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.open = [{ vm: "a", network: true, storage: true, remainingUs: 600_000 }];
    bench.run(300_000);
    expect(bench.kinds()).toContain("renew-gates");
    expect(bench.kinds()).not.toContain("pause-copy");
    expect(bench.kinds()).not.toContain("shut-gates");
  });

  it("suspends what it finds running behind a shut gate after a crash", () => {
    const bench = new Bench([recordAt(OURS)], 2);
    bench.copies = [{ vm: "a", state: "running" }];
    bench.run(1_500_000);
    expect(bench.kinds()).toContain("pause-copy");
    expect(bench.kinds()).not.toContain("renew-gates");
    expect(bench.reports.at(-1)?.copies[0]).toMatchObject({ confirmed: false, wasOut: true });
  });

  it("resets connections again when a copy stops that ran on behind a shut gate", () => {
    const bench = running();
    // The gate runs out while the lease goes on; the reset is done, and the lease ends before the gate opens again.
    bench.held.add("renew-gates");
    bench.run(1_200_000);
    expect(bench.kinds()).toContain("reset-storage");
    bench.done = [];
    bench.run(1_200_000, "none");
    expect(bench.kinds()).toEqual(["pause-copy", "reset-storage"]);
  });

  it("never starts twice under one placement", () => {
    const bench = running();
    bench.copies = [];
    bench.input({ kind: "changed" });
    bench.answerAll();
    bench.run(400_000);
    bench.done = [];
    bench.say([run()]);
    bench.run(300_000);
    expect(bench.kinds()).not.toContain("start-copy");
    expect(bench.reports.at(-1)?.failures[0]).toMatchObject({ vm: "a", code: "VM_ENDED" });
    bench.say([run({ term: 1, number: 11 })]);
    bench.run(300_000);
    expect(bench.kinds()).toContain("start-copy");
  });

  it("waits for what may have left by a gate that the last life had opened, from when it was shut", () => {
    const bench = new Bench();
    bench.copies = [{ vm: "a", state: "running" }];
    bench.open = [{ vm: "a", network: true, storage: true, remainingUs: 900_000 }];
    bench.held.add("shut-gates");
    bench.run(300_000);
    bench.say([run()]);
    bench.run(300_000);
    expect(bench.kinds()).not.toContain("start-copy");
    bench.held.clear();
    bench.answerAll();
    bench.run(90_000);
    expect(bench.kinds()).toContain("destroy-copy");
    expect(bench.kinds()).not.toContain("start-copy");
    bench.run(200_000);
    expect(bench.kinds()).toContain("start-copy");
  });

  it("is clean under a term when it is out, with what it keeps suspended and what was given away destroyed", () => {
    const bench = running();
    bench.run(100_000, "out");
    expect(bench.clean).toBeNull();
    bench.run(300_000, "out");
    // What it was told before its removal says nothing now.
    expect(bench.clean).toBeNull();
    const view = { term: 1, number: 2 };
    bench.say([run()], { view });
    bench.run(100_000, "out");
    expect(bench.clean).toBe(1);
    bench.say([{ kind: "destroy", vm: "a", owner: 2, forget: false }], { view });
    expect(bench.copies).toEqual([]);
    bench.run(300_000, "out");
    expect(bench.clean).toBe(1);
    expect(bench.kinds()).not.toContain("resume-copy");
  });

  it("is not kept out of the view by machines that are nobody's business", () => {
    const bench = new Bench();
    bench.copies = [{ vm: "foreign", state: "running" }];
    bench.input({ kind: "changed" });
    bench.run(1_500_000, "out");
    expect(bench.clean).toBe(1);
    expect(bench.copies).toEqual([{ vm: "foreign", state: "running" }]);
    expect(bench.kinds()).not.toContain("pause-copy");
    // Once a master speaks of it, it is.
    const view = { term: 1, number: 2 };
    bench.held.add("destroy-copy");
    bench.say([{ kind: "destroy", vm: "foreign", owner: 2, forget: false }], { view });
    bench.run(100_000, "out");
    expect(bench.clean).toBeNull();
  });

  it("lets the target of a live move look at its storage, and resumes it only when it is its own", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    const record = recordAt(OURS);
    bench.held.add("receive-copy");
    bench.say([{ kind: "incoming", vm: "a", placement: OURS, from: 2, record }]);
    bench.run(100_000);
    expect(bench.reports.at(-1)?.copies[0]).toMatchObject({ state: "incoming", confirmed: false });
    bench.held.clear();
    bench.run(100_000);
    expect(bench.kinds().slice(0, 3)).toEqual(["reset-storage", "receive-copy", "renew-gates"]);
    // Its hypervisor comes up when the source begins to send; until then nothing to see is no end.
    bench.input({ kind: "changed" });
    bench.run(100_000);
    expect(bench.reports.at(-1)?.copies[0]).toMatchObject({ state: "incoming", confirmed: true });
    bench.copies = [{ vm: "a", state: "incoming-complete" }];
    bench.input({ kind: "changed" });
    bench.run(400_000);
    expect(bench.kinds()).not.toContain("resume-copy");
    const openings = () => bench.done.flatMap((step) => (step.kind === "renew-gates" ? step.open : []));
    expect(openings().every(({ network }) => !network)).toBe(true);
    bench.done = [];
    bench.say([run()]);
    bench.run(200_000);
    expect(bench.kinds()).not.toContain("shut-gates");
    expect(bench.kinds()).not.toContain("reset-storage");
    expect(bench.kinds().indexOf("resume-copy")).toBeGreaterThan(bench.kinds().indexOf("save-records"));
    expect(openings().at(-1)).toEqual({ vm: "a", network: true, storage: true });
  });

  it("shuts a look with the lease, and resets what it opened before the next one", () => {
    const bench = new Bench();
    bench.run(1_200_000);
    const incoming = { kind: "incoming", vm: "a", placement: OURS, from: 2, record: recordAt(OURS) } as const;
    bench.say([incoming]);
    bench.run(200_000);
    expect(bench.state.vms["a"]?.open).toEqual({ network: false, storage: true });
    bench.run(1_200_000, "none");
    expect(bench.state.vms["a"]?.open).toEqual({ network: false, storage: false });
    bench.done = [];
    bench.run(100_000);
    expect(bench.kinds()).toEqual([]);
    bench.say([incoming]);
    bench.run(200_000);
    expect(bench.kinds().slice(0, 2)).toEqual(["reset-storage", "renew-gates"]);
    expect(bench.kinds()).not.toContain("receive-copy");
  });

  it("destroys a copy that nobody ordered before it starts its own", () => {
    const bench = new Bench();
    bench.copies = [{ vm: "a", state: "running" }];
    bench.run(1_200_000);
    expect(bench.reasons).toContain("VM_FOREIGN");
    expect(bench.kinds()).not.toContain("resume-copy");
    bench.say([run()]);
    bench.run(400_000);
    expect(bench.kinds().indexOf("destroy-copy")).toBeGreaterThanOrEqual(0);
    expect(bench.kinds().indexOf("destroy-copy")).toBeLessThan(bench.kinds().indexOf("start-copy"));
  });
});
