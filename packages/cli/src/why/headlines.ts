import type { NodeId } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";
import { durationUs, isSameBoot, leaderAfter, roleAfter, STORY_US } from "./rows.ts";

/** Below this nothing is told by itself: recoveries and everyday life. */
export const TOLD_FROM = 45;

const BY_EVENT: Readonly<Record<string, number>> = {
  "quorum.handover_started": 90,
  "quorum.quorum_changed": 80,
  "quorum.amnesia_found": 88,
  "quorum.node_removed": 70,
  "quorum.kernel_paused": 75,
  "failover.ability_changed": 65,
  "failover.foreign_claim_seen": 66,
  "failover.gate_shut": 47,
  "failover.service_failed": 57,
  "failover.repaired": 60,
  "node.node_stopped": 58,
  "node.node_started": 45,
  "node.process_restarted": 55,
  "config.disarmed": 60,
  "config.armed": 50,
  "config.config_rejected": 50,
  "config.store_failed": 62,
};

const BY_CODE: Readonly<Record<string, number>> = {
  VIEW_ADOPTED_OUT: 82,
  MASTERSHIP_OVER: 72,
  DISK_REFUSED: 63,
  DISK_FULL: 63,
  DISK_NEARLY_FULL: 58,
  TABLES_LOST: 64,
  CLOCK_STEPPED: 59,
  HOST_WENT_DOWN: 59,
  SUPERVISOR_GONE: 58,
  node_start_after_kill: 58,
  supervisor_restarted: 54,
  PROCESS_FROZEN: 56,
  PROCESS_STARVED: 51,
  BUS_AWAY: 53,
  process_exit: 54,
  CRASHED: 57,
  JOURNAL_SET_ASIDE: 52,
  "duplicate-node-id": 65,
  ADDRESS_MISSING: 62,
  NO_CARRIER: 65,
  CARRIER: 61,
  HOST_OFF_CONFIRMED: 64,
  HOST_OFF_ORDERED: 63,
  HOST_OFF_PROVED: 64,
  HOST_OFF_FAILED: 62,
  HOST_OFF_VOID: 64,
  WATCHDOG_STARVES: 64,
  "link-lossy": 48,
};

/** On a busy host there are many short ones: a process that ended is told before them. */
const STALLS: readonly string[] = ["PROCESS_FROZEN", "PROCESS_STARVED"];
const SHORT_STALL_US = 500_000;
const SHORT_STALL_SEVERITY = 53;

/** A restarted evaluator that goes on in its term says again what it was: no news. */
const RESUMED_US = 2_000_000;

/** How much a decision is worth telling; recoveries little, who leads most. */
export type Severities = ReadonlyMap<JournalRow, number>;

/** Of all these rows, which must be in order: what a decision means depends on what this node was before it. */
export function severitiesOf(rows: readonly JournalRow[]): Severities {
  const found = new Map<JournalRow, number>();
  let boot = "";
  let served = false;
  let isSuspended = true;
  let led: { by: NodeId; term: unknown } | null = null;
  let resumed: JournalRow | null = null;
  for (const row of rows) {
    if (row.bootId !== boot) {
      boot = row.bootId;
      served = false;
      isSuspended = true;
      led = null;
    }
    if (row.code === "RESUMED") resumed = row;
    const goesOn = resumed !== null && isSameBoot(resumed, row) && row.monoUs - resumed.monoUs < RESUMED_US;
    const role = roleAfter(row);
    const leader = leaderAfter(row);
    // A restarted evaluator finds whom it followed before: nobody became master.
    const again = leader !== null && row.new === led?.by && row.facts["term"] === led?.term;
    const returns = again || (served && isSuspended);
    found.set(row, goesOn && role === "master" ? 40 : severityOf(row, returns));
    if (leader !== null && typeof row.facts["term"] === "number")
      led = { by: leader, term: row.facts["term"] };
    if (role === null) continue;
    isSuspended = role === "suspended";
    served ||= !isSuspended;
  }
  return found;
}

/** `returns`: this node was suspended or its evaluator away, so what it learns now is news to it alone. */
function severityOf(row: JournalRow, returns: boolean): number {
  const role = roleAfter(row);
  if (role !== null) {
    if (role === "master") return row.old === "master" ? 0 : 100;
    if (row.old === null) return 20;
    if (role === "suspended") return row.old === "master" ? 100 : 95;
    return row.old === "master" ? 100 : 40;
  }
  switch (row.event) {
    case "quorum.master_changed":
      if (typeof row.new !== "number" || row.new === row.node) return 44;
      return returns ? 40 : 92;
    case "quorum.quorum_changed":
      return row.new === "no" ? 80 : 30;
    case "failover.ability_changed":
      return row.new === "unable" ? 65 : 30;
    case "failover.problem_gone":
      return 20;
    case "failover.gate_shut":
      return row.code === "LEASE_LAPSED" ? 68 : 47;
    case "membership.peer_state_changed":
      return row.new === "failed" || row.new === "one-way" ? 52 : row.new === "left" ? 50 : 10;
    case null:
      if (STALLS.includes(row.code) && durationUs(row) < SHORT_STALL_US) return SHORT_STALL_SEVERITY;
      // To learn of one's removal when one is back is no news either.
      return returns && row.code === "VIEW_ADOPTED_OUT" ? 40 : (BY_CODE[row.code] ?? 0);
    default:
      return Math.max(BY_EVENT[row.event] ?? 0, BY_CODE[row.code] ?? 0);
  }
}

/** What comes from outside, and of which the decisions before it cannot be the cause. */
const FROM_OUTSIDE: readonly string[] = [
  "process_exit",
  "TABLES_LOST",
  "CLOCK_STEPPED",
  "DISK_REFUSED",
  "DISK_NEARLY_FULL",
  "CARRIER",
  "MOVE_ORDERED",
];
const ELECTION_SEVERITY = 90;
/** Who acts on something may write it down before who noticed it does. */
const NOTICED_LATE_US = 1_000_000;

/** Something else strikes after the story has had its end: another story, unless it is the same thing again. */
function beginsAnew(story: readonly JournalRow[], row: JournalRow, severities: Severities): boolean {
  if (!FROM_OUTSIDE.includes(row.code)) return false;
  const isKnown = story.some(
    ({ code, facts }) => code === row.code && facts["process"] === row.facts["process"],
  );
  const elections = story.filter((earlier) => (severities.get(earlier) ?? 0) >= ELECTION_SEVERITY);
  return (
    !isKnown && elections.length > 0 && elections.every(({ monoUs }) => row.monoUs - monoUs > NOTICED_LATE_US)
  );
}

/** What happened in one go: no quiet of five seconds in it. Oldest first. */
export function stories(rows: readonly JournalRow[], severities: Severities): JournalRow[][] {
  const found: JournalRow[][] = [];
  let last: JournalRow | null = null;
  for (const row of rows) {
    if ((severities.get(row) ?? 0) < TOLD_FROM) continue;
    const story = found.at(-1);
    const goesOn = last !== null && isSameBoot(last, row) && row.monoUs - last.monoUs < STORY_US;
    if (story !== undefined && goesOn && !beginsAnew(story, row, severities)) story.push(row);
    else found.push([row]);
    last = row;
  }
  return found;
}

/** The decision of a story that matters most; of equals the last: it is what the node is in now. */
export function headlineOf(story: readonly JournalRow[], severities: Severities): JournalRow | null {
  let best: JournalRow | null = null;
  let highest = 0;
  for (const row of story) {
    const severity = severities.get(row) ?? 0;
    if (best !== null && severity < highest) continue;
    best = row;
    highest = severity;
  }
  return best;
}
