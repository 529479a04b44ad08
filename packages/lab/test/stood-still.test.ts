import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SERIES } from "../src/bench/series.ts";
import { isSetAside, lacks, sift, stoodStillText } from "../src/bench/stood-still.ts";
import { allKept, tableText } from "../src/bench/table.ts";
import { Tally } from "../src/tally.ts";
import { readStandStills, type StandStill } from "../src/witness.ts";

const sample = (values: Record<string, number>) => ({ label: "x", load: 1, values });
const fine = sample({ vip_gap_ms: 900, dual_ms: 0, stood_still_ms: 99 });
const still = sample({ vip_gap_ms: 5000, dual_ms: 0, stood_still_ms: 100 });

describe("a sample in which the machine stood still", () => {
  it("is set aside from a tenth of a token on, by the witness's word alone", () => {
    expect(isSetAside(fine, 1000)).toBe(false);
    expect(isSetAside(still, 1000)).toBe(true);
    expect(isSetAside(fine, 300)).toBe(true);
    expect(isSetAside(sample({ lateness_ms: 9000, vip_gap_ms: 9000 }), 1000)).toBe(false);
    expect(stoodStillText(still, 1000)).toBe("machine stood still 100 ms");
    expect(stoodStillText(fine, 1000)).toBe("");
  });

  it("counts all the same when what must never happen was seen in it", () => {
    for (const name of ["dual_ms", "stale_answers", "unconverged"]) {
      expect(isSetAside(sample({ ...still.values, [name]: 1 }), 1000)).toBe(false);
    }
  });

  it("is made up for, until there are enough or there were twice as many tries", () => {
    expect(lacks([fine, still], 2, 1000)).toBe(true);
    expect(lacks([fine, still, fine], 2, 1000)).toBe(false);
    expect(lacks([still, still, still, fine], 2, 1000)).toBe(false);
    expect(lacks([], 1, 1000)).toBe(true);
  });

  it("loses no sample, and leaves no series measured of which more than half is aside", () => {
    const one = fc.record({ stood_still_ms: fc.nat(200), dual_ms: fc.nat(1) }).map(sample);
    fc.assert(
      fc.property(fc.array(one), (samples) => {
        const { counted, aside, isMeasured } = sift(samples, 1000);
        expect(counted.length + aside.length).toBe(samples.length);
        expect(isMeasured).toBe(aside.length <= samples.length / 2);
        for (const { values } of aside) expect(values["dual_ms"]).toBe(0);
      }),
    );
  });

  it("is out of the bench's figures and their n, and shown beside them; two holders are always counted", () => {
    const series = SERIES.filter(({ name }) => name === "death-1000");
    const text = tableText(series, () => [fine, fine, still]);
    expect(text).toMatch(/vip_gap_ms +2 +1 +900 +900 +900 +p99 <= 1300 +kept/);
    expect(text).toMatch(/dual_ms +3 +0 +0 +0 +0 +max <= 0 +kept/);
    expect(allKept(text)).toBe(true);
    const little = tableText(series, () => [fine, still, still]);
    expect(little).toMatch(/vip_gap_ms +1 +2 .*NOT MEASURED/);
    expect(allKept(little)).toBe(false);
    const two = sample({ ...still.values, dual_ms: 3 });
    expect(tableText(series, () => [fine, two])).toMatch(/dual_ms +2 .*MISSED/);
    expect(tableText(series, () => [fine, two])).toMatch(/vip_gap_ms +2 +0 .*MISSED/);
  });
});

describe("the tally", () => {
  const windowFrom = (fromMs: number) => new Tally({ fromMs, holdMs: 20 });

  it("knows nothing of the machine while nobody watches it", () => {
    expect(windowFrom(0).report(10).stoodStillMs).toBeNull();
  });

  it("takes of a stand-still what lies in its window, and the longest one", () => {
    const tally = windowFrom(1000);
    tally.watched();
    expect(tally.report(2000).stoodStillMs).toBe(0);
    tally.stoodStill(100, 900);
    expect(tally.report(2000).stoodStillMs).toBe(0);
    tally.stoodStill(500, 1200);
    tally.stoodStill(1500, 1550);
    tally.watched();
    expect(tally.report(2000).stoodStillMs).toBe(200);
  });
});

describe("the witness", () => {
  it("says from when to when it was kept from running, and ends with who asked it", async () => {
    const script = join(import.meta.dirname, "../assets/witness.pl");
    // It is stopped, so it must be late.
    const child = spawn("perl", [script, "5", "150"], { stdio: ["pipe", "pipe", "inherit"] });
    const stills: StandStill[] = [];
    let rest = "";
    const isLate = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        const read = readStandStills(rest + chunk.toString());
        ({ rest } = read);
        stills.push(...read.stills);
        if (stills.some(({ fromMs, toMs }) => toMs - fromMs >= 150)) resolve();
      });
    });
    const beforeMs = Date.now();
    // As long as it takes to be in its loop: it is stopped and let go until it has said so.
    const prod = setInterval(() => {
      child.kill("SIGSTOP");
      setTimeout(() => child.kill("SIGCONT"), 250);
    }, 500);
    await isLate;
    clearInterval(prod);
    child.kill("SIGCONT");
    for (const { fromMs, toMs } of stills) {
      expect(fromMs).toBeGreaterThanOrEqual(beforeMs - 1);
      expect(toMs).toBeLessThanOrEqual(Date.now() + 1);
    }
    child.stdin.end();
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
  });

  it("is read by whole lines", () => {
    expect(readStandStills("1.000 2.500\n3.0")).toEqual({
      stills: [{ fromMs: 1, toMs: 2.5 }],
      rest: "3.0",
    });
    expect(readStandStills("what\n").stills).toEqual([]);
  });
});
