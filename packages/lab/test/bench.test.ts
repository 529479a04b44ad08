import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Results, type Sample } from "../src/bench/results.ts";
import { SERIES } from "../src/bench/series.ts";
import { summarize } from "../src/bench/statistics.ts";
import { allKept, tableText } from "../src/bench/table.ts";

describe("percentiles", () => {
  it("are values that were measured, by nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_value, index) => index + 1);
    expect(summarize(hundred)).toEqual({ n: 100, median: 50, p99: 99, max: 100 });
    expect(summarize([7])).toEqual({ n: 1, median: 7, p99: 7, max: 7 });
    expect(summarize([])).toBeNull();
  });

  it("come in order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const summary = summarize(values);
        expect(values).toContain(summary?.median);
        expect(summary?.median).toBeLessThanOrEqual(summary?.p99 ?? 0);
        expect(summary?.p99).toBeLessThanOrEqual(summary?.max ?? 0);
        expect(summary?.max).toBe(Math.max(...values));
      }),
    );
  });
});

describe("results", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lab-bench-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const sample: Sample = { label: "x", values: { vip_gap_ms: 1 }, load: 0.5 };

  it("are added to over runs of one build, series by series, and never mixed with another build's", () => {
    const path = join(folder, "results.json");
    Results.open(path, "build-1").add("death-1000", sample);
    Results.open(path, "build-1").add("move", sample);
    const again = Results.open(path, "build-1");
    again.add("death-1000", sample);
    expect(Results.open(path, "build-1").of("death-1000")).toEqual([sample, sample]);
    expect(Results.open(path, "build-1").of("move")).toEqual([sample]);
    expect(Results.open(path, "build-2").of("death-1000")).toEqual([]);
  });

  it("of two runs side by side are both kept", () => {
    const path = join(folder, "results.json");
    const [one, other] = [Results.open(path, "build-1"), Results.open(path, "build-1")];
    one.add("move", sample);
    other.add("move", sample);
    one.add("death-1000", sample);
    expect(Results.open(path, "build-1").of("move")).toHaveLength(2);
    expect(Results.open(path, "build-1").of("death-1000")).toHaveLength(1);
  });
});

describe("the table", () => {
  const series = (name: string) => SERIES.filter((one) => one.name === name);
  const gap = (vip_gap_ms: number): Sample => ({ label: "", load: 1, values: { vip_gap_ms, dual_ms: 0 } });
  const crash = (label: string, values: Record<string, number>): Sample => ({ label, load: 1, values });

  it("says of each reach whether it was kept", () => {
    const kept = tableText(series("death-1000"), () => [gap(1000), gap(1200)]);
    expect(kept).toMatch(/vip_gap_ms +2 +0 +1000 +1200 +1200 +p99 <= 1300 +kept +1/);
    expect(allKept(kept)).toBe(true);
    const missed = tableText(series("death-1000"), () => [gap(1000), gap(1301)]);
    expect(missed).toMatch(/p99 <= 1300 +MISSED/);
    expect(allKept(missed)).toBe(false);
  });

  it("holds crashes against the undisturbed, the observer's lateness taken off", () => {
    const undisturbed = crash("undisturbed", { undisturbed_silence_ms: 12, lateness_ms: 5 });
    const fine = crash("master nats-server", { silence_ms: 20, lateness_ms: 9, new_views: 0 });
    const over = crash("slave membership", { silence_ms: 20, lateness_ms: 1, new_views: 0 });
    expect(tableText(series("crash"), () => [undisturbed, fine])).toMatch(/silence_ms +1 .*kept/);
    const text = tableText(series("crash"), () => [undisturbed, fine, over]);
    expect(text).toContain("MISSED: slave membership");
  });

  it("does not call kept what was not run", () => {
    expect(tableText(series("idle"), () => [])).toMatch(/cpu_percent +0 .*not run/);
  });
});
