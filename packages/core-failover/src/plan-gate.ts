import type { Verdict } from "./grant.ts";
import {
  clearTrouble,
  type FailoverState,
  guardedIps,
  ipsKey,
  isConfigured,
  lookDue,
  order,
  sortedAddresses,
  type Turn,
  note,
  tell,
  troubleOf,
  wakeAt,
} from "./state.ts";
import { compareGrantNames } from "./step.ts";

/** The gate as it must be by now: what was open until the past has been shut by the kernel. */
export function gateNow(state: FailoverState, nowUs: number): "unknown" | "shut" | "open" {
  if (guardedIps(state).length === 0) return "shut";
  if (state.gate.tables !== "intact") return "unknown";
  const lapsed = state.gate.open === "open" && nowUs > state.gate.openUntilUs;
  const known = lapsed ? "shut" : state.gate.open;
  // An opening under way may have been committed already.
  const flight = state.flights["gate"];
  const settled = flight?.overtaken === true && state.flights["gate-shut"] === undefined;
  if (known === "shut" && flight?.step.kind === "renew-gate" && !settled) return "unknown";
  return known;
}

export function isOpenFor(state: FailoverState, address: string, nowUs: number): boolean {
  return gateNow(state, nowUs) === "open" && state.gate.openAddresses.includes(address);
}

/** The tables are not there and could not be put there: whatever is on the interface is unguarded. */
export function isUnguarded(state: FailoverState): boolean {
  return state.gate.tables !== "intact" && troubleOf(state, "gate", "load-gate") !== undefined;
}

/** Whether everything behind the gate may be taken down: it is shut, or shutting it has failed. */
export function isGateOutOfTheWay(state: FailoverState, nowUs: number): boolean {
  return (
    gateNow(state, nowUs) === "shut" ||
    isUnguarded(state) ||
    troubleOf(state, "gate-shut", "shut-gate") !== undefined
  );
}

export function planGate(turn: Turn, verdict: Verdict): void {
  const { state, timing } = turn;
  const { gate } = state;
  noteLapse(turn, verdict);
  planPersistClosed(turn);

  const ips = guardedIps(state);
  if (ips.length === 0) {
    // Nothing to hold: a close is true as soon as it is written down.
    gate.readBackFor = state.closed;
    if (gate.loadedFor !== "") order(turn, "gate", { kind: "load-gate", ips });
    confirmClose(turn);
    return;
  }
  if (gate.suspect) {
    order(turn, "gate", { kind: "inspect-gate" });
    if (verdict.kind === "release") planShut(turn);
    return;
  }
  if (gate.tables !== "intact" || gate.loadedFor !== ipsKey(ips)) {
    order(turn, "gate", { kind: "load-gate", ips });
    if (gate.tables !== "intact") return;
  }
  switch (verdict.kind) {
    case "release":
      planShut(turn);
      break;
    case "hold":
      // A shut that failed before says nothing about the next one.
      clearTrouble(state, "gate-shut", "shut-gate");
      planRenew(turn, verdict.leaseEndUs);
      break;
    case "pending":
      break;
  }
  confirmClose(turn);
  if (lookDue(turn, gate.inspectedAtUs, timing.inspectGateUs)) order(turn, "gate", { kind: "inspect-gate" });
  if (gate.open === "open") wakeAt(turn, gate.openUntilUs + 1);
}

function noteLapse(turn: Turn, verdict: Verdict): void {
  const { gate } = turn.state;
  if (gate.open !== "open" || turn.nowUs <= gate.openUntilUs || gate.tables !== "intact") return;
  gate.open = "shut";
  gate.openAddresses = [];
  const message =
    verdict.kind === "release"
      ? "The lease ran out; the kernel has shut the gate by itself."
      : "The gate was not renewed in time; the kernel has shut it by itself.";
  tell(turn, { name: "gate_shut", old: "open", new: "shut", reason: { code: "LEASE_LAPSED", message } });
}

function planPersistClosed(turn: Turn): void {
  const { closed, closedPersisted } = turn.state;
  if (closed !== null && compareGrantNames(closedPersisted, closed) < 0) {
    order(turn, "closed", { kind: "persist-closed", closed });
  }
}

/** A close is confirmed when it is written down and the kernel was read back as shut since. */
function confirmClose(turn: Turn): void {
  const { state } = turn;
  const { closed, closedPersisted, gate, shutConfirmed } = state;
  if (closed === null || compareGrantNames(shutConfirmed, closed) >= 0) return;
  if (compareGrantNames(closedPersisted, closed) < 0 || compareGrantNames(gate.readBackFor, closed) < 0)
    return;
  state.shutConfirmed = closed;
  note(turn, {
    code: "SHUT_CONFIRMED",
    message: "The gate is shut, read back from the kernel, and stays shut over a restart.",
    facts: { ...closed },
  });
}

function planShut(turn: Turn): void {
  const { state, nowUs } = turn;
  const confirmWanted = state.closed !== null && compareGrantNames(state.gate.readBackFor, state.closed) < 0;
  if (gateNow(state, nowUs) === "shut" && !confirmWanted) return;
  if (!order(turn, "gate-shut", { kind: "shut-gate" })) return;
  const flight = state.flights["gate"];
  if (flight !== undefined) flight.overtaken = true;
}

function planRenew(turn: Turn, leaseEndUs: number): void {
  const { state, nowUs, timing } = turn;
  const { gate } = state;
  // A shut under way goes first, or it could shut what this opens.
  if (state.flights["gate-shut"] !== undefined) return;
  const mine = sortedAddresses(state).filter(
    (facts) =>
      facts.taken &&
      isConfigured(state, facts.ip.address) &&
      // Opened last: not before it is on the interface. Kept open while somebody's removal is repaired.
      (facts.seen === "present" || isOpenFor(state, facts.ip.address, nowUs)),
  );
  const addresses = mine.map(({ ip }) => ip.address);
  const foreignOpen = gate.openAddresses.filter((address) => !addresses.includes(address));
  const known = gateNow(state, nowUs);
  if (addresses.length === 0) {
    const leftOpen = known === "open" && foreignOpen.some((address) => !canAdopt(state, address));
    if (leftOpen) planShut(turn);
    return;
  }
  if (leaseEndUs - nowUs <= timing.leaseMinimumUs) return;
  const gainUs = leaseEndUs - gate.openUntilUs;
  const wanted =
    known !== "open" ||
    foreignOpen.length > 0 ||
    addresses.some((address) => !gate.openAddresses.includes(address)) ||
    gainUs >= timing.renewGainUs ||
    (gate.openUntilUs - nowUs < timing.renewUrgentBelowUs && gainUs >= timing.renewGainUs / 8);
  if (!wanted) {
    if (gainUs >= timing.renewGainUs / 8) wakeAt(turn, gate.openUntilUs - timing.renewUrgentBelowUs + 1);
    return;
  }
  order(turn, "gate", { kind: "renew-gate", addresses, leaseEndUs, permitUs: timing.permitUs });
}

/** Found open after a restart, before we have looked at the interface: ours, most likely. */
function canAdopt(state: FailoverState, address: string): boolean {
  const facts = state.addresses[address];
  return isConfigured(state, address) && (facts?.seen === "unknown" || facts?.seen === "present");
}
