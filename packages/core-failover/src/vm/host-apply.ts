import { assertNever } from "@quorate/contracts";
import { renews } from "./host-gates.ts";
import { nameOf } from "./host-copies.ts";
import { forgetWatchdogTroubles } from "./host-watchdog.ts";
import {
  countVm,
  leaseVerdict,
  newFacts,
  noteVmTrouble,
  RELAPSE_FORGIVEN_US,
  type SeenCopy,
  type VmFacts,
  type VmFlight,
  type VmOutcome,
  type VmTurn,
} from "./host-state.ts";
import type { StepError } from "../step.ts";
import { type CopyState, type PlacementName, sortedKeys } from "./words.ts";

/** Takes the answer to one step. An answer to a step nobody waits for is dropped. */
export function takeVmOutcome(turn: VmTurn, id: number, outcome: VmOutcome): void {
  const { state } = turn;
  const key = Object.keys(state.flights).find((name) => state.flights[name]?.id === id);
  const flight = key === undefined ? undefined : state.flights[key];
  if (key === undefined || flight === undefined) return;
  delete state.flights[key];
  if (outcome.kind === "failed") {
    noteVmTrouble(turn, key, flight.step, outcome.error);
    return applyFailed(turn, flight, outcome.error);
  }
  delete state.troubles[`${key}/${flight.step.kind}`];
  switch (outcome.kind) {
    case "done":
      return applyDone(turn, flight);
    case "copies-seen":
      return applyCopiesSeen(turn, flight, outcome.copies);
    case "gates-seen":
      return applyGatesSeen(turn, outcome);
    case "renewed":
      return applyRenewed(turn, flight, outcome.leaseEndUs);
    case "armed":
      turn.state.watchdogLooked = true;
      forgetWatchdogTroubles(turn);
      // From when it was asked for: it was fed then, or later.
      turn.state.watchdog = { timeoutUs: outcome.timeoutUs, fedAtUs: flight.startedAtUs };
      return;
    default:
      assertNever(outcome);
  }
}

function factsFor(turn: VmTurn, vm: string): VmFacts {
  const facts = turn.state.vms[vm] ?? newFacts(turn.state, vm);
  turn.state.vms[vm] = facts;
  return facts;
}

function applyDone(turn: VmTurn, flight: VmFlight): void {
  const { step } = flight;
  switch (step.kind) {
    case "inspect-copies":
    case "inspect-gates":
    case "renew-gates":
    case "cancel-migration":
    case "arm-watchdog":
      // These answer with what they saw; a migration says itself how it ended.
      return;
    case "adopt-watchdog":
      turn.state.watchdogLooked = true;
      return;
    case "feed-watchdog":
      if (turn.state.watchdog !== null) turn.state.watchdog.fedAtUs = flight.startedAtUs;
      return;
    case "disarm-watchdog":
      turn.state.watchdog = null;
      return;
    case "shut-gates":
      return applyShut(turn, flight, step.vms);
    case "save-records":
      for (const record of step.records) factsFor(turn, record.vm).saved = record;
      for (const vm of sortedKeys(turn.state.vms)) {
        const kept = step.records.some((record) => record.vm === vm);
        if (!kept) factsFor(turn, vm).saved = null;
      }
      return;
    case "reset-storage": {
      const facts = factsFor(turn, step.vm);
      // A gate that was opened meanwhile has new connections, or the old ones.
      if (facts.storage === "dirty" && turn.nowUs >= facts.openUntilUs) facts.storage = "clean";
      return;
    }
    case "start-copy":
    case "resume-copy":
      return setCopy(turn, step.vm, "running");
    case "pause-copy":
      return setCopy(turn, step.vm, "paused");
    case "receive-copy":
      return;
    case "destroy-copy":
    case "shutdown-copy": {
      const facts = factsFor(turn, step.vm);
      if (facts.copy === null) return;
      setCopy(turn, step.vm, "ended");
      // A guest that shut down may leave something behind all the same.
      facts.destroyed = step.kind === "destroy-copy";
      return;
    }
    case "migrate-copy": {
      const facts = factsFor(turn, step.vm);
      facts.movedTo = facts.migrationTried;
      setCopy(turn, step.vm, "moved-out");
      return;
    }
    default:
      assertNever(step);
  }
}

function setCopy(turn: VmTurn, vm: string, state: NonNullable<VmFacts["copy"]>["state"]): void {
  const facts = factsFor(turn, vm);
  if (facts.copy === null) return;
  const before = facts.copy.state;
  facts.copy = { ...facts.copy, state, sinceUs: turn.nowUs };
  facts.destroyed = false;
  distrust(facts, before);
}

/** What a copy wrote against a shut gate, after its connections were reset, may wait in new ones: once it stops, again. */
function distrust(facts: VmFacts, before: CopyState): void {
  const ran = before === "running" || before === "starting" || before === "migrating";
  if (ran && facts.copy?.state !== "running" && facts.storage === "clean") facts.storage = "dirty";
}

/** A shut counts for what no older renewal, of this life or the last, can open again. */
function applyShut(turn: VmTurn, flight: VmFlight, vms: readonly string[]): void {
  const { state, nowUs, timing } = turn;
  if (flight.startedAtUs < state.startedAtUs + timing.permitUs) return;
  const renewal = state.flights["gates"];
  for (const vm of vms) {
    const facts = state.vms[vm];
    if (facts === undefined) continue;
    if (renewal !== undefined && renews(renewal.step, vm)) continue;
    // Until now something may have left: by an opening of this life, or of the last, of which this one knows nothing.
    facts.quietSinceUs = Math.max(facts.quietSinceUs, Math.min(nowUs, facts.openUntilUs));
    facts.openUntilUs = 0;
    facts.open = { network: false, storage: false };
    if (facts.storage === "in-use") facts.storage = "dirty";
  }
}

function applyRenewed(turn: VmTurn, flight: VmFlight, leaseEndUs: number): void {
  const { step } = flight;
  if (step.kind !== "renew-gates" || turn.nowUs >= leaseEndUs) return;
  for (const { vm, network, storage } of step.open) {
    const facts = turn.state.vms[vm];
    // It may have been committed before or after the shut.
    if (facts === undefined || flight.overtaken) continue;
    if (network && !facts.open.network) {
      turn.reasons.push({
        code: "VM_REACHABLE",
        message: `The gates of ${vm} are open here.`,
        facts: { vm },
      });
    }
    // While it was shut the guest may have met a dead connection and been paused for it; whoever tells us may be late.
    if (storage && !facts.open.storage && facts.copy?.state === "running") turn.state.copiesStale = true;
    facts.open = { network, storage };
    facts.keptUntilUs = leaseEndUs;
  }
}

function applyFailed(turn: VmTurn, flight: VmFlight, error: StepError): void {
  const { step } = flight;
  switch (step.kind) {
    case "start-copy":
      // Whatever came of it is taken away; the placement is over, the master decides on the next one.
      return fail(turn, step.vm, error, "ended");
    case "receive-copy":
      return fail(turn, step.vm, error, "ended");
    case "migrate-copy":
      return fail(turn, step.vm, error, "running", factsFor(turn, step.vm).migrationTried);
    case "pause-copy":
    case "resume-copy":
    case "shutdown-copy":
    case "destroy-copy":
    case "inspect-copies":
    case "cancel-migration":
      turn.state.copiesStale = true;
      return;
    case "inspect-gates":
    case "renew-gates":
    case "shut-gates":
    case "reset-storage":
    case "save-records":
    case "adopt-watchdog":
    case "arm-watchdog":
    case "disarm-watchdog":
      return;
    case "feed-watchdog":
      // What cannot be fed may have been lost: taking it over again finds out.
      turn.state.watchdog = null;
      turn.state.watchdogLooked = false;
      return;
    default:
      assertNever(step);
  }
}

function fail(
  turn: VmTurn,
  vm: string,
  error: StepError,
  state: "ended" | "running",
  move: PlacementName | null = null,
): void {
  const facts = factsFor(turn, vm);
  if (facts.copy === null) return;
  const { placement } = facts.copy;
  if (placement !== null) facts.failure = { vm, placement, move, code: error.code, message: error.message };
  setCopy(turn, vm, state);
  if (state === "running") turn.state.copiesStale = true;
}

function applyCopiesSeen(turn: VmTurn, flight: VmFlight, copies: readonly SeenCopy[]): void {
  const { state, nowUs } = turn;
  state.copiesSeenAtUs = nowUs;
  state.copiesStale = false;
  const seen = new Map(copies.map((copy) => [copy.vm, copy.state]));
  for (const vm of new Set([...sortedKeys(state.vms), ...seen.keys()].sort())) {
    const facts = factsFor(turn, vm);
    // What was ordered while we looked is known better by its own answer.
    if (state.flights[`copy:${vm}`] !== undefined) continue;
    if ((facts.copy?.sinceUs ?? 0) > flight.startedAtUs) state.copiesStale = true;
    else takeSeen(turn, facts, seen.get(vm) ?? null);
  }
}

function takeSeen(turn: VmTurn, facts: VmFacts, seen: SeenCopy["state"] | null): void {
  const { nowUs, reasons } = turn;
  const { vm, copy, record } = facts;
  if (seen === null) {
    if (copy === null || copy.state === "ended" || copy.state === "moved-out") return;
    // It comes into being when its source begins to send.
    if (copy.state === "incoming") return;
    const name = copy.placement === null ? "foreign" : nameOf(copy.placement);
    reasons.push({ code: "VM_ENDED", message: `${vm} (${name}) has ended by itself.`, facts: { vm } });
    const message = "It ended by itself.";
    if (copy.placement !== null) facts.failure = { vm, placement: copy.placement, code: "VM_ENDED", message };
    setCopy(turn, vm, "ended");
    return;
  }
  if (copy === null) {
    const ours = record !== null && record.released === null;
    facts.copy = { state: seen, placement: ours ? record.placement : null, sinceUs: nowUs };
    facts.destroyed = false;
    // What became of it before this life is not known; an open gate would tell.
    facts.wasOut = true;
    if (!ours)
      reasons.push({ code: "VM_FOREIGN", message: `${vm} runs here and nobody ordered it.`, facts: { vm } });
    return;
  }
  // A copy that ended and is there again was started by somebody else.
  if (copy.state === "ended") {
    if (seen === "running" || seen === "paused") facts.destroyed = false;
    return;
  }
  if (copy.state === seen) return;
  if (copy.state === "running" && seen === "paused") noteRelapse(facts, nowUs);
  facts.copy = { ...copy, state: seen, sinceUs: nowUs };
  distrust(facts, copy.state);
}

/** A guest that pauses itself for an error of its disk, say, does so again as soon as it is resumed. */
function noteRelapse(facts: VmFacts, nowUs: number): void {
  const known = facts.relapses;
  const again = known !== null && nowUs < known.atUs + RELAPSE_FORGIVEN_US;
  facts.relapses = { times: again ? known.times + 1 : 1, atUs: nowUs };
}

/** Open after a restart: the lease under which it was opened still runs, and with it the word of a master. */
function applyGatesSeen(turn: VmTurn, outcome: VmOutcome & { kind: "gates-seen" }): void {
  const { state, nowUs } = turn;
  state.gatesSeen = true;
  for (const { vm, network, storage, remainingUs } of outcome.open) {
    const facts = factsFor(turn, vm);
    if (remainingUs <= 0 || facts.storage !== "dirty" || facts.open.storage) continue;
    const { record } = facts;
    if (record === null || record.released !== null || leaseVerdict(state, nowUs) !== "yes") continue;
    facts.open = { network, storage };
    facts.openUntilUs = Math.max(facts.openUntilUs, nowUs + remainingUs);
    facts.keptUntilUs = nowUs + remainingUs;
    facts.storage = storage ? "in-use" : "dirty";
    facts.confirmed = storage ? record.placement : null;
    if (storage) facts.wasOut = false;
    countVm(turn, "gates_adopted");
  }
}
