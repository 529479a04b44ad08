import { assertNever, compareViews, type Reason } from "@quorate/contracts";
import { takeVmOutcome } from "./host-apply.ts";
import { planCopies } from "./host-copies.ts";
import { noteLapses, planGates } from "./host-gates.ts";
import { cleanUnderTerm, planReport } from "./host-report.ts";
import {
  beginVmTurn,
  countVm,
  forgetTroubles,
  leaseVerdict,
  newFacts,
  samePlacement,
  type VmFacts,
  type VmGrant,
  type VmHostConfig,
  type VmHostEffect,
  type VmHostState,
  type VmOutcome,
  type VmTurn,
  wakeVmAt,
} from "./host-state.ts";
import { planWatchdog } from "./host-watchdog.ts";
import {
  comparePlacements,
  compareRecords,
  FIRST_PLACEMENT,
  isGivenUp,
  type VmId,
  type VmRecord,
  type VmStatement,
} from "./words.ts";

type VmDefine = Omit<VmRecord, "placement" | "revision" | "released" | "started">;

export type VmHostInput =
  | { kind: "tick" }
  | { kind: "grant"; grant: VmGrant }
  | { kind: "statement"; statement: VmStatement }
  | { kind: "done"; id: number; outcome: VmOutcome }
  /** Something about the copies may have changed: look again. Carries no truth. */
  | { kind: "changed" }
  /**
   * An operator's act, or a machine found on its host: a new record, or other wishes for a known one. `after`: what
   * another host, which gave the machine up, says of it last; the new record takes the place of that one.
   */
  | { kind: "define"; record: VmDefine; after?: VmRecord | null }
  /** A new record that another host's of the same moment came before: as if it had not been. */
  | { kind: "withdraw"; vm: VmId; definition: string }
  | { kind: "storage"; gone: readonly string[] }
  | { kind: "config"; config: VmHostConfig }
  /** CLOCK_BOOTTIME ran on without CLOCK_MONOTONIC: no lease given so far means anything. */
  | { kind: "clock-jumped" };

export interface VmHostResult {
  state: VmHostState;
  effects: VmHostEffect[];
  reasons: Reason[];
  /** For the report to the evaluator, together with what the rest of the actuator says. Null: not clean. */
  cleanUnderTerm: number | null;
  /** Call again, with `tick`, at this instant at the latest. */
  wakeAtUs: number;
}

/**
 * One turn of a host of virtual machines. The given state is not changed. Promises (INV-3, INV-7): a machine's gate is
 * opened, and the machine started or resumed, only while this host's lease runs, after a master that this life knows
 * the term of gave its word on the placement since the last lapse, for the copy of that placement, with its record on
 * disk and every older connection to its storage gone. On the way down the gate is first.
 */
export function stepVmHost(before: VmHostState, input: VmHostInput, nowUs: number): VmHostResult {
  const turn = beginVmTurn(before, nowUs);
  noteLapses(turn);
  take(turn, input);
  noteLapses(turn);
  planCopies(turn);
  planWatchdog(turn);
  planGates(turn);
  const clean = cleanUnderTerm(turn);
  forgetTroubles(turn);
  planReport(turn);
  const { state, effects, reasons } = turn;
  if (state.grant === null) wakeVmAt(turn, state.startedAtUs + state.config.tokenUs);
  return { state, effects, reasons, cleanUnderTerm: clean, wakeAtUs: turn.wakeAtUs };
}

function take(turn: VmTurn, input: VmHostInput): void {
  const { state, nowUs } = turn;
  switch (input.kind) {
    case "tick":
      return;
    case "grant":
      return takeGrant(turn, input.grant);
    case "statement":
      return takeStatement(turn, input.statement);
    case "done":
      return takeVmOutcome(turn, input.id, input.outcome);
    case "changed":
      state.copiesStale = true;
      return;
    case "define":
      return define(turn, input.record, input.after ?? null);
    case "withdraw":
      return withdraw(turn, input.vm, input.definition);
    case "storage":
      state.storageGone = [...input.gone].sort();
      // What stood in their way may be over.
      for (const facts of Object.values(state.vms)) facts.relapses = null;
      return;
    case "config":
      state.config = input.config;
      return;
    case "clock-jumped":
      state.voidUntilUs = nowUs;
      for (const facts of Object.values(state.vms)) {
        // How long the kernel believes the lease to run is not known any more.
        facts.openUntilUs = nowUs + state.config.tokenUs;
      }
      return;
    default:
      assertNever(input);
  }
}

function takeGrant(turn: VmTurn, grant: VmGrant): void {
  const { state, nowUs, timing } = turn;
  const known = state.grant;
  const stale = nowUs - grant.stampUs > timing.messageAgeLimitUs || grant.stampUs > nowUs;
  const older = known !== null && (grant.stampUs < known.stampUs || grant.term < known.term);
  if (stale || older || grant.stampUs <= state.voidUntilUs) return countVm(turn, "grants_dropped");
  state.grant = grant;
}

/** Takes what a master says, or refuses it: for another life, or older than what this host knows. */
function takeStatement(turn: VmTurn, statement: VmStatement): void {
  const { state, nowUs } = turn;
  const objection = objectionTo(state, statement);
  if (objection !== null) {
    countVm(turn, "statements_refused");
    const { term, number } = statement;
    const facts = { term, number, from: statement.from };
    const message = `A statement of node ${statement.from} is refused: ${objection}.`;
    turn.reasons.push({ code: "VM_ORDER_REFUSED", message, facts });
    return;
  }
  const lease = leaseVerdict(state, nowUs) === "yes";
  state.adopted = { term: statement.term, number: statement.number };
  state.adoptedView = statement.view;
  // An answer is due even when nothing changes.
  if (statement.orders.length === 0) state.lastReport = null;
  const orders: VmHostState["orders"] = {};
  for (const order of statement.orders) {
    const known = state.orders[order.vm];
    let notBeforeUs = nowUs;
    if (order.kind === "run") {
      notBeforeUs = nowUs + order.waitUs;
      const same = known?.order.kind === "run" && samePlacement(known.order.placement, order.placement);
      if (same) notBeforeUs = Math.min(notBeforeUs, known.notBeforeUs);
    }
    orders[order.vm] = { order, notBeforeUs };
    const facts = state.vms[order.vm] ?? newFacts(state, order.vm);
    state.vms[order.vm] = facts;
    if (order.kind === "destroy") {
      if (order.forget && facts.copy === null) forget(turn, order.vm);
      continue;
    }
    if (!lease) continue;
    facts.confirmed = order.placement;
    if (samePlacement(facts.copy?.placement ?? null, order.placement)) facts.wasOut = false;
  }
  state.orders = orders;
}

function objectionTo(state: VmHostState, statement: VmStatement): string | null {
  const { grant, adopted } = state;
  if (statement.to !== state.config.node) return "it is for another host";
  if (statement.incarnation !== state.incarnation) return "it is for an earlier life of this process";
  if (grant === null) return "this host does not know its term yet";
  if (statement.term < grant.term) return `its term is over; this host is in term ${grant.term}`;
  if (comparePlacements(statement, adopted) < 0) return "a newer one is known";
  if (compareViews(statement.view, grant.view) < 0) return "it is of an older view";
  if (compareViews(statement.view, state.adoptedView) < 0) return "it is of an older view";
  return null;
}

function forget(turn: VmTurn, vm: VmId): void {
  const facts = turn.state.vms[vm];
  if (facts !== undefined && facts.record !== null && facts.record.released !== null) facts.record = null;
}

function define(turn: VmTurn, wish: VmDefine, after: VmRecord | null): void {
  const { state } = turn;
  const facts = state.vms[wish.vm] ?? newFacts(state, wish.vm);
  state.vms[wish.vm] = facts;
  const { record } = facts;
  if (after !== null) {
    if (!maySucceed(turn, facts, after)) return;
    const promises = [after.watchdogUs, wish.watchdogUs].flatMap((promise) => promise ?? []);
    // Under the placement that is over, which nobody starts again: newer than what is said of it elsewhere, and of no
    // weight against a placement that a master gives later. Who was away knows the old promise: it is kept under that name.
    facts.record = {
      ...wish,
      ...(promises.length === 0 ? {} : { watchdogUs: Math.min(...promises) }),
      placement: after.placement,
      revision: after.revision + 1,
      released: after.released,
    };
    return;
  }
  if (record === null) {
    const placement = { term: 0, number: 0 };
    facts.record = { ...wish, placement, revision: 1, released: null };
    // Found running before anybody gave it a placement: it is the first one's copy.
    if (facts.copy !== null && facts.copy.placement === null) facts.copy = { ...facts.copy, placement };
    return;
  }
  facts.record = { ...record, ...wish, revision: record.revision + 1 };
}

/** Not once a master has spoken of it here: then his placements decide which of the two it is. */
function withdraw({ state }: VmTurn, vm: VmId, definition: string): void {
  const facts = state.vms[vm];
  const order = state.orders[vm]?.order;
  if (facts === undefined || facts.record === null || facts.record.definition !== definition) return;
  const isNew = samePlacement(facts.record.placement, FIRST_PLACEMENT) && facts.record.revision === 1;
  const isUntouched = facts.copy === null && facts.begun === null;
  if (isNew && isUntouched && (order === undefined || order.kind === "destroy")) facts.record = null;
}

/** The released record says of this host too that nothing runs, or will, under that placement or an older one. */
function maySucceed({ state }: VmTurn, { vm, record, copy }: VmFacts, after: VmRecord): boolean {
  if (!isGivenUp(after) || copy !== null) return false;
  const order = state.orders[vm]?.order;
  if (order !== undefined && order.kind !== "destroy") return false;
  return record === null || (record.released !== null && compareRecords(after, record) > 0);
}
