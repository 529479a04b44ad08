import { describe, expect, it } from "vitest";
import { chooseFaults, FAULTS } from "../src/chaos/catalogue.ts";
import type { ChaosSample, Fault } from "../src/chaos/fault.ts";
import { guestValues, withGuests } from "../src/chaos/guests.ts";
import { failoversOf, missedBy, spuriousOf, staleAnswersOf, valuesOf } from "../src/chaos/judge.ts";
import { judgeReplay } from "../src/chaos/recordings.ts";
import { chaosTable, guestTable, isMet, rowOf } from "../src/chaos/table.ts";
import { type ConvergedStatus, convergedOf } from "../src/converged.ts";
import { Tally } from "../src/tally.ts";

const VIP = "172.31.223.100";
const BEFORE = { master: 4, slaves: [2, 8], term: 7, version: 3, view: "7.2" };

function runs(...hosts: number[]) {
  return hosts.map((host, at) => ({ host, vip: VIP, fromMs: at * 1000, toMs: at * 1000 + 900 }));
}

function faultOf(name: string): Fault {
  const fault = FAULTS.find((one) => one.name === name);
  if (fault === undefined) throw new Error(`no fault ${name}`);
  return fault;
}

function sampleOf(values: Record<string, number>): ChaosSample {
  return {
    label: "node-4",
    load: 1,
    values: { vip_gap_ms: 5, lateness_ms: 1, recovery_ms: 100, ...values },
    injected: { fault: "x", node: 4, fromMs: 0, toMs: 1, details: [] },
    before: BEFORE,
    after: BEFORE,
    holders: [],
    cause: null,
    replay: null,
  };
}

describe("the catalogue", () => {
  it("names every fault once, and takes beginnings of names", () => {
    const names = FAULTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(chooseFaults(["freeze-2s"]).map(({ name }) => name)).toEqual([
      "freeze-2s-master",
      "freeze-2s-slave",
    ]);
    expect(chooseFaults(undefined)).toHaveLength(FAULTS.length);
    expect(() => chooseFaults(["freez"])).toThrow(/no fault freez/);
  });

  it("lets faults of one group share one kind of hosts", () => {
    const kinds = new Map(FAULTS.map(({ group, hosts }) => [group, hosts]));
    for (const fault of FAULTS) expect(kinds.get(fault.group), fault.name).toBe(fault.hosts);
  });
});

describe("a failover", () => {
  it("is a change of the host that answers, however often one host's answers pause", () => {
    expect(failoversOf(runs(4, 4, 4))).toBe(0);
    expect(failoversOf(runs(4, 4, 2, 2))).toBe(1);
    expect(failoversOf(runs(4, 2, 4))).toBe(2);
  });

  it("is spurious when the fault does not excuse it", () => {
    const raised = { ...BEFORE, term: 8, view: "8.1" };
    const reviewed = { ...BEFORE, view: "7.3" };
    expect(spuriousOf("nothing", 0, BEFORE, BEFORE)).toBe(0);
    expect(spuriousOf("nothing", 0, BEFORE, reviewed)).toBe(1);
    expect(spuriousOf("nothing", 0, BEFORE, raised)).toBe(1);
    expect(spuriousOf("view", 0, BEFORE, reviewed)).toBe(0);
    expect(spuriousOf("view", 0, BEFORE, raised)).toBe(1);
    expect(spuriousOf("view", 1, BEFORE, BEFORE)).toBe(1);
    expect(spuriousOf("failover", 1, BEFORE, raised)).toBe(0);
    expect(spuriousOf("failover", 2, BEFORE, raised)).toBe(1);
    expect(spuriousOf("anything", 5, BEFORE, null)).toBe(0);
  });
});

describe("an answer of the struck host", () => {
  it("is stale after another took over, unless it is rightly master again", () => {
    const after = { ...BEFORE, master: 2, slaves: [4, 8], term: 8 };
    expect(staleAnswersOf(runs(4, 2, 2), 4, after)).toBe(0);
    expect(staleAnswersOf(runs(4, 2, 4, 2), 4, after)).toBe(1);
    expect(staleAnswersOf(runs(4, 2, 4, 2), 4, null)).toBe(1);
    expect(staleAnswersOf(runs(4, 2, 4), 4, { ...BEFORE, term: 9 })).toBe(0);
    // A slave that was struck has no mastership to be stale.
    expect(staleAnswersOf(runs(4, 2), 2, after)).toBe(0);
  });
});

describe("figures", () => {
  it("say how long after the fault's end the address came back, and what was lost in all", () => {
    const tally = new Tally({ fromMs: 0, holdMs: 20 });
    for (const atMs of [0, 5, 10, 1500, 1505, 2000]) {
      tally.reached("icmp", atMs);
      tally.spoke(4, VIP, atMs);
    }
    const values = valuesOf("nothing", {
      report: tally.report(2000),
      struck: 4,
      before: BEFORE,
      after: BEFORE,
      endedMs: 1200,
      convergedMs: 1900,
    });
    expect(values).toMatchObject({ vip_gap_ms: 1490, lost_ms: 1490 + 495, back_ms: 300, recovery_ms: 700 });
    expect(values).toMatchObject({ failovers: 0, spurious: 0, dual_ms: 0, unconverged: 0 });
  });
});

describe("what was missed", () => {
  it("is two answers, a spurious failover or no convergence for every fault, and each fault's own", () => {
    const cut = faultOf("power-cut-master");
    expect(missedBy(cut, sampleOf({ lost_ms: 1100 }))).toEqual([]);
    expect(missedBy(cut, sampleOf({ dual_ms: 1 }))).toEqual(["dual_ms 1 > 0"]);
    expect(missedBy(cut, sampleOf({ spurious: 1, unconverged: 1 }))).toHaveLength(2);
    expect(missedBy(faultOf("loss-30"), sampleOf({ lost_ms: 1100 }))).toEqual(["lost_ms 1100 > 0"]);
    expect(missedBy(faultOf("loss-40"), sampleOf({ lost_ms: 1100 }))).toEqual([]);
    expect(missedBy(faultOf("freeze-2s-master"), sampleOf({ stale_answers: 1 }))).toHaveLength(1);
  });

  it("stands in the row, with the samples in which the observer was late, none of which is dropped", () => {
    const fault = faultOf("kill-membership-master");
    const fine = sampleOf({});
    const missed = sampleOf({ spurious: 1, lateness_ms: 40, vip_gap_ms: 900 });
    const row = rowOf(fault, [fine, fine, missed]);
    expect(row).toMatchObject({ n: 3, vip_gap_p50_ms: 5, vip_gap_max_ms: 900, late: 1, late_max_ms: 40 });
    expect(row.missed).toEqual(["1 of 3, the observer late in 1 of them: spurious 1 > 0"]);
    expect(row.measured).toBe(true);
    const text = chaosTable([rowOf(fault, [fine]), row, rowOf(faultOf("loss-10"), [])]);
    expect(text).toMatch(/kill-membership-master +1 .* met\n/);
    expect(text).toMatch(/kill-membership-master +3 .* MISSED 1 of 3/);
    expect(text).toMatch(/loss-10 +0 .*not run\n/);
  });

  it("does not count what was seen while the machine stood still, shows it, and is not met by half", () => {
    const fault = faultOf("kill-membership-master");
    const fine = sampleOf({});
    const still = sampleOf({ stood_still_ms: 312, spurious: 1, vip_gap_ms: 2000, lost_ms: 2000 });
    const row = rowOf(fault, [fine, still]);
    expect(row).toMatchObject({ n: 1, set_aside: 1, set_aside_missed: 1, spurious: 0, vip_gap_max_ms: 5 });
    expect(isMet(row)).toBe(true);
    expect(chaosTable([row])).toMatch(/kill-membership-master +1 +1 \(1 missed\) .* met\n/);
    const half = rowOf(fault, [fine, still, still]);
    expect(isMet(half)).toBe(false);
    expect(chaosTable([half])).toMatch(/NOT MEASURED\n/);
    expect(isMet(rowOf(fault, [still]))).toBe(false);
    const two = rowOf(fault, [fine, sampleOf({ stood_still_ms: 312, dual_ms: 2 })]);
    expect(two).toMatchObject({ n: 2, set_aside: 0, two_answers_ms: 2 });
    expect(isMet(two)).toBe(false);
  });
});

describe("the recordings of a sample", () => {
  const recorded = JSON.stringify({ path: "x", missing: [] });
  const service = (difference: object | null) => ({ service: "membership", node: 4, steps: 7, difference });
  const replayed = (...services: object[]) => JSON.stringify({ services, equal: true });

  it("replay, or say where not, or why they could not be had", () => {
    const well = judgeReplay(4, recorded, replayed(service(null), service(null)));
    expect(well).toEqual({ steps: 14, differences: [], failures: [] });
    const differs = service({ step: 3, what: "decision", place: "effects.0" });
    expect(judgeReplay(4, recorded, replayed(differs)).differences).toEqual([
      "node-4: membership at step 3: decision effects.0",
    ]);
    const silent = JSON.stringify({ missing: [{ service: "membership", why: "it does not answer" }] });
    expect(judgeReplay(4, silent, replayed()).failures).toEqual(["node-4: membership: it does not answer"]);
    expect(judgeReplay(4, "quorate: no", replayed()).failures).toEqual(["node-4: no recording: quorate: no"]);
    expect(judgeReplay(4, recorded, "damaged").failures).toEqual(["node-4: not replayed: damaged"]);
  });

  it("are counted in the row; a difference and a crash are missed, also when the machine stood still", () => {
    const fault = faultOf("kill-membership-master");
    const of = (equal: number, values: Record<string, number> = {}): ChaosSample => ({
      ...sampleOf(values),
      replay: { nodes: 3, equal, steps: 99, differences: [], failures: [], crashes: [] },
    });
    const row = rowOf(fault, [of(3), of(3), sampleOf({})]);
    expect(row).toMatchObject({ replays: 6, replays_equal: 6 });
    expect(isMet(row)).toBe(true);
    expect(chaosTable([row])).toMatch(/ 6\/6 +met\n/);
    for (const name of ["replay_differences", "crashes"]) {
      const bad = rowOf(fault, [of(3), of(2, { [name]: 1, stood_still_ms: 500 })]);
      expect(bad).toMatchObject({ n: 2, replays_equal: 5, missed: [`1 of 2: ${name} 1 > 0`] });
      expect(isMet(bad)).toBe(false);
    }
    expect(isMet(rowOf(fault, [of(2, { replay_failures: 1 })]))).toBe(false);
  });
});

describe("converged", () => {
  const saying = (id: number, change: Partial<ConvergedStatus> = {}): ConvergedStatus => ({
    node: { id },
    role: id === 4 ? "master" : "slave",
    leader: 4,
    term: 7,
    view: { term: 7, number: 2, members: [2, 4, 8] },
    configuration: { version: 3, digest: "d", committed: true },
    peers: [2, 4, 8].filter((other) => other !== id).map((other) => ({ id: other, state: "joined" })),
    clusterIp: { state: id === 4 ? "present" : "absent", gate: id === 4 ? "open" : "shut" },
    service: { state: id === 4 ? "ready" : "stopped" },
    ...change,
  });
  const all = (change: Partial<ConvergedStatus>, of = 4) =>
    [2, 4, 8].map((id) => saying(id, id === of ? change : {}));

  it("is what all nodes agree on", () => {
    expect(convergedOf(all({}), [2, 4, 8])).toEqual(BEFORE);
  });

  it("is not while one is silent, disagrees, is not joined, or the master does not hold", () => {
    const { configuration } = saying(2);
    const wrong: [Partial<ConvergedStatus>, number][] = [
      [{ role: "slave" }, 4],
      [{ term: 8 }, 2],
      [{ leader: 2 }, 2],
      [{ configuration: { ...configuration, version: 2 } }, 8],
      [{ peers: [{ id: 4, state: "suspect" }] }, 2],
      [{ clusterIp: { state: "present", gate: "shut" } }, 4],
      [{ service: { state: "starting" } }, 4],
    ];
    for (const [change, of] of wrong) expect(convergedOf(all(change, of), [2, 4, 8])).toBeNull();
    expect(convergedOf([saying(2), saying(4), null], [2, 4, 8])).toBeNull();
    const uncommitted = [2, 4, 8].map((id) =>
      saying(id, { configuration: { ...configuration, committed: false } }),
    );
    expect(convergedOf(uncommitted, [2, 4, 8])).toBeNull();
  });
});

describe("chaos with virtual machines", () => {
  it("lets all faults of one kind of hosts share a lab", () => {
    for (const { group, hosts } of withGuests(FAULTS)) expect(group).toBe(hosts);
  });

  it("counts runs beyond a guest's first, and the longest silence of any", () => {
    const run = { firstMs: 0, lastSentMs: 1, lastMs: 1, firstNumber: 1, lastNumber: 2, answers: 2 };
    const report = (guest: string, longestMs: number, runs: string[]) => ({
      ...{ guest, answers: 4, refusals: 0, overlaps: [], repeated: [] },
      silence: { longestMs, fromMs: 0, open: false },
      runs: runs.map((name) => ({ run: name, ...run })),
    });
    expect(
      guestValues([report("vm1", 20, ["a"]), report("vm2", 7000, ["b", "c"]), report("vm3", 9, [])]),
    ).toEqual({ guest_silence_ms: 7000, guest_restarts: 1 });
  });

  it("misses a double start, a lost write and a guest that does not come back, and shows them", () => {
    const cut = faultOf("power-cut-master");
    const bad = sampleOf({ double_starts: 1, lost_writes: 2, guests_not_back: 1, guest_silence_ms: 8000 });
    expect(missedBy(cut, bad)).toEqual(["double_starts 1 > 0", "lost_writes 2 > 0", "guests_not_back 1 > 0"]);
    const lines = guestTable([cut], () => [bad, sampleOf({ guest_silence_ms: 6000, guests_back_ms: 5000 })]);
    expect(lines.split("\n")[1]?.split(/ +/).slice(0, 9)).toEqual([
      "power-cut-master",
      "2",
      "1",
      "2",
      "0",
      "6000",
      "8000",
      "5000",
      "5000",
    ]);
  });
});
