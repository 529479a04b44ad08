/** The table of `npm run chaos`: a row per fault. Pure. */
import { summarize } from "../bench/statistics.ts";
import { sift } from "../bench/stood-still.ts";
import { CHAOS_TOKEN_MS, type ChaosSample, type Fault, isLate } from "./fault.ts";
import { missedBy } from "./judge.ts";

export type FaultRow = {
  fault: string;
  title: string;
  /** Samples that count. */
  n: number;
  /** Samples beside these that were set aside, because the machine itself stood still; and how many of them missed. */
  set_aside: number;
  set_aside_missed: number;
  /** False when more than half were set aside: then nothing is said to be met. */
  measured: boolean;
  vip_gap_p50_ms: number;
  vip_gap_max_ms: number;
  vip_lost_max_ms: number;
  two_answers_ms: number;
  failovers_max: number;
  spurious: number;
  back_max_ms: number;
  recovery_p50_ms: number | null;
  recovery_max_ms: number | null;
  /** Samples in which the observer itself stood still for more than 10 ms, and by how much at most. */
  late: number;
  late_max_ms: number;
  load_p50: number;
  /** Samples whose cause `quorate why` named rightly, of those in which it was asked. */
  causes_right: number;
  causes_asked: number;
  /** Recordings of nodes that were fetched and replayed to the same decisions, of those that were to be. */
  replays_equal: number;
  replays: number;
  /** What was missed, each with the number of samples, and in how many of these the observer was late. */
  missed: string[];
};

export function rowOf(fault: Fault, taken: readonly ChaosSample[]): FaultRow {
  const { counted: samples, aside, isMeasured } = sift(taken, CHAOS_TOKEN_MS);
  const all = (name: string) => samples.flatMap(({ values }) => values[name] ?? []);
  const max = (name: string) => Math.max(0, ...all(name));
  const sum = (name: string) => all(name).reduce((total, value) => total + value, 0);
  const gap = summarize(all("vip_gap_ms"));
  const recovery = summarize(all("recovery_ms"));
  const asked = samples.flatMap(({ cause }) => cause ?? []);
  const replays = samples.flatMap(({ replay }) => replay ?? []);
  return {
    fault: fault.name,
    title: fault.title,
    n: samples.length,
    set_aside: aside.length,
    set_aside_missed: aside.filter((sample) => missedBy(fault, sample).length > 0).length,
    measured: isMeasured,
    vip_gap_p50_ms: Math.round(gap?.median ?? 0),
    vip_gap_max_ms: Math.round(gap?.max ?? 0),
    vip_lost_max_ms: Math.round(max("lost_ms")),
    two_answers_ms: sum("dual_ms"),
    failovers_max: max("failovers"),
    spurious: sum("spurious"),
    back_max_ms: Math.round(max("back_ms")),
    recovery_p50_ms: recovery === null ? null : Math.round(recovery.median),
    recovery_max_ms: recovery === null ? null : Math.round(recovery.max),
    late: samples.filter(isLate).length,
    late_max_ms: Math.round(max("lateness_ms")),
    load_p50: summarize(samples.map(({ load }) => load))?.median ?? 0,
    causes_right: asked.filter(({ isRight }) => isRight).length,
    causes_asked: asked.length,
    replays_equal: replays.reduce((total, { equal }) => total + equal, 0),
    replays: replays.reduce((total, { nodes }) => total + nodes, 0),
    missed: missedOf(fault, samples),
  };
}

function missedOf(fault: Fault, samples: readonly ChaosSample[]): string[] {
  const bad = samples.filter((sample) => missedBy(fault, sample).length > 0);
  if (bad.length === 0) return [];
  const late = bad.filter(isLate).length;
  const worst = [...new Set(bad.flatMap((sample) => missedBy(fault, sample)))].sort();
  const note = late === 0 ? "" : `, the observer late in ${late} of them`;
  return [`${bad.length} of ${samples.length}${note}: ${worst.join("; ")}`];
}

const HEADER = [
  ...["fault", "n", "aside", "gap p50", "max ms", "lost ms", "two ms", "failovers", "spurious", "back ms"],
  ...["recovery p50", "max ms", "late", "max ms", "load", "why", "replayed", "reach"],
];

export function chaosTable(rows: readonly FaultRow[]): string {
  return aligned(
    HEADER,
    rows.map((row) => (row.n === 0 && row.set_aside === 0 ? emptyCells(row) : cellsOf(row))),
  );
}

const GUEST_HEADER = [
  ...["fault", "n", "double starts", "lost writes", "restarts"],
  ...["silence p50", "max ms", "back p50", "max ms", "load"],
];

/** Of chaos with virtual machines: what became of the guests, all samples, set aside or not. */
export function guestTable(
  faults: readonly Fault[],
  samplesOf: (fault: Fault) => readonly ChaosSample[],
): string {
  const cells = faults.map((fault) => {
    const samples = samplesOf(fault);
    const all = (name: string) => samples.flatMap(({ values }) => values[name] ?? []);
    const sum = (name: string) => String(all(name).reduce((total, value) => total + value, 0));
    const medianAndMax = (name: string) => {
      const figures = summarize(all(name));
      return figures === null
        ? ["-", "-"]
        : [figures.median, figures.max].map((ms) => String(Math.round(ms)));
    };
    return [
      fault.name,
      String(samples.length),
      sum("double_starts"),
      sum("lost_writes"),
      sum("guest_restarts"),
      ...medianAndMax("guest_silence_ms"),
      ...medianAndMax("guests_back_ms"),
      (summarize(samples.map(({ load }) => load))?.median ?? 0).toFixed(1),
    ];
  });
  return aligned(GUEST_HEADER, cells);
}

function aligned(header: readonly string[], cells: readonly string[][]): string {
  const widths = header.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const last = header.length - 1;
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || column === last ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  return `${[header, ...cells].map(line).join("\n")}\n`;
}

function cellsOf(row: FaultRow): string[] {
  const orDash = (value: number | null) => (value === null ? "-" : String(value));
  return [
    row.fault,
    String(row.n),
    asideText(row),
    String(row.vip_gap_p50_ms),
    String(row.vip_gap_max_ms),
    String(row.vip_lost_max_ms),
    String(row.two_answers_ms),
    String(row.failovers_max),
    String(row.spurious),
    String(row.back_max_ms),
    orDash(row.recovery_p50_ms),
    orDash(row.recovery_max_ms),
    `${row.late}/${row.n}`,
    String(row.late_max_ms),
    row.load_p50.toFixed(1),
    row.causes_asked === 0 ? "-" : `${row.causes_right}/${row.causes_asked}`,
    row.replays === 0 ? "-" : `${row.replays_equal}/${row.replays}`,
    verdictOf(row),
  ];
}

function emptyCells({ fault }: FaultRow): string[] {
  return [fault, "0", "0", ...Array.from({ length: HEADER.length - 4 }, () => "-"), "not run"];
}

/** Those that missed something are shown too, so that nobody need wonder what was set aside. */
function asideText({ set_aside: count, set_aside_missed: missed }: FaultRow): string {
  return missed === 0 ? String(count) : `${count} (${missed} missed)`;
}

function verdictOf(row: FaultRow): string {
  if (row.missed.length > 0) return `MISSED ${row.missed.join("; ")}`;
  return row.measured ? "met" : "NOT MEASURED";
}

/** Nothing missed, and not because the machine stood still too often. */
export function isMet(row: FaultRow): boolean {
  return row.measured && row.missed.length === 0;
}
