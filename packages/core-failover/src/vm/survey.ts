import type { NodeId } from "@quorate/contracts";
import { samePlacement } from "./host-state.ts";
import type { RelocatorState, RelocatorTurn } from "./relocator-state.ts";
import {
  comparePlacements,
  compareRecords,
  type CopyReport,
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

export function isFenced(turn: RelocatorTurn, node: NodeId): boolean {
  return turn.judgement.fences.some((fence) => fence.node === node && fence.verdict === "yes");
}

/** Fenced well enough for this machine: what passes by the gates needs more than a lapsed lease. */
export function isFencedFor(turn: RelocatorTurn, node: NodeId, record: VmRecord | null): boolean {
  return turn.judgement.fences.some(
    (fence) => fence.node === node && fence.verdict === "yes" && (record?.gated !== false || fence.powerOff),
  );
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

/** The newest record of a machine, the living's and the replica's, and whose it is. */
export function newestRecord(turn: RelocatorTurn, vm: VmId): { node: NodeId; record: VmRecord } | null {
  let newest: { node: NodeId; record: VmRecord } | null = null;
  const consider = (node: NodeId, record: VmRecord) => {
    if (record.vm === vm && (newest === null || compareRecords(record, newest.record) > 0)) {
      newest = { node, record };
    }
  };
  for (const node of turn.nodes) {
    for (const record of turn.state.reports[node]?.records ?? []) consider(node, record);
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
  for (const { node, verdict, atUs } of turn.judgement.fences) {
    if (verdict !== "yes" || atUs === null || holdsNone(turn, node, vm)) continue;
    untilUs = Math.max(untilUs, atUs + turn.state.config.storageSettleUs);
  }
  return untilUs;
}

export function isSameCopy(copy: CopyReport | null, placement: PlacementName): copy is CopyReport {
  return copy !== null && samePlacement(copy.placement, placement);
}
