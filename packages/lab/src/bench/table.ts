import type { Sample } from "./results.ts";
import type { ShownSeries } from "./series.ts";
import { summarize } from "./statistics.ts";
import { ALWAYS_COUNTED, type Sifted, sift } from "./stood-still.ts";

type Row = string[];

const HEADER: Row = ["what", "value", "n", "aside", "median", "p99", "max", "reach", "", "load"];

/** The figures as a table; every line says whether its reach was kept, and what the machine's load was. */
export function tableText(
  series: readonly ShownSeries[],
  samplesOf: (name: string) => readonly Sample[],
): string {
  const rows: Row[] = [HEADER];
  for (const one of series) rows.push(...rowsOf(one, samplesOf(one.name)));
  const widths = HEADER.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: Row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return `${rows.map(line).join("\n")}\n`;
}

function rowsOf(series: ShownSeries, samples: readonly Sample[]): Row[] {
  const sifted = sift(samples, series.topology.tokenMs);
  return series.shown.map(({ value, statistic, reach }) => {
    const isAlways = ALWAYS_COUNTED.includes(value);
    const has = (sample: Sample) => value in sample.values;
    const taken = (isAlways ? samples : sifted.counted).filter(has);
    const aside = isAlways ? 0 : sifted.aside.filter(has).length;
    const summary = summarize(taken.map((sample) => sample.values[value] ?? 0));
    if (summary === null)
      return [
        ...[series.title, value, "0", String(aside), "-", "-", "-", reachText(statistic, reach)],
        ...[aside === 0 ? "not run" : NOT_MEASURED, "-"],
      ];
    const load = summarize(taken.map((sample) => sample.load));
    return [
      series.title,
      value,
      String(summary.n),
      String(aside),
      shown(summary.median),
      shown(summary.p99),
      shown(summary.max),
      reachText(statistic, reach),
      verdict(series, value, sifted, summary[statistic], reach),
      shown(load?.median ?? 0),
    ];
  });
}

function verdict(
  series: ShownSeries,
  value: string,
  sifted: Sifted<Sample>,
  reached: number,
  reach: number | null,
): string {
  const isMeasured = sifted.isMeasured || ALWAYS_COUNTED.includes(value);
  if (series.name === "crash" && value === "silence_ms") {
    return isMeasured ? crashVerdict(sifted.counted) : NOT_MEASURED;
  }
  if (reach === null) return "";
  if (!isMeasured && reached <= reach) return NOT_MEASURED;
  return reached <= reach ? "kept" : "MISSED";
}

/** More than half of the samples were taken while the machine stood still. */
const NOT_MEASURED = "NOT MEASURED";

/** The observer asks every 5 ms: a silence that is longer by less than that has not lost one answer. */
const PROBE_INTERVAL_MS = 5;

/** No crash may be longer than the longest undisturbed silence, the observer's own lateness taken off. */
function crashVerdict(samples: readonly Sample[]): string {
  const undisturbed = samples.map((sample) => sample.values["undisturbed_silence_ms"] ?? 0);
  const limit = Math.max(0, ...undisturbed);
  const allowed = limit + PROBE_INTERVAL_MS;
  const over = samples.filter(
    ({ values }) => (values["silence_ms"] ?? 0) - (values["lateness_ms"] ?? 0) >= allowed,
  );
  if (limit === 0) return "not run";
  return over.length === 0
    ? "kept"
    : `MISSED: ${[...new Set(over.map(({ label }) => label))].sort().join(", ")}`;
}

function reachText(statistic: string, reach: number | null): string {
  return reach === null ? "" : `${statistic} <= ${reach}`;
}

function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** True when no reach is missed, and none could not be measured. */
export function allKept(text: string): boolean {
  return !text.includes("MISSED") && !text.includes(NOT_MEASURED);
}
