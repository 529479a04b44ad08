import { leaseVerdict, orderVmStep, type VmFacts, type VmTurn, wakeVmAt } from "./host-state.ts";
import { isGated, sortedKeys, type VmRecord } from "./words.ts";

/**
 * The watchdog makes a lease out of the host's own power for machines that no gate holds: fed only while the lease runs,
 * it resets the host when that is over. Armed only while such a machine is here, for what it costs: everything else on the
 * host goes down with it. See ADR 21.
 */

const FEEDS_PER_TIMEOUT = 5;

export type Guard = "unneeded" | "armed" | "awaited" | "missing";

/**
 * Whether this machine may be started now as far as the watchdog is concerned. `missing`: not under the promise that its
 * record gives; one without a promise is started all the same, and has none.
 */
export function guardOf({ state }: VmTurn, record: VmRecord, gated: boolean): Guard {
  const { config, watchdog, troubles } = state;
  const promisedUs = record.watchdogUs;
  if (gated || record.storage === "local") return "unneeded";
  if (promisedUs === undefined && config.watchdogUs === null) return "unneeded";
  if (watchdog !== null) {
    if (promisedUs === undefined || watchdog.timeoutUs <= promisedUs) return "armed";
    return "missing";
  }
  if (troubles["watchdog/arm-watchdog"] === undefined) return "awaited";
  return promisedUs === undefined ? "unneeded" : "missing";
}

/** Something runs here, or may be started any moment, that only the watchdog ends with the lease. */
function isAtRisk({ record, saved }: VmFacts): boolean {
  return [record, saved].some((each) => each !== null && each.released === null && isPromised(each));
}

/** Whoever takes over counts on the watchdog for it. */
export function isPromised(record: VmRecord): boolean {
  return record.watchdogUs !== undefined && !isGated(record);
}

/** How soon it would have to bite for what is ordered here, whether that is claimed or not. */
function awaitedTimeouts({ state }: VmTurn): number[] {
  const { config, orders } = state;
  return sortedKeys(orders).flatMap((vm) => {
    const order = orders[vm]?.order;
    if (order?.kind !== "run" && order?.kind !== "incoming") return [];
    const { record } = order;
    if (isGated(record) || record.storage === "local") return [];
    const promisedUs = record.watchdogUs ?? state.vms[vm]?.record?.watchdogUs;
    return promisedUs ?? config.watchdogUs ?? [];
  });
}

/** Arms it for what needs it, feeds it under the lease, and takes it down when nothing needs it any more. */
export function planWatchdog(turn: VmTurn): void {
  const { state, nowUs } = turn;
  const { watchdog } = state;
  const awaited = awaitedTimeouts(turn);
  const facts = sortedKeys(state.vms).flatMap((vm) => state.vms[vm] ?? []);
  const atRisk = facts.filter(isAtRisk);
  // With nothing at risk it may be fed as long as anybody likes.
  const mayFeed = atRisk.length === 0 || leaseVerdict(state, nowUs) === "yes";
  noteStarving(turn, atRisk, mayFeed);
  if (!mayFeed) return;
  if (watchdog === null) {
    // What runs decides: a former life's watchdog is taken over as it is.
    const promises = atRisk.flatMap((each) => [each.record?.watchdogUs, each.saved?.watchdogUs]);
    const needs = atRisk.length > 0 ? promises.flatMap((promise) => promise ?? []) : awaited;
    if (needs.length === 0) return;
    orderVmStep(turn, "watchdog", { kind: "arm-watchdog", timeoutUs: Math.min(...needs) });
    return;
  }
  if (atRisk.length === 0 && awaited.length === 0) {
    orderVmStep(turn, "watchdog", { kind: "disarm-watchdog" });
    return;
  }
  const dueUs = watchdog.fedAtUs + Math.floor(watchdog.timeoutUs / FEEDS_PER_TIMEOUT);
  if (nowUs < dueUs) return wakeVmAt(turn, dueUs);
  orderVmStep(turn, "watchdog", { kind: "feed-watchdog" });
}

/** Said before the host is reset: afterwards nobody is left to say it. */
function noteStarving(turn: VmTurn, atRisk: readonly VmFacts[], mayFeed: boolean): void {
  const { state, reasons } = turn;
  const { watchdog } = state;
  // Before the first word on the lease nothing is known to be over.
  if (mayFeed || watchdog === null) {
    if (mayFeed && state.starving) {
      state.starving = false;
      const message = "The watchdog is fed again: the lease of this host runs.";
      reasons.push({ code: "WATCHDOG_FED", message, facts: {} });
    }
    return;
  }
  if (state.starving) return;
  state.starving = true;
  const vms = atRisk.map(({ vm }) => vm).join(", ");
  const seconds = Math.round(watchdog.timeoutUs / 1_000_000);
  const message = `The watchdog is not fed any more and resets this host within ${seconds} s, unless its lease comes back: no gate holds ${vms}.`;
  reasons.push({ code: "WATCHDOG_STARVES", message, facts: { vms: vms.replaceAll(",", "") } });
}
