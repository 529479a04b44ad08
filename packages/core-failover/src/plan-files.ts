import type { Verdict } from "./grant.ts";
import { isOpenFor } from "./plan-gate.ts";
import {
  clearTrouble,
  type FailoverState,
  lookDue,
  order,
  sortedAddresses,
  type Turn,
  note,
  troubleOf,
} from "./state.ts";
import type { FileName, FileState } from "./step.ts";

/** Whether the address does its work here: only then does what follows it in the order begin. */
export function isInFront(state: FailoverState, nowUs: number): boolean {
  const { clusterIps } = state.config;
  return clusterIps.length === 0 || clusterIps.some((ip) => isOpenFor(state, ip.address, nowUs));
}

export function isServiceGone(state: FailoverState): boolean {
  const { seen, sweptUp } = state.service;
  return state.config.service === null || seen === "stopped" || (seen === "failed" && sweptUp);
}

export function areAddressesGone(state: FailoverState): boolean {
  return sortedAddresses(state).every(({ seen }) => seen === "absent");
}

export function planFiles(turn: Turn, verdict: Verdict): void {
  for (const file of ["lock", "marker"] as const) {
    if (lookDue(turn, turn.state.files[file].inspectedAtUs, turn.timing.inspectFileUs)) {
      order(turn, file, { kind: "inspect-file", file });
    }
  }
  switch (verdict.kind) {
    case "pending":
      return;
    case "release":
      // Last of all, as they came first: while they lie here, something of the mastership may be left.
      if (!verdict.armed || !isServiceGone(turn.state) || !areAddressesGone(turn.state)) return;
      planRemoval(turn, "marker");
      planRemoval(turn, "lock");
      return;
    case "hold":
      // Automation is off: the files belong to the service, which stays as it is.
      if (!verdict.armed) return;
      planLock(turn, verdict.term);
      planMove(turn, verdict.term);
  }
}

function planRemoval(turn: Turn, file: FileName): void {
  clearTrouble(turn.state, file, "write-file");
  const { seen } = turn.state.files[file];
  if (seen !== null && seen.kind !== "absent") order(turn, file, { kind: "remove-file", file });
}

function isOurs(state: FileState | null, node: number, term: number): boolean {
  return state?.kind === "ours" && state.node === node && state.term === term;
}

function planLock(turn: Turn, term: number): void {
  const { seen } = turn.state.files.lock;
  const node = turn.state.config.nodeId;
  // Somebody else's (the managed service's own) counts as held and is left alone.
  if (seen === null || seen.kind === "foreign" || isOurs(seen, node, term)) return;
  order(turn, "lock", { kind: "write-file", file: "lock", term, node });
}

/** Absent, or of an older term: what ran elsewhere has not been moved here yet. */
function isMarkerMissing(seen: FileState, term: number): boolean {
  return seen.kind === "absent" || (seen.kind === "ours" && seen.term < term);
}

function planMove(turn: Turn, term: number): void {
  const { state, nowUs } = turn;
  const { holding } = state;
  if (holding === null || !isInFront(state, nowUs)) return;
  const { seen } = state.files.marker;
  if (seen === null) {
    // Unreadable (a symbolic link, say): take it as missing, but leave the file alone.
    if (troubleOf(state, "marker", "inspect-file") !== undefined && !holding.relocated) {
      order(turn, "relocate", { kind: "relocate", term });
    }
    return;
  }
  if (!isMarkerMissing(seen, term)) {
    if (!holding.relocated) {
      holding.relocated = true;
      const message = "The marker of this term is there: a plain restart, nothing is moved.";
      note(turn, { code: "PLAIN_RESTART", message });
    }
    return;
  }
  if (holding.relocated) {
    order(turn, "marker", { kind: "write-file", file: "marker", term, node: state.config.nodeId });
  } else {
    order(turn, "relocate", { kind: "relocate", term });
  }
}

/** The move is done, or was found done; a marker that cannot be written is reported and holds nothing up. */
export function isMoveSettled(state: FailoverState, term: number): boolean {
  if (state.holding?.relocated !== true) return false;
  const { seen } = state.files.marker;
  if (seen !== null && !isMarkerMissing(seen, term)) return true;
  return (
    troubleOf(state, "marker", "write-file") !== undefined ||
    troubleOf(state, "marker", "inspect-file") !== undefined
  );
}
