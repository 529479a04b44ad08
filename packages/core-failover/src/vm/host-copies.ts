import { assertNever } from "@quorate/contracts";
import { isClaimed } from "./host-gates.ts";
import { guardOf, isGuarded, isWatchdogLost } from "./host-watchdog.ts";
import {
  type HeldOrder,
  isGateShut,
  leaseVerdict,
  LOOK_KEY,
  orderVmStep,
  samePlacement,
  type VmFacts,
  type VmTurn,
  wakeVmAt,
} from "./host-state.ts";
import {
  comparePlacements,
  compareRecords,
  isGated,
  isPromised,
  type PlacementName,
  sortedKeys,
  type VmOrder,
  type VmRecord,
} from "./words.ts";

const RESUME_FIRST_US = 200_000;
const RESUME_MOST_US = 10_000_000;
const LOOK_AT_LEAST_US = 5_000_000;

/** Compares what is ordered with what is there, machine by machine, and orders what is missing. */
export function planCopies(turn: VmTurn): void {
  const { state } = turn;
  // Changes are told; this is the fallback.
  const lookAtUs = (state.copiesSeenAtUs ?? 0) + Math.max(LOOK_AT_LEAST_US, 5 * turn.timing.tokenUs);
  if (state.copiesSeenAtUs !== null) wakeVmAt(turn, lookAtUs);
  if (state.copiesSeenAtUs === null || state.copiesStale || turn.nowUs >= lookAtUs) {
    orderVmStep(turn, LOOK_KEY, { kind: "inspect-copies" });
  }
  for (const vm of sortedKeys(state.orders)) {
    const held = state.orders[vm];
    const facts = state.vms[vm];
    if (held !== undefined && facts !== undefined && state.copiesSeenAtUs !== null) planVm(turn, facts, held);
  }
  for (const vm of sortedKeys(state.vms)) {
    const facts = state.vms[vm];
    if (facts === undefined || state.copiesSeenAtUs === null) continue;
    suspendUnconfirmed(turn, facts);
    endUnguarded(turn, facts);
    if (facts.copy?.state === "ended" || facts.copy?.state === "moved-out") retire(turn, facts);
    releaseWhatIsOver(turn, facts);
  }
  saveRecords(turn);
}

function key(facts: VmFacts): string {
  return `copy:${facts.vm}`;
}

function planVm(turn: VmTurn, facts: VmFacts, held: HeldOrder): void {
  const { order } = held;
  // A placement that is over is over for its orders too: what runs here since was started by somebody else, and is
  // taken away, or left alone, when the master knows of it.
  if (order.kind !== "destroy" && isOver(facts, order.placement)) return;
  switch (order.kind) {
    case "destroy":
      if (facts.copy !== null) retire(turn, facts);
      return;
    case "incoming":
      return planIncoming(turn, facts, order);
    case "run":
      return planRun(turn, facts, order, held.notBeforeUs);
    case "stop":
      return planStop(turn, facts, order);
    case "migrate":
      return planMigrate(turn, facts, order);
    default:
      assertNever(order);
  }
}

/** A placement is one start: what was released under it is not started again. */
function isOver({ record }: VmFacts, placement: PlacementName): boolean {
  return record !== null && record.released !== null && samePlacement(record.placement, placement);
}

/** Whether the copy there was made under this placement; any other is taken away first. */
function isOwn(turn: VmTurn, facts: VmFacts, placement: PlacementName): boolean {
  if (facts.copy === null) return true;
  if (samePlacement(facts.copy.placement, placement)) return true;
  retire(turn, facts);
  return false;
}

function planRun(turn: VmTurn, facts: VmFacts, order: VmOrder & { kind: "run" }, notBeforeUs: number): void {
  const { nowUs } = turn;
  if (!isOwn(turn, facts, order.placement)) return;
  const known = facts.record;
  if (known !== null && comparePlacements(known.placement, order.placement) > 0) return;
  const current = known !== null && samePlacement(known.placement, order.placement);
  // A word of a master under a lease that runs, or nothing is claimed, started or resumed (INV-7).
  if (!samePlacement(facts.confirmed, order.placement)) return;
  const { copy } = facts;
  if (!current) {
    const record = claimOf(facts, order.record, order.placement);
    const guard = guardOf(turn, record, record.started?.gated ?? record.gated);
    if (guard === "awaited") return;
    if (guard === "missing") return refuse(turn, facts, record);
    const { watchdog } = turn.state;
    const promise = guard === "armed" && watchdog !== null ? { watchdogUs: watchdog.timeoutUs } : {};
    facts.record = { ...promise, ...record };
    if (copy === null) facts.begun = { placement: order.placement, started: false };
  }
  if (copy !== null) {
    if (copy.state === "migrating") cancel(turn, facts);
    // Its gate ran out under it; what it had sent by then must not come later than what it sends now.
    if (copy.state === "running" && facts.storage === "dirty") resetStorage(turn, facts);
    if (copy.state === "paused" || copy.state === "incoming-complete") resume(turn, facts);
    // The migration broke off: what has arrived is of no use.
    if (copy.state === "incoming") retire(turn, facts);
    return;
  }
  if (!isClaimed(facts) || facts.begun === null || facts.begun.started) return;
  if (nowUs < notBeforeUs) return wakeVmAt(turn, notBeforeUs);
  if (facts.storage === "dirty") return resetStorage(turn, facts);
  if (!facts.open.storage || facts.record === null || !isGuarded(turn, facts.record)) return;
  if (!orderVmStep(turn, key(facts), { kind: "start-copy", vm: facts.vm, record: facts.record })) return;
  facts.begun = { ...facts.begun, started: true };
  facts.copy = { state: "starting", placement: order.placement, sinceUs: nowUs };
  facts.failure = null;
  turn.reasons.push({
    code: "VM_STARTED",
    message: `${facts.vm} is being started here under placement ${nameOf(order.placement)}.`,
    facts: { vm: facts.vm },
  });
}

/**
 * The record of the machine as this host's own. What this host was told of it after the master had read its record is not
 * lost by the order; a promise of either is kept.
 */
function claimOf(facts: VmFacts, ordered: VmRecord, placement: PlacementName): VmRecord {
  const own = facts.record;
  const record = own !== null && compareRecords(own, ordered) > 0 ? own : ordered;
  // A copy that is there already, which a live move brought, say, is what its source started.
  const fresh = { definition: record.definition, gated: record.gated };
  const started = facts.copy === null ? fresh : (ordered.started ?? fresh);
  const promises = [own, ordered].flatMap((each) => each?.watchdogUs ?? []);
  const promise = promises.length === 0 ? {} : { watchdogUs: Math.min(...promises) };
  return { ...record, ...promise, placement, started, released: null };
}

/** The placement comes to nothing here: what was promised of the machine cannot be kept on this host. */
function refuse(turn: VmTurn, facts: VmFacts, record: VmRecord): void {
  const { placement } = record;
  facts.record = record;
  facts.begun = { placement, started: true };
  facts.copy = { state: "ended", placement, sinceUs: turn.nowUs };
  noteUnguarded(turn, facts, record, placement);
}

function noteUnguarded(turn: VmTurn, facts: VmFacts, record: VmRecord, placement: PlacementName): void {
  const promised = Math.round((record.watchdogUs ?? 0) / 1_000_000);
  const held =
    turn.state.watchdog === null ? "none" : `${Math.round(turn.state.watchdog.timeoutUs / 1_000_000)} s`;
  const message = `It runs under a watchdog of ${promised} s at the most or not at all, and this host has ${held}.`;
  facts.failure = { vm: facts.vm, placement, code: "WATCHDOG_MISSING", message };
}

/**
 * What was promised of it is not kept any more: while the lease still runs it is taken away, and the master starts it
 * where it is kept. Running on it would be a second one when this host falls silent.
 */
function endUnguarded(turn: VmTurn, facts: VmFacts): void {
  const { record, copy, vm } = facts;
  if (record === null || record.released !== null || !isPromised(record) || !isWatchdogLost(turn)) return;
  if (copy !== null && !samePlacement(copy.placement, record.placement)) return;
  if (facts.failure?.code !== "WATCHDOG_MISSING") {
    const message = `${vm} is ended here: it runs under a watchdog or not at all, and this host's is lost.`;
    turn.reasons.push({ code: "WATCHDOG_LOST", message, facts: { vm } });
  }
  noteUnguarded(turn, facts, record, record.placement);
  // Its one start is spent, had it begun or not.
  facts.begun = { placement: record.placement, started: true };
  retire(turn, facts);
}

/** Old connections are gone first, then the storage is reachable, then the machine runs; its network comes last. */
function resume(turn: VmTurn, facts: VmFacts): void {
  const { record } = facts;
  if (!isClaimed(facts) || record === null) return;
  // A new life feeds the watchdog before it lets anything run on that needs it.
  if (!isGuarded(turn, record)) return;
  if (facts.storage === "dirty") return resetStorage(turn, facts);
  const dueUs = resumeAtUs(facts);
  if (turn.nowUs < dueUs) return wakeVmAt(turn, dueUs);
  if (facts.open.storage) orderVmStep(turn, key(facts), { kind: "resume-copy", vm: facts.vm });
}

/** The first time at once; one that pauses itself again and again is resumed later and later. */
function resumeAtUs({ relapses }: VmFacts): number {
  if (relapses === null || relapses.times < 2) return 0;
  return relapses.atUs + Math.min(RESUME_MOST_US, RESUME_FIRST_US * 2 ** Math.min(relapses.times - 2, 12));
}

function planStop(turn: VmTurn, facts: VmFacts, order: VmOrder & { kind: "stop" }): void {
  if (!isOwn(turn, facts, order.placement) || facts.copy === null) return;
  if (!samePlacement(facts.confirmed, order.placement)) return;
  const { state } = facts.copy;
  if (state === "migrating") cancel(turn, facts);
  if (state === "paused") resume(turn, facts);
  if (state === "incoming" || state === "incoming-complete") retire(turn, facts);
  if (state === "running") {
    const graceUs = turn.state.config.shutdownGraceUs;
    orderVmStep(turn, key(facts), { kind: "shutdown-copy", vm: facts.vm, graceUs });
  }
}

function planIncoming(turn: VmTurn, facts: VmFacts, order: VmOrder & { kind: "incoming" }): void {
  if (!isOwn(turn, facts, order.placement)) return;
  if (!samePlacement(facts.confirmed, order.placement)) return;
  // What an older copy left in its connections must not pass when the storage is opened for this one to look.
  if (facts.storage === "dirty") return resetStorage(turn, facts);
  if (facts.copy !== null || samePlacement(facts.receiveTried, order.placement)) return;
  const { record, from, placement } = order;
  const guard = guardOf(turn, record, isGated(record));
  if (guard === "awaited") return;
  if (guard === "missing") {
    // The machine is its source's: no record of ours says otherwise.
    facts.receiveTried = placement;
    return noteUnguarded(turn, facts, record, placement);
  }
  if (!orderVmStep(turn, key(facts), { kind: "receive-copy", vm: facts.vm, record, from })) return;
  facts.receiveTried = placement;
  facts.copy = { state: "incoming", placement, sinceUs: turn.nowUs };
}

function planMigrate(turn: VmTurn, facts: VmFacts, order: VmOrder & { kind: "migrate" }): void {
  if (!isOwn(turn, facts, order.placement) || facts.copy === null) return;
  if (!samePlacement(facts.confirmed, order.placement)) return;
  const { state } = facts.copy;
  if (state === "paused") return resume(turn, facts);
  if (state !== "running" || samePlacement(facts.migrationTried, order.target)) return;
  if (!orderVmStep(turn, key(facts), { kind: "migrate-copy", vm: facts.vm, to: order.to })) return;
  facts.migrationTried = order.target;
  facts.copy = { ...facts.copy, state: "migrating", sinceUs: turn.nowUs };
  facts.failure = null;
}

function cancel(turn: VmTurn, facts: VmFacts): void {
  orderVmStep(turn, `cancel:${facts.vm}`, { kind: "cancel-migration", vm: facts.vm });
}

function resetStorage(turn: VmTurn, facts: VmFacts): void {
  // A reset while bytes may still pass proves nothing.
  if (!isGateShut(facts, turn.nowUs)) return wakeVmAt(turn, facts.openUntilUs);
  orderVmStep(turn, `storage:${facts.vm}`, { kind: "reset-storage", vm: facts.vm });
}

/** Takes a copy away for good: gate, copy, connections, in this order; each only after the one before is sure. */
function retire(turn: VmTurn, facts: VmFacts): void {
  if (facts.copy === null) return;
  if (samePlacement(facts.confirmed, facts.copy.placement)) facts.confirmed = null;
  if (!isGateShut(facts, turn.nowUs)) return wakeVmAt(turn, facts.openUntilUs);
  if (facts.copy.state === "migrating") cancel(turn, facts);
  if (turn.state.flights[key(facts)] !== undefined) return;
  if (!facts.destroyed) {
    orderVmStep(turn, key(facts), { kind: "destroy-copy", vm: facts.vm });
    return;
  }
  if (facts.storage !== "clean") return resetStorage(turn, facts);
  if (!isQuiet(turn, facts)) return;
  facts.copy = null;
  facts.destroyed = false;
  facts.wasOut = false;
}

/**
 * Whether nothing that it sent can still be on its way: who answers "none" says that too. The source of a live
 * migration waits for nothing: it stopped only when everything that it wrote was acknowledged.
 */
function isQuiet(turn: VmTurn, facts: VmFacts): boolean {
  const atUs = facts.quietSinceUs + turn.state.config.storageSettleUs;
  if (facts.movedTo !== null || turn.nowUs >= atUs) return true;
  wakeVmAt(turn, atUs);
  return false;
}

/** Without a lease and a word, nothing of ours runs on. The gate is shut first; when it cannot be, it runs out. */
function suspendUnconfirmed(turn: VmTurn, facts: VmFacts): void {
  const { state, nowUs } = turn;
  const { copy, record } = facts;
  if (copy === null || facts.confirmed !== null || !state.gatesSeen) return;
  if (leaseVerdict(state, nowUs) === "pending" || !isGateShut(facts, nowUs)) return;
  if (record === null || !samePlacement(copy.placement, record.placement)) return;
  if (copy.state === "migrating") cancel(turn, facts);
  if (copy.state === "running") orderVmStep(turn, key(facts), { kind: "pause-copy", vm: facts.vm });
  if (copy.state === "paused" && facts.storage === "dirty") resetStorage(turn, facts);
}

/** Nothing is left of what was owned: the placement is over, and the disk says so before anybody is told. */
function releaseWhatIsOver(turn: VmTurn, facts: VmFacts): void {
  const { record, begun, copy } = facts;
  if (record === null || record.released !== null || copy !== null) return;
  if (turn.state.flights[key(facts)] !== undefined) return;
  const waiting = begun !== null && !begun.started && samePlacement(begun.placement, record.placement);
  const order = turn.state.orders[facts.vm]?.order;
  const stillWanted = order?.kind === "run" && samePlacement(order.placement, record.placement);
  if (waiting && stillWanted) return;
  // Found gone after a start of this process: the last life, or the last boot, may have sent something just before.
  if (!isQuiet(turn, facts)) return;
  facts.record = { ...record, started: null, released: { to: facts.movedTo } };
  facts.movedTo = null;
  facts.confirmed = null;
}

function saveRecords(turn: VmTurn): void {
  const { vms } = turn.state;
  const dirty = sortedKeys(vms).some((vm) => {
    const facts = vms[vm];
    return facts !== undefined && JSON.stringify(facts.saved) !== JSON.stringify(facts.record);
  });
  if (!dirty) return;
  const records = sortedKeys(vms).flatMap((vm) => vms[vm]?.record ?? []);
  orderVmStep(turn, "records", { kind: "save-records", records });
}

export function nameOf(placement: PlacementName): string {
  return `${placement.term}.${placement.number}`;
}
