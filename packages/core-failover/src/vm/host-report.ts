import { compareViews } from "@quorate/contracts";
import {
  isGateShut,
  LOOK_KEY,
  RELAPSE_FORGIVEN_US,
  samePlacement,
  type VmFacts,
  type VmTurn,
  wakeVmAt,
} from "./host-state.ts";
import { isUnguarded } from "./host-watchdog.ts";
import { type CopyReport, sortedKeys, type VmReport } from "./words.ts";

const SILENT_AFTER_US = 3_000_000;

/**
 * Says what is here, on every change and every T/2. Not before this life has looked: a host that has not looked has
 * not answered. A record that is not on disk yet is reported as it is on disk (INV-6).
 */
export function planReport(turn: VmTurn): void {
  const { state, nowUs } = turn;
  if (state.copiesSeenAtUs === null) return;
  const content = bodyOf(turn);
  const said = state.lastReport;
  const text = JSON.stringify(content);
  const periodUs = Math.round(state.config.tokenUs / 2);
  if (said !== null && said.content === text && nowUs < said.atUs + periodUs) {
    return wakeVmAt(turn, said.atUs + periodUs);
  }
  state.sequence += 1;
  state.lastReport = { content: text, atUs: nowUs };
  wakeVmAt(turn, nowUs + periodUs);
  turn.effects.push({ kind: "report", report: { ...content, sequence: state.sequence } });
}

function bodyOf(turn: VmTurn): Omit<VmReport, "sequence"> {
  const { state, nowUs } = turn;
  const copies: CopyReport[] = [];
  const body: Omit<VmReport, "sequence"> = {
    node: state.config.node,
    incarnation: state.incarnation,
    adopted: state.adopted,
    view: state.adoptedView,
    copies,
    records: [],
    failures: [],
    memoryMib: state.config.memoryMib,
    vcpus: state.config.vcpus,
    storageGone: state.storageGone,
    watchdogUs: state.config.watchdogUs,
    ...(isHypervisorSilent(turn) ? { hypervisorSilent: true } : {}),
  };
  for (const vm of sortedKeys(state.vms)) {
    const facts = state.vms[vm];
    if (facts === undefined) continue;
    const { copy, failure } = facts;
    const { saved } = facts;
    if (copy !== null) {
      const confirmed = samePlacement(facts.confirmed, copy.placement) && isReceptive(facts);
      const unguarded = isUnguarded(turn, facts) ? { unguarded: true } : {};
      const { wasOut } = facts;
      const { times, atUs } = facts.relapses ?? { times: 0, atUs: 0 };
      const relapsing = times < 2 || nowUs >= atUs + RELAPSE_FORGIVEN_US ? {} : { relapses: times };
      copies.push({
        vm,
        state: copy.state,
        placement: copy.placement,
        confirmed,
        wasOut,
        ...unguarded,
        ...relapsing,
      });
    } else if (saved !== null && saved.released === null && !isToBegin(facts)) {
      // Gone, but what it sent may still be on its way, or a crash would forget that it is over.
      const { placement } = saved;
      copies.push({ vm, state: "ended", placement, confirmed: false, wasOut: facts.wasOut });
    }
    if (saved !== null) body.records.push(saved);
    if (failure !== null) body.failures.push(failure);
  }
  return body;
}

/** It fails to say what is here, or takes long for it. What is ordered of it would wait as long. */
function isHypervisorSilent(turn: VmTurn): boolean {
  const { state, nowUs } = turn;
  if (state.troubles[`${LOOK_KEY}/inspect-copies`] !== undefined) return true;
  const flight = state.flights[LOOK_KEY];
  if (flight === undefined) return false;
  wakeVmAt(turn, flight.startedAtUs + SILENT_AFTER_US);
  return nowUs >= flight.startedAtUs + SILENT_AFTER_US;
}

/** The source of a live move may send when its target can look at its storage, and not before. */
function isReceptive({ copy, open }: VmFacts): boolean {
  return copy?.state !== "incoming" || open.storage;
}

/** Claimed in this life, and its one start is still to come. */
function isToBegin({ begun, saved }: VmFacts): boolean {
  return begun !== null && !begun.started && samePlacement(begun.placement, saved?.placement ?? null);
}

/**
 * The term under which this host, being out of the view, holds nothing that the placement does not give it: gates
 * shut, copies that were relocated destroyed, those that are kept suspended, old connections gone. Null otherwise.
 */
export function cleanUnderTerm(turn: VmTurn): number | null {
  const { state, nowUs } = turn;
  const { grant } = state;
  if (grant === null || !grant.out || state.copiesSeenAtUs === null) return null;
  const facts = sortedKeys(state.vms).flatMap((vm) => state.vms[vm] ?? []);
  if (!facts.every((each) => isGateShut(each, nowUs))) return null;
  if (Object.keys(state.flights).some((key) => key === "gates" || key.startsWith("copy:"))) return null;
  const present = facts.filter((each) => each.copy !== null && isUnderCare(turn, each));
  if (present.length === 0) return grant.term;
  if (state.adopted.term !== grant.term || compareViews(state.adoptedView, grant.view) < 0) return null;
  return present.every((each) => isKept(turn, each)) ? grant.term : null;
}

/** One that nobody has a record of, was not started by us, and no master speaks of, is the host's own affair. */
function isUnderCare({ state }: VmTurn, { vm, record, copy }: VmFacts): boolean {
  return record !== null || copy?.placement !== null || state.orders[vm] !== undefined;
}

function isKept(turn: VmTurn, facts: VmFacts): boolean {
  const order = turn.state.orders[facts.vm]?.order;
  if (order === undefined || order.kind === "destroy" || order.kind === "incoming") return false;
  if (!samePlacement(facts.copy?.placement ?? null, order.placement)) return false;
  return facts.copy?.state === "paused" && facts.storage === "clean";
}
