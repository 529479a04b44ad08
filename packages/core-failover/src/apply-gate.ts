import { assertNever } from "@quorate/contracts";
import { clearTrouble, count, type Flight, note, noteTrouble, type Turn, tell } from "./state.ts";
import type { StepOutcome } from "./step.ts";

export function applyLoaded(turn: Turn, loadedFor: string): void {
  const { gate } = turn.state;
  clearTrouble(turn.state, "gate-shut", "shut-gate");
  const lost = gate.tables === "missing";
  // What is open now is not known: tables found as they must be are adopted with what is open in them.
  Object.assign(gate, {
    tables: "intact",
    loadedFor,
    open: "unknown",
    openUntilUs: 0,
    openAddresses: [],
    inspectedAtUs: null,
    suspect: false,
  });
  const message = lost
    ? "The gate's tables had been removed and stand again, shut."
    : "The gate's tables stand.";
  const code = lost ? "REPAIRED" : "LOADED";
  if (lost) tell(turn, { name: "repaired", old: "missing", new: "loaded", reason: { code, message } });
  else note(turn, { code, message });
}

export function applyRenewal(
  turn: Turn,
  key: string,
  flight: Flight,
  outcome: StepOutcome & { kind: "renewed" | "refused" },
): void {
  const { state, nowUs } = turn;
  const { gate } = state;
  const { step } = flight;
  if (step.kind !== "renew-gate") return;
  if (outcome.kind === "renewed") {
    count(turn, "gate_renewals");
    if (flight.overtaken) {
      // It may have been committed before or after the shut: only the kernel knows.
      gate.open = "unknown";
      gate.readBackFor = null;
      return;
    }
    const before = gate.openAddresses;
    const wasOpen = gate.open === "open";
    gate.open = "open";
    gate.openUntilUs = outcome.leaseEndUs;
    gate.openAddresses = step.addresses;
    for (const address of step.addresses) {
      const facts = state.addresses[address];
      if (facts === undefined || (wasOpen && before.includes(address))) continue;
      facts.announce = { fromUs: nowUs, next: 0 };
      const leaseMs = Math.round((outcome.leaseEndUs - nowUs) / 1000);
      tell(turn, {
        name: "gate_opened",
        old: "shut",
        new: "open",
        reason: {
          code: "LEASE",
          message: `The gate of ${address} is open for as long as the master lease lasts.`,
          facts: { address, leaseMs, tookMs: (nowUs - flight.startedAtUs) / 1000 },
        },
      });
    }
    return;
  }
  count(turn, "gate_refusals");
  switch (outcome.refusal) {
    case "overtaken":
    case "lease-too-short":
      return;
    case "lease-passed":
      gate.open = "shut";
      gate.openAddresses = [];
      return;
    case "not-loaded":
      gate.suspect = true;
      return;
    case "permit-expired":
    case "timed-out":
    case "tool-failed":
      noteTrouble(turn, key, step.kind, {
        code: outcome.refusal === "tool-failed" ? "TOOL_FAILED" : "GATE_LATE",
        message: `The gate could not be opened or kept open: ${outcome.message}`,
        hint: "Look at the host's load and at `nft list ruleset`; it is tried again.",
      });
      return;
    default:
      assertNever(outcome.refusal);
  }
}

export function applyShut(
  turn: Turn,
  key: string,
  outcome: StepOutcome & { kind: "shut-confirmed" | "shut-unconfirmed" },
): void {
  const { state } = turn;
  const { gate } = state;
  if (outcome.kind === "shut-unconfirmed") {
    noteTrouble(turn, key, "shut-gate", {
      code: "TOOL_FAILED",
      message: `The gate could not be read back as shut: ${outcome.message}`,
      hint: "It shuts by itself when the lease runs out. Look at `nft list ruleset`.",
    });
    return;
  }
  const was = gate.open;
  gate.open = "shut";
  gate.openAddresses = [];
  gate.readBackFor = state.closed;
  if (was === "open") {
    const reason = { code: "SHUT", message: "The gate was shut and read back." };
    tell(turn, { name: "gate_shut", old: was, new: "shut", reason });
  }
}

function noteTablesLost(turn: Turn, differences: string[]): void {
  const { gate } = turn.state;
  if (gate.tables === "missing") return;
  Object.assign(gate, { tables: "missing", open: "unknown", openUntilUs: 0, openAddresses: [] });
  const reason = {
    code: "TABLES_LOST",
    message: `Somebody changed the gate's tables: ${differences.join("; ")}`,
    facts: {
      remedy:
        "Find what flushes the ruleset (nft flush ruleset, a firewall's reload); they are loaded again.",
    },
  };
  note(turn, reason);
}

export function applyGateSeen(turn: Turn, outcome: StepOutcome & { kind: "gate-seen" }): void {
  const { gate } = turn.state;
  gate.inspectedAtUs = turn.nowUs;
  gate.suspect = false;
  if (!outcome.intact) return noteTablesLost(turn, outcome.differences);
  gate.holdsRawFrames = outcome.holdsRawFrames;
  gate.openAddresses = outcome.open.map(({ address }) => address);
  gate.open = outcome.open.length === 0 ? "shut" : "open";
  gate.openUntilUs = turn.nowUs + Math.max(0, ...outcome.open.map(({ remainingUs }) => remainingUs));
}
