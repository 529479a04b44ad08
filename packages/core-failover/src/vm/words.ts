/**
 * The words that a master and the hosts of virtual machines exchange (their form is in contracts), and their order.
 */
import type { PlacementName, VmRecord } from "@quorate/contracts";

export type {
  CopyFailure,
  CopyReport,
  CopyState,
  PlacementName,
  ViewName,
  VmId,
  VmOrder,
  VmRecord,
  VmReport,
  VmStatement,
} from "@quorate/contracts";

export const FIRST_PLACEMENT: PlacementName = { term: 0, number: 0 };

export function comparePlacements(left: PlacementName, right: PlacementName): number {
  return left.term - right.term || left.number - right.number;
}

/** Newest of two records of one machine: by placement, then by revision. */
export function compareRecords(left: VmRecord, right: VmRecord): number {
  return comparePlacements(left.placement, right.placement) || left.revision - right.revision;
}

/** Whether a lapsed lease alone fences it: what was started, and what would be started next. */
export function isGated({ gated, started }: VmRecord): boolean {
  return gated && started?.gated !== false;
}

/** Whoever takes over counts for it on the watchdog of its host. */
export function isPromised(record: VmRecord): boolean {
  return record.watchdogUs !== undefined && !isGated(record);
}

/** By its owner, on an operator's word, and nothing is left of it there. */
export function isGivenUp({ wanted, released }: VmRecord): boolean {
  return wanted === "undefined" && released !== null && released.to === null;
}

export function sortedKeys(record: Record<string, unknown>): string[] {
  return Object.keys(record).sort();
}
