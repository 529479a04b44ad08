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

export function sortedKeys(record: Record<string, unknown>): string[] {
  return Object.keys(record).sort();
}
