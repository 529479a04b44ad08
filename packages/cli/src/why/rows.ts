import type { NodeId, Role } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";

/** Decisions closer to each other than this belong to one story, at a token of a second. */
export const STORY_US = 5_000_000;

export function numberFact(row: JournalRow, name: string): number | null {
  const value = row.facts[name];
  return typeof value === "number" ? value : null;
}

export function textFact(row: JournalRow, name: string): string | null {
  const value = row.facts[name];
  return typeof value === "string" ? value : null;
}

/** The other node that a decision is about. */
export function peerOf(row: JournalRow): NodeId | null {
  return numberFact(row, "peer") ?? numberFact(row, "node");
}

/** The machines that a decision is about. */
export function machinesOf(row: JournalRow): string[] {
  const one = textFact(row, "vm");
  const many = textFact(row, "vms");
  return [...(one === null ? [] : [one]), ...(many === null ? [] : many.split(" "))];
}

export function roleAfter(row: JournalRow): Role | null {
  if (row.event !== "quorum.role_changed") return null;
  return row.new === "master" || row.new === "slave" || row.new === "suspended" ? row.new : null;
}

/** For how long something had been going on when it was noticed: its cause is that much older. */
export function durationUs(row: JournalRow): number {
  const ms = numberFact(row, "lateMs") ?? numberFact(row, "pauseMs") ?? numberFact(row, "silentMs") ?? 0;
  return ms * 1000;
}

/** The two rows were made in the same boot, so that their monotonic stamps can be compared. */
export function isSameBoot(left: JournalRow, right: JournalRow): boolean {
  return left.bootId === right.bootId;
}

/** From `beforeUs` before the row until `afterUs` after it, by the time at which the thing itself began. */
export function around(
  rows: readonly JournalRow[],
  row: JournalRow,
  beforeUs: number,
  afterUs: number,
): JournalRow[] {
  return rows.filter((other) => {
    if (!isSameBoot(other, row)) return false;
    const distanceUs = other.monoUs - row.monoUs;
    if (distanceUs > afterUs) return false;
    return distanceUs >= -beforeUs || (distanceUs < 0 && distanceUs + durationUs(other) >= -beforeUs);
  });
}

/** Nothing was served in this boot before that row, and it is about whom to follow: it belongs to the start. */
export function isFirstOfBoot(rows: readonly JournalRow[], row: JournalRow): boolean {
  if (row.event !== "quorum.master_changed" && row.event !== "quorum.role_changed") return false;
  return !rows
    .slice(0, rows.indexOf(row))
    .some((earlier) => isSameBoot(earlier, row) && (roleAfter(earlier) ?? "suspended") !== "suspended");
}

/** Whom this node took for master before that row; itself included. */
export function masterBefore(rows: readonly JournalRow[], row: JournalRow): NodeId | null {
  const index = rows.indexOf(row);
  for (let at = index - 1; at >= 0; at--) {
    const earlier = rows[at];
    if (earlier === undefined) continue;
    const leader = leaderAfter(earlier);
    if (leader !== null) return leader;
  }
  return null;
}

/** Whom this node has taken for master last, as this row tells; null when it tells nothing of that. */
export function leaderAfter(row: JournalRow): NodeId | null {
  if (row.event === "quorum.master_changed") {
    if (typeof row.new === "number") return row.new;
    if (typeof row.old === "number") return row.old;
  }
  return roleAfter(row) === "master" ? row.node : null;
}
