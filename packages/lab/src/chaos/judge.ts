/** From what was seen to figures, and from figures to what was missed. Pure. */
import { latenessOf } from "../bench/stood-still.ts";
import type { Converged } from "../converged.ts";
import type { TallyReport } from "../tally.ts";
import type { ChaosSample, Excuse, Fault, Reach } from "./fault.ts";

type HolderRun = { host: number; vip: string; fromMs: number; toMs: number };

/** How often the cluster address came to answer from another host than before. */
export function failoversOf(holders: readonly HolderRun[]): number {
  const last = new Map<string, number>();
  let count = 0;
  for (const { host, vip } of holders) {
    const before = last.get(vip);
    if (before !== undefined && before !== host) count += 1;
    last.set(vip, host);
  }
  return count;
}

/**
 * Changes of master, term or view that the fault does not excuse. A lost vote raises the term and is no failover:
 * where a failover is excused, terms are not counted.
 */
export function spuriousOf(
  excuse: Excuse,
  failovers: number,
  before: Converged,
  after: Converged | null,
): number {
  const terms = after === null ? 0 : after.term - before.term;
  const views = after === null || after.view === before.view ? 0 : 1;
  switch (excuse) {
    case "nothing":
      return Math.max(failovers, terms, views);
    case "view":
      return Math.max(failovers, terms);
    case "failover":
      return Math.max(0, failovers - 1);
    case "anything":
      return 0;
    default:
      return excuse satisfies never;
  }
}

/**
 * How often the struck host answered after another host had taken over: a thawed node with an old mastership would.
 * Zero when it is rightly master again at the end.
 */
export function staleAnswersOf(
  holders: readonly HolderRun[],
  struck: number,
  after: Converged | null,
): number {
  if (after?.master === struck) return 0;
  const taken = holders.find(({ host }) => host !== struck);
  const first = holders.findIndex(({ host }) => host === struck);
  if (taken === undefined || first === -1) return 0;
  return holders.filter(({ host, fromMs }) => host === struck && fromMs > taken.fromMs).length;
}

export type Seen = {
  report: TallyReport;
  struck: number;
  before: Converged;
  after: Converged | null;
  /** Wall clock, ms; the second null when the cluster did not converge. */
  endedMs: number;
  convergedMs: number | null;
};

export function valuesOf(excuse: Excuse, seen: Seen): Record<string, number> {
  const { report, before, after } = seen;
  const { icmp, arp, http } = report.silence;
  const failovers = failoversOf(report.holders);
  // The silence in which the fault ended is over when the address is back.
  const backMs = icmp.fromMs < seen.endedMs && icmp.toMs > seen.endedMs ? icmp.toMs - seen.endedMs : 0;
  return {
    vip_gap_ms: icmp.longestMs,
    arp_gap_ms: arp.longestMs,
    service_gap_ms: http.longestMs,
    lost_ms: icmp.totalMs,
    dual_ms: report.dualMs,
    failovers,
    terms: after === null ? 0 : after.term - before.term,
    spurious: spuriousOf(excuse, failovers, before, after),
    stale_answers: staleAnswersOf(report.holders, seen.struck, after),
    back_ms: backMs,
    ...(seen.convergedMs === null ? {} : { recovery_ms: seen.convergedMs - seen.endedMs }),
    unconverged: after === null ? 1 : 0,
    ...latenessOf(report),
  };
}

/** What holds for every fault. */
const ALWAYS: readonly Reach[] = [
  { value: "dual_ms", limit: 0 },
  { value: "spurious", limit: 0 },
  { value: "unconverged", limit: 0 },
  { value: "replay_differences", limit: 0 },
  { value: "replay_failures", limit: 0 },
  { value: "crashes", limit: 0 },
  // Of the guests, where there are any.
  { value: "double_starts", limit: 0 },
  { value: "lost_writes", limit: 0 },
  { value: "guests_not_back", limit: 0 },
];

/** What this sample missed, in words; empty when all was reached. */
export function missedBy(fault: Fault, sample: ChaosSample): string[] {
  const missed: string[] = [];
  for (const { value, limit } of [...ALWAYS, ...fault.reach]) {
    const measured = sample.values[value] ?? 0;
    if (measured > limit) missed.push(`${value} ${Math.round(measured)} > ${limit}`);
  }
  return missed;
}
