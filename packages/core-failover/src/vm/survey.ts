import { CLOCK_RATE_ERROR, type NodeId } from "@quorate/contracts";
import { samePlacement } from "./host-state.ts";
import { type RelocatorState, type RelocatorTurn, wakeRelocatorAt } from "./relocator-state.ts";
import {
  comparePlacements,
  compareRecords,
  type CopyReport,
  isGated,
  type PlacementName,
  type VmId,
  type VmRecord,
  type VmReport,
} from "./words.ts";

/** Whether a host has taken a statement of this reign, and so will obey nothing older. */
export function answered(turn: RelocatorTurn, node: NodeId): boolean {
  const adopted = turn.state.reports[node]?.adopted;
  const { term, startNumber } = turn.reign;
  return adopted !== undefined && adopted.term === term && adopted.number >= startNumber;
}

/** What a host has, if it answered under this reign. */
export function reportOf(turn: RelocatorTurn, node: NodeId): VmReport | null {
  return answered(turn, node) ? (turn.state.reports[node] ?? null) : null;
}

/** By its lapsed lease; so is a host that left the node list, for that takes one. */
export function isFenced(turn: RelocatorTurn, node: NodeId): boolean {
  const fence = turn.judgement.fences.find((each) => each.node === node);
  return fence === undefined ? isRemoved(turn, node) : fence.verdict === "yes";
}

/** Fenced well enough for this machine: what passes by the gates needs a proof that the host is off, or was reset. */
export function isFencedFor(turn: RelocatorTurn, node: NodeId, record: VmRecord | null): boolean {
  if (!isFenced(turn, node)) return false;
  if (record === null || isGated(record) || turn.reign.proofs[node] !== undefined) return true;
  const atUs = resetAtUs(turn, node, record.vm);
  if (atUs === null) return false;
  wakeRelocatorAt(turn, atUs);
  return turn.nowUs >= atUs;
}

/** Timeouts are whole seconds, and a driver may count one more. */
const WATCHDOG_GRAIN_US = 1_000_000;

/**
 * By when the watchdog has reset a fenced host, on which the machine was started under one; null where the host itself
 * gave no such promise. What fed it last was decided under the lease, at most a token after the fence by any report;
 * that may have been carried out when the watchdog was all but over, and the end of the process that held it, which
 * feeds it once more, as late again: three times its timeout (ADR 21). Not before it has been silent of the machine for a
 * token; null, too, of one that still speaks of it after that.
 */
export function resetAtUs(turn: RelocatorTurn, node: NodeId, vm: VmId): number | null {
  const { state, judgement } = turn;
  const newest = newestRecord(turn, vm);
  const fence = judgement.fences.find((each) => each.node === node);
  if (newest?.node !== node || newest.record.watchdogUs === undefined) return null;
  if (fence?.verdict !== "yes" || fence.atUs === null) return null;
  const copy = state.reports[node]?.copies.find((each) => each.vm === vm);
  if (copy?.unguarded === true) return null;
  const { tokenUs } = state.config;
  const longestUs = tokenUs + 3 * (newest.record.watchdogUs + WATCHDOG_GRAIN_US);
  const resetUs = fence.atUs + Math.ceil(longestUs * (1 + 2 * CLOCK_RATE_ERROR));
  const saidAtUs = copy === undefined ? 0 : (state.reportedAtUs[node] ?? 0);
  return saidAtUs > resetUs ? null : Math.max(resetUs, saidAtUs + tokenUs);
}

export function copyAt(turn: RelocatorTurn, node: NodeId, vm: VmId): CopyReport | null {
  return reportOf(turn, node)?.copies.find((copy) => copy.vm === vm) ?? null;
}

export function recordAt(turn: RelocatorTurn, node: NodeId, vm: VmId): VmRecord | null {
  return reportOf(turn, node)?.records.find((record) => record.vm === vm) ?? null;
}

/**
 * INV-4's question: has the host answered under this reign that it has no copy, and will none come of what it was
 * told? A statement on its way counts as carried out, until the host has taken its withdrawal or the one start that
 * the placement stands for is spent.
 */
export function holdsNone(turn: RelocatorTurn, node: NodeId, vm: VmId): boolean {
  const report = reportOf(turn, node);
  if (report === null || report.copies.some((copy) => copy.vm === vm)) return false;
  const given = turn.reign.told[node]?.given[vm];
  if (given === undefined) return true;
  if (given.withdrawnBy !== null && report.adopted.number >= given.withdrawnBy) return true;
  return isSpent(turn, node, vm, given.placement);
}

/** The host's own word, from its disk, that nothing is or will be there under this placement. */
export function isSpent(turn: RelocatorTurn, node: NodeId, vm: VmId, placement: PlacementName): boolean {
  const record = recordAt(turn, node, vm);
  return record !== null && record.released !== null && comparePlacements(record.placement, placement) >= 0;
}

/** Hosts that may still have a copy: neither answered that they have none, nor fenced. */
export function hindrances(turn: RelocatorTurn, vm: VmId, record: VmRecord | null): NodeId[] {
  return turn.nodes.filter((node) => !holdsNone(turn, node, vm) && !isFencedFor(turn, node, record));
}

/** Hosts whose record of a machine that no gate holds is the newest one, and not over. */
export function ungatedKeepers({ reports, replica }: RelocatorState): NodeId[] {
  const newest = new Map<VmId, { node: NodeId; record: VmRecord }>();
  const reported = Object.values(reports).flatMap(({ node, records }) =>
    records.map((record) => ({ node, record })),
  );
  for (const each of [...reported, ...replica]) {
    const known = newest.get(each.record.vm);
    if (known === undefined || compareRecords(each.record, known.record) > 0)
      newest.set(each.record.vm, each);
  }
  return [...newest.values()].flatMap(({ node, record }) =>
    record.released === null && !isGated(record) ? node : [],
  );
}

/** Neither on the node list nor in the view. */
export function isRemoved({ state, judgement }: RelocatorTurn, node: NodeId): boolean {
  return !state.config.nodes.includes(node) && !judgement.members.includes(node);
}

/** The newest record of a machine, the living's and the replica's, and whose it is. */
export function newestRecord(turn: RelocatorTurn, vm: VmId): { node: NodeId; record: VmRecord } | null {
  let newest: { node: NodeId; record: VmRecord } | null = null;
  const consider = (node: NodeId, record: VmRecord) => {
    if (record.vm === vm && (newest === null || compareRecords(record, newest.record) > 0)) {
      newest = { node, record };
    }
  };
  for (const { node, records } of Object.values(turn.state.reports)) {
    for (const record of records) consider(node, record);
  }
  for (const { node, record } of turn.state.replica) consider(node, record);
  return newest;
}

/**
 * Hosts outside of the view that have a copy of a machine which was given to another: what they said of themselves may
 * have been true before that. Empty on a node that is not master.
 */
export function straysOf({ reign, judgement, reports }: RelocatorState): NodeId[] {
  if (reign === null || judgement === null) return [];
  const hasAnothers = (node: NodeId) =>
    reports[node]?.copies.some(({ vm }) => {
      const entry = reign.table[vm];
      return entry !== undefined && entry.owner !== null && entry.owner !== node && entry.moving?.to !== node;
    }) === true;
  const nodes = Object.values(reports).map(({ node }) => node);
  return nodes.filter((node) => !judgement.members.includes(node) && hasAnothers(node)).sort((a, b) => a - b);
}

/** Every machine under care, sorted: somebody has a record of it. What merely runs on a host is nobody's business. */
export function knownVms(turn: RelocatorTurn): VmId[] {
  const names = new Set<VmId>(Object.keys(turn.reign.table));
  for (const report of Object.values(turn.state.reports)) {
    for (const { vm } of report.records) names.add(vm);
  }
  for (const { record } of turn.state.replica) names.add(record.vm);
  return [...names].sort();
}

/**
 * Until when a start waits for what fenced hosts may have sent: those that have not themselves said, under this reign,
 * that they have none. The master's clock.
 */
export function settledAtUs(turn: RelocatorTurn, vm: VmId): number {
  let untilUs = 0;
  const newest = newestRecord(turn, vm);
  const gated = newest === null || isGated(newest.record);
  for (const { node, verdict, atUs } of turn.judgement.fences) {
    if (verdict !== "yes" || atUs === null || holdsNone(turn, node, vm)) continue;
    // What no gate holds may have been sent until the host was switched off, not until its lease was over.
    const ends = [turn.reign.proofs[node]?.atUs, resetAtUs(turn, node, vm)].flatMap((end) => end ?? []);
    const sentUntilUs = gated || ends.length === 0 ? atUs : Math.max(atUs, Math.min(...ends));
    untilUs = Math.max(untilUs, sentUntilUs + turn.state.config.storageSettleUs);
  }
  return untilUs;
}

/** A live move to there is complete: it waits for its word. */
export function hasArrived(copy: CopyReport): boolean {
  return copy.state === "incoming-complete";
}

export function isSameCopy(copy: CopyReport | null, placement: PlacementName): copy is CopyReport {
  return copy !== null && samePlacement(copy.placement, placement);
}
