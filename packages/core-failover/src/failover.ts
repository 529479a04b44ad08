import { assertNever, type GrantMessage, type Reason, type ReportMessage } from "@quorate/contracts";
import { takeOutcome } from "./apply.ts";
import { CLAIM_MEMORY_US, type FailoverConfig } from "./config.ts";
import { isUneventful, judge, takeGrant, type Verdict } from "./grant.ts";
import { planAddresses } from "./plan-address.ts";
import { areAddressesGone, isServiceGone, planFiles } from "./plan-files.ts";
import { gateNow, isOpenFor, planGate } from "./plan-gate.ts";
import { planService } from "./plan-service.ts";
import { reportOf } from "./report.ts";
import {
  wakeAt,
  adoptConfig,
  beginTurn,
  count,
  type FailoverEvent,
  type FailoverState,
  isConfigured,
  type Turn,
  note,
  tell,
} from "./state.ts";
import type { IssuedStep, StepOutcome } from "./step.ts";

export type FailoverInput =
  | { kind: "tick" }
  | { kind: "grant"; grant: GrantMessage }
  | { kind: "done"; id: number; outcome: StepOutcome }
  /** Something there may have changed: look again. Carries no truth. */
  | { kind: "changed"; what: "address"; address: string; change: "added" | "removed" }
  | { kind: "changed"; what: "link"; device: string }
  | { kind: "changed"; what: "service" | "everything" }
  | { kind: "foreign-claim"; address: string; mac: string }
  /** CLOCK_BOOTTIME ran on without CLOCK_MONOTONIC: no lease given so far means anything. */
  | { kind: "clock-jumped"; jumpUs: number }
  | { kind: "config"; config: FailoverConfig }
  /** End in good order: from now on no grant counts. See `isTakenDown`. */
  | { kind: "stop" };

export interface FailoverResult {
  state: FailoverState;
  /** To be started at once, all of them; each is answered with `done`. */
  steps: IssuedStep[];
  events: FailoverEvent[];
  /** Decisions that are no events of their own, for the log. */
  reasons: Reason[];
  report: ReportMessage;
  /** Nothing but the report's stamp differs from the last one. */
  quiet: boolean;
  /** Call again, with `tick`, at this instant at the latest. */
  wakeAtUs: number;
}

/**
 * One turn of the actuator: takes what came, compares what must be with what is, orders what is missing.
 * The given state is not changed. Promises (INV-1): the gate is opened only with a lease that runs, with the
 * tables in the kernel and never after a close of the same or a later name; on the way down the gate is first.
 */
export function step(before: FailoverState, input: FailoverInput, nowUs: number): FailoverResult {
  if (input.kind === "grant" && before.last !== null && isUneventful(before, input.grant, nowUs)) {
    const { report, wakeAtUs } = before.last;
    const state = { ...before, grant: input.grant, refusedGrant: null };
    return {
      state,
      steps: [],
      events: [],
      reasons: [],
      report: { ...report, stampUs: nowUs },
      quiet: true,
      wakeAtUs,
    };
  }
  const turn = beginTurn(before, nowUs);
  take(turn, input);
  const verdict = judge(turn.state, nowUs);
  noteRole(turn, verdict);
  planFiles(turn, verdict);
  planAddresses(turn, verdict);
  planGate(turn, verdict);
  planService(turn, verdict);
  if (verdict.kind === "hold") wakeAt(turn, verdict.leaseEndUs + 1);
  if (verdict.kind === "pending") wakeAt(turn, turn.state.startedAtUs + turn.state.config.tokenUs);
  const report = reportOf(turn.state, verdict, nowUs);
  noteReported(turn, report);
  const { state, steps, events, reasons, wakeAtUs } = turn;
  state.last = { report, wakeAtUs, rideAtUs: turn.rideAtUs };
  return { state, steps, events, reasons, report, quiet: false, wakeAtUs };
}

/**
 * Whether nothing of a mastership is left: gate shut, addresses, service and files gone. While automation is off
 * the service and its files stay as they are.
 */
export function isTakenDown(state: FailoverState, nowUs: number): boolean {
  if (Object.keys(state.flights).some((key) => !key.startsWith("carrier:"))) return false;
  if (gateNow(state, nowUs) !== "shut" || !areAddressesGone(state)) return false;
  const verdict = judge(state, nowUs);
  if (verdict.kind !== "release") return false;
  const files = [state.files.lock, state.files.marker];
  return !verdict.armed || (isServiceGone(state) && files.every(({ seen }) => seen?.kind === "absent"));
}

function take(turn: Turn, input: FailoverInput): void {
  const { state, nowUs } = turn;
  switch (input.kind) {
    case "tick":
      return;
    case "grant":
      return takeGrant(turn, input.grant);
    case "done":
      return takeOutcome(turn, input.id, input.outcome, judge(state, nowUs));
    case "changed":
      return takeChange(turn, input);
    case "foreign-claim":
      return takeForeignClaim(turn, input.address, input.mac);
    case "clock-jumped": {
      state.voidUntilUs = nowUs;
      // How long the kernel itself believes the lease to run is not known any more.
      state.gate.open = "unknown";
      state.gate.readBackFor = null;
      const message = "The kernel was paused: every lease is void and the gate is shut at once.";
      const facts = { jumpMs: Math.round(input.jumpUs / 1000) };
      note(turn, { code: "LEASE_VOID", message, facts });
      return;
    }
    case "stop":
      state.stopping = true;
      return;
    case "config":
      adoptConfig(state, input.config);
      return;
    default:
      assertNever(input);
  }
}

function takeChange(turn: Turn, input: FailoverInput & { kind: "changed" }): void {
  const { state } = turn;
  switch (input.what) {
    case "address": {
      const facts = state.addresses[input.address];
      // What is as we know it already was most likely our own doing.
      const known = input.change === "added" ? "present" : "absent";
      if (facts !== undefined && facts.seen !== known) facts.stale = true;
      return;
    }
    case "link": {
      const facts = state.carriers[input.device];
      if (facts !== undefined) facts.stale = true;
      return;
    }
    case "service":
      state.service.stale = true;
      return;
    case "everything":
      state.service.stale = true;
      state.gate.inspectedAtUs = null;
      for (const facts of Object.values(state.addresses)) facts.stale = true;
      for (const facts of Object.values(state.carriers)) facts.stale = true;
      state.files.lock.inspectedAtUs = null;
      state.files.marker.inspectedAtUs = null;
      return;
    default:
      assertNever(input);
  }
}

/**
 * Another machine says that the address is its own: say again whose it is, at most every T/4. Behind a shut gate there is
 * nothing to say, but it is remembered: should somebody take the address away, it is asked for before it is put back.
 */
function takeForeignClaim(turn: Turn, address: string, mac: string): void {
  const { state, nowUs, timing } = turn;
  const facts = state.addresses[address];
  if (facts === undefined || !isConfigured(state, address)) return;
  count(turn, "foreign_claims");
  const known = facts.foreign;
  if (!isOpenFor(state, address, nowUs)) {
    if (facts.taken) facts.foreign = { mac, atUs: nowUs, onProbe: known?.onProbe ?? false };
    return;
  }
  if (known === null || known.mac !== mac || nowUs - known.atUs > CLAIM_MEMORY_US) {
    const reason = {
      code: "ADDRESS_IN_USE",
      message: `${mac} claims ${address}, which this node holds; it is announced again.`,
      facts: { address, mac },
    };
    tell(turn, { name: "foreign_claim_seen", old: null, new: mac, reason });
  }
  facts.foreign = { mac, atUs: nowUs, onProbe: false };
  const announcing = facts.announce !== null && nowUs - facts.announce.fromUs < timing.tokenUs / 4;
  if (!announcing) facts.announce = { fromUs: nowUs, next: 0 };
}

function noteRole(turn: Turn, verdict: Verdict): void {
  const { state, nowUs } = turn;
  const { holding } = state;
  if (verdict.kind === "hold") {
    if (holding === null) {
      state.holding = { term: verdict.term, sinceUs: nowUs, relocated: false };
      const message = state.grant?.reason.message ?? "";
      note(turn, { code: "ROLE_TAKEN", message, facts: { term: verdict.term } });
    } else {
      // The same mastership under a higher term (the master lifted it): nothing moves.
      holding.term = verdict.term;
    }
    return;
  }
  if (verdict.kind === "release" && holding !== null) {
    state.holding = null;
    for (const facts of Object.values(state.addresses)) facts.taken = false;
    note(turn, { ...verdict.reason, message: `No longer acting as master. ${verdict.reason.message}` });
  }
}

/** What is new in this report against the last one becomes an event. */
function noteReported(turn: Turn, report: ReportMessage): void {
  const { reported } = turn.state;
  const { ok, code, message } = report.able;
  if (reported.able !== ok && code !== "STARTING") {
    const old = reported.able === null ? null : reported.able ? "able" : "unable";
    reported.able = ok;
    tell(turn, { name: "ability_changed", old, new: ok ? "able" : "unable", reason: { code, message } });
  }
  const found: Record<string, Reason> = {};
  for (const problem of report.problems) found[problem.code] ??= problem;
  for (const name of Object.keys(found).sort()) {
    const reason = found[name];
    if (reason === undefined || reported.problems[name] !== undefined) continue;
    tell(turn, { name: "problem_found", old: null, new: name, reason });
  }
  for (const name of Object.keys(reported.problems).sort()) {
    const reason = reported.problems[name];
    if (reason === undefined || found[name] !== undefined) continue;
    const over = { ...reason, message: `It is over: ${reason.message}` };
    tell(turn, { name: "problem_gone", old: name, new: null, reason: over });
  }
  reported.problems = found;
}
