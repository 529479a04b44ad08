import type { Sample } from "./results.ts";
import type { Series } from "./series.ts";
import { summarize } from "./statistics.ts";

type Row = string[];

const HEADER: Row = ["what", "value", "n", "median", "p99", "max", "reach", "", "load"];

/** The figures as a table; every line says whether its reach was kept, and what the machine's load was. */
export function tableText(series: readonly Series[], samplesOf: (name: string) => readonly Sample[]): string {
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

function rowsOf(series: Series, samples: readonly Sample[]): Row[] {
  return series.shown.map(({ value, statistic, reach }) => {
    const taken = samples.filter((sample) => value in sample.values);
    const summary = summarize(taken.map((sample) => sample.values[value] ?? 0));
    if (summary === null)
      return [series.title, value, "0", "-", "-", "-", reachText(statistic, reach), "not run", "-"];
    const load = summarize(taken.map((sample) => sample.load));
    return [
      series.title,
      value,
      String(summary.n),
      shown(summary.median),
      shown(summary.p99),
      shown(summary.max),
      reachText(statistic, reach),
      verdict(series, value, samples, summary[statistic], reach),
      shown(load?.median ?? 0),
    ];
  });
}

function verdict(
  series: Series,
  value: string,
  samples: readonly Sample[],
  reached: number,
  reach: number | null,
): string {
  if (series.name === "crash" && value === "silence_ms") return crashVerdict(samples);
  if (reach === null) return "";
  return reached <= reach ? "kept" : "MISSED";
}

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

/** True when no reach that was measured is missed. */
export function allKept(text: string): boolean {
  return !text.includes("MISSED");
}
