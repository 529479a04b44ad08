import {
  leaseVerdict,
  orderVmStep,
  samePlacement,
  type VmFacts,
  type VmTurn,
  WATCHDOG_KEY,
  wakeVmAt,
} from "./host-state.ts";
import { isGated, isPromised, sortedKeys, type VmRecord } from "./words.ts";

/**
 * The watchdog makes a lease out of the host's own power for machines that no gate holds: fed only while the lease runs,
 * it resets the host when that is over. Armed only while such a machine is here, for what it costs: everything else on the
 * host goes down with it. See ADR 21.
 */

const FEEDS_PER_TIMEOUT = 5;
/** So often in a row it could not be armed: it is not late, it is lost. */
const LOST_AFTER_FAILURES = 3;

export type Guard = "unneeded" | "armed" | "awaited" | "missing";

/**
 * Whether this machine may be claimed now as far as the watchdog is concerned. `missing`: not under the promise that its
 * record gives; one without a promise is started all the same, and has none.
 */
export function guardOf(turn: VmTurn, record: VmRecord, gated: boolean): Guard {
  const { config, watchdog } = turn.state;
  const promisedUs = record.watchdogUs;
  if (gated) return "unneeded";
  if (promisedUs === undefined && (record.storage === "local" || config.watchdogUs === null))
    return "unneeded";
  if (watchdog !== null && isBeingDisarmed(turn)) return "awaited";
  if (watchdog !== null) return isShortEnough(turn, promisedUs) ? "armed" : "missing";
  if (!isTroubled(turn, 1)) return "awaited";
  return promisedUs === undefined ? "unneeded" : "missing";
}

/** Asked again before each start and resume: whatever was promised of this machine is kept now. */
export function isGuarded(turn: VmTurn, record: VmRecord): boolean {
  return !isPromised(record) || (isShortEnough(turn, record.watchdogUs) && !isBeingDisarmed(turn));
}

/** It was there, or should be, and cannot be had under a lease that runs: what was promised of machines here is not kept. */
export function isWatchdogLost(turn: VmTurn): boolean {
  const { state, nowUs } = turn;
  return (
    state.watchdog === null && leaseVerdict(state, nowUs) === "yes" && isTroubled(turn, LOST_AFTER_FAILURES)
  );
}

/** What runs here without the watchdog that was promised: nobody may count on the reset of this host. */
export function isUnguarded({ state }: VmTurn, { record, copy }: VmFacts): boolean {
  if (copy === null || record === null || !isPromised(record) || state.watchdog !== null) return false;
  return STEPS.some((step) => state.troubles[`${WATCHDOG_KEY}/${step}`] !== undefined);
}

const STEPS = ["adopt-watchdog", "arm-watchdog"] as const;

/** An attempt failed so often, and the next one is not due yet. */
function isTroubled({ state, nowUs }: VmTurn, failures: number): boolean {
  return STEPS.some((step) => {
    const trouble = state.troubles[`${WATCHDOG_KEY}/${step}`];
    return trouble !== undefined && trouble.failures >= failures && nowUs < trouble.retryAtUs;
  });
}

function isShortEnough({ state: { watchdog } }: VmTurn, promisedUs: number | undefined): boolean {
  return watchdog !== null && (promisedUs === undefined || watchdog.timeoutUs <= promisedUs);
}

function isBeingDisarmed({ state }: VmTurn): boolean {
  return state.flights[WATCHDOG_KEY]?.step.kind === "disarm-watchdog";
}

/** Something runs here, or may be started any moment, that only the watchdog ends with the lease. */
function isAtRisk({ state }: VmTurn, { record, saved, copy }: VmFacts): boolean {
  // Of what a lost record said nobody knows here, and others may count on it.
  const isUnknown = record === null && copy !== null;
  if (isUnknown && (state.watchdog !== null || !state.watchdogLooked)) return true;
  return [record, saved].some((each) => each !== null && each.released === null && isPromised(each));
}

/** How soon it would have to bite for what is ordered here and not claimed yet. */
function awaitedTimeouts({ state }: VmTurn): number[] {
  const { config, orders, vms } = state;
  return sortedKeys(orders).flatMap((vm) => {
    const order = orders[vm]?.order;
    if (order?.kind !== "run" && order?.kind !== "incoming") return [];
    const own = vms[vm]?.record ?? null;
    if (order.kind === "run" && samePlacement(own?.placement ?? null, order.placement)) return [];
    const { record } = order;
    if (isGated(record)) return [];
    const promises = [record.watchdogUs, own?.watchdogUs].flatMap((each) => each ?? []);
    if (promises.length > 0) return [Math.min(...promises)];
    return record.storage === "local" ? [] : (config.watchdogUs ?? []);
  });
}

/** Takes over what a former life left armed, arms it for what needs it, feeds it under the lease, and takes it down. */
export function planWatchdog(turn: VmTurn): void {
  const { state, nowUs } = turn;
  const awaited = awaitedTimeouts(turn);
  const facts = sortedKeys(state.vms).flatMap((vm) => state.vms[vm] ?? []);
  const atRisk = facts.filter((each) => isAtRisk(turn, each));
  const isIdle = atRisk.length === 0 && state.copiesSeenAtUs !== null;
  // With nothing at risk it may be fed as long as anybody likes.
  const mayFeed = isIdle || leaseVerdict(state, nowUs) === "yes";
  noteStarving(turn, atRisk);
  if (!mayFeed) return;
  const { watchdog } = state;
  if (!state.watchdogLooked) {
    orderVmStep(turn, WATCHDOG_KEY, { kind: "adopt-watchdog" });
    return;
  }
  if (watchdog === null) {
    const promises = atRisk.flatMap(({ record, saved }) => [record?.watchdogUs, saved?.watchdogUs]);
    const needs = [...promises.flatMap((promise) => promise ?? []), ...awaited];
    if (needs.length === 0) forgetWatchdogTroubles(turn);
    else orderVmStep(turn, WATCHDOG_KEY, { kind: "arm-watchdog", timeoutUs: Math.min(...needs) });
    return;
  }
  // One that does not stop is fed on.
  if (isIdle && awaited.length === 0 && orderVmStep(turn, WATCHDOG_KEY, { kind: "disarm-watchdog" })) return;
  const dueUs = watchdog.fedAtUs + Math.floor(watchdog.timeoutUs / FEEDS_PER_TIMEOUT);
  if (nowUs < dueUs) return wakeVmAt(turn, dueUs);
  orderVmStep(turn, WATCHDOG_KEY, { kind: "feed-watchdog" });
}

/** It is had again, or nothing needs it. */
export function forgetWatchdogTroubles({ state }: VmTurn): void {
  for (const name of Object.keys(state.troubles))
    if (name.startsWith(`${WATCHDOG_KEY}/`)) delete state.troubles[name];
}

/** Said before the host is reset: afterwards nobody is left to say it. */
function noteStarving(turn: VmTurn, atRisk: readonly VmFacts[]): void {
  const { state, reasons, nowUs } = turn;
  const { watchdog } = state;
  const verdict = leaseVerdict(state, nowUs);
  // A new life knows of what the last one armed by the promises that it left.
  const armed = watchdog?.timeoutUs ?? (state.watchdogLooked ? undefined : atRisk[0]?.record?.watchdogUs);
  const starves = verdict === "no" && atRisk.length > 0 && armed !== undefined;
  if (starves === state.starving || (!starves && verdict === "pending")) return;
  state.starving = starves;
  if (!starves) {
    const why = verdict === "yes" ? "the lease of this host runs" : "nothing is here any more that needs it";
    const message = `The watchdog does not reset this host: ${why}.`;
    reasons.push({ code: "WATCHDOG_FED", message, facts: {} });
    return;
  }
  const vms = atRisk.map(({ vm }) => vm).join(", ");
  const seconds = Math.round(armed / 1_000_000);
  const message = `The watchdog is not fed any more and resets this host within ${seconds} s, unless its lease comes back: no gate holds ${vms}.`;
  reasons.push({ code: "WATCHDOG_STARVES", message, facts: { vms: vms.replaceAll(",", "") } });
}
