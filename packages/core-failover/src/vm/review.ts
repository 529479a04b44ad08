import type { NodeId } from "@quorate/contracts";
import { samePlacement } from "./host-state.ts";
import { plan } from "./planner.ts";
import { candidateNodes, fixedVms, isFreeBut, lacksStorage, lacksWatchdog, planVmOf } from "./place.ts";
import { block, type Entry, type RelocatorTurn, wakeRelocatorAt } from "./relocator-state.ts";
import {
  copyAt,
  holdsNone,
  isFenced,
  isFencedFor,
  isSameCopy,
  newestRecord,
  recordAt,
  reportOf,
} from "./survey.ts";
import { sortedKeys, type VmRecord } from "./words.ts";

const RETRY_FIRST_US = 500_000;
const RETRY_MOST_US = 10_000_000;
/** A host that neither starts a machine nor says why for so long loses it again. */
const START_LIMIT_US = 60_000_000;
const MOVE_LIMIT_US = 600_000_000;
const MOVE_PATIENCE_TOKENS = 2;
/** One that has run for so long starts with a clean record the next time. */
const FORGIVEN_AFTER_US = 60_000_000;

/** Takes what the hosts say of the machines in the table: started, refused, ended, moved. */
export function reviewAll(turn: RelocatorTurn): void {
  for (const vm of sortedKeys(turn.reign.table)) {
    const entry = turn.reign.table[vm];
    if (entry === undefined || entry.owner === null) continue;
    if (entry.moving !== null) reviewMove(turn, entry);
    if (!isHandedOver(turn, entry)) reviewOwner(turn, entry);
  }
}

/** The source says that the live move took it away, and the target has not yet said that it has it. */
function isHandedOver(turn: RelocatorTurn, { vm, owner, placement, moving }: Entry): boolean {
  if (moving === null || owner === null) return false;
  const source = recordAt(turn, owner, vm);
  const isOver = source !== null && samePlacement(source.placement, placement);
  return isOver && samePlacement(source.released?.to ?? null, moving.target);
}

function reviewOwner(turn: RelocatorTurn, entry: Entry): void {
  const { vm, owner, placement } = entry;
  if (owner === null) return;
  const report = reportOf(turn, owner);
  // Silence is neither a refusal nor an end. What a fenced host ran is placed anew by the plan.
  if (report === null || isFenced(turn, owner)) return;
  const copy = copyAt(turn, owner, vm);
  if (isSameCopy(copy, placement)) {
    if (copy.confirmed && copy.state === "running" && turn.nowUs - entry.givenAtUs > FORGIVEN_AFTER_US) {
      entry.failures = 0;
      entry.tries = [];
    }
    return;
  }
  if (copy !== null) return;
  const record = recordAt(turn, owner, vm);
  const over = record !== null && record.released !== null && samePlacement(record.placement, placement);
  if (over)
    return comeToNothing(turn, entry, report.failures.find((each) => each.vm === vm)?.message ?? "It ended.");
  const since = Math.max(entry.givenAtUs, entry.notBeforeUs, turn.reign.sinceUs);
  if (turn.nowUs - since < START_LIMIT_US) return wakeRelocatorAt(turn, since + START_LIMIT_US);
  comeToNothing(turn, entry, "It was not started in time.");
}

function comeToNothing(turn: RelocatorTurn, entry: Entry, why: string): void {
  const { vm, owner } = entry;
  if (owner === null) return;
  entry.owner = null;
  entry.moving = null;
  // It was asked to end: not a failure, and nothing to wait for.
  if (entry.leavingFor !== null) return;
  const record = newestRecord(turn, vm)?.record;
  if (record?.wanted !== "running") return;
  entry.failures += 1;
  const others = turn.judgement.members.filter((node) => !entry.tries.includes(node) && node !== owner);
  entry.tries = others.length === 0 ? [owner] : [...entry.tries, owner];
  const waitUs = Math.min(RETRY_MOST_US, RETRY_FIRST_US * 2 ** Math.min(entry.failures - 1, 12));
  entry.retryAtUs = turn.nowUs + waitUs;
  wakeRelocatorAt(turn, entry.retryAtUs);
  const message = `${vm} does not run on node ${owner}: ${why} It is tried again, elsewhere if it can be.`;
  block(turn, vm, "VM_FAILED", message, owner);
}

/** A live migration: ownership passes when the source says, from its disk, that it is over and where it went. */
function reviewMove(turn: RelocatorTurn, entry: Entry): void {
  const { vm, owner, placement, moving } = entry;
  if (moving === null || owner === null) return;
  const record = newestRecord(turn, vm)?.record ?? null;
  const source = recordAt(turn, owner, vm);
  const gone = source !== null && samePlacement(source.placement, placement) && source.released !== null;
  if (gone && holdsNone(turn, owner, vm)) {
    const copy = copyAt(turn, moving.to, vm);
    const complete = isSameCopy(copy, moving.target) && copy.state === "incoming-complete";
    if (samePlacement(source.released?.to ?? null, moving.target) && complete && !isFenced(turn, moving.to)) {
      const free = record !== null && isFreeBut(turn, vm, record, [moving.to]);
      if (!free) return;
      const message = `${vm} was moved live from node ${owner} to node ${moving.to}.`;
      turn.reasons.push({ code: "VM_MOVED", message, facts: { vm, from: owner, to: moving.to } });
      entry.owner = moving.to;
      entry.placement = moving.target;
      entry.givenAtUs = turn.nowUs;
      entry.notBeforeUs = turn.nowUs;
      entry.retryAtUs = turn.nowUs;
      entry.moving = null;
      entry.moveBroken = false;
      return;
    }
    const lost = isFenced(turn, moving.to) || (holdsNone(turn, moving.to, vm) && copy === null);
    // The target's word may still be on its way; one that has died in between will have nothing to say.
    const leftAtUs = moving.leftAtUs ?? turn.nowUs;
    entry.moving = { ...moving, leftAtUs };
    const limitUs = isSameCopy(copy, moving.target) ? START_LIMIT_US : 2 * turn.state.config.tokenUs;
    const endUs = leftAtUs + limitUs;
    if (!lost && turn.nowUs < endUs) return wakeRelocatorAt(turn, endUs);
    return breakOff(turn, entry, "the target lost it");
  }
  // A guest that is under way cannot be asked to shut down; its source can be told to keep it.
  if (!gone && record !== null && record.wanted !== "running")
    return breakOff(turn, entry, "the machine is to be stopped");
  if (isFencedFor(turn, owner, record) || isFenced(turn, owner)) {
    // What keeps a broken move from being begun again at once keeps nobody's machine down.
    entry.retryAtUs = turn.nowUs;
    return breakOff(turn, entry, "the source is gone");
  }
  if (isFenced(turn, moving.to)) return breakOff(turn, entry, "the target is gone");
  for (const node of [owner, moving.to]) {
    const failure = reportOf(turn, node)?.failures.find((each) => each.vm === vm);
    // The source tells of earlier moves too.
    const about = node === owner ? failure?.move : failure?.placement;
    if (failure !== undefined && samePlacement(about ?? null, moving.target))
      return refuseMove(turn, entry, failure.message);
  }
  if (turn.nowUs - moving.sinceUs > MOVE_LIMIT_US) return refuseMove(turn, entry, "it took too long");
  wakeRelocatorAt(turn, moving.sinceUs + MOVE_LIMIT_US);
}

function breakOff(turn: RelocatorTurn, entry: Entry, why: string): void {
  const { vm, owner, moving } = entry;
  entry.moving = null;
  if (moving !== null) turn.reign.refusals[vm] = { to: moving.to, why: `it was broken off: ${why}` };
  const message = `The move of ${vm} from node ${owner} to node ${moving?.to} was broken off: ${why}.`;
  turn.reasons.push({ code: "VM_MOVE_FAILED", message, facts: { vm, to: moving?.to ?? null } });
}

/** Both hosts are there, and it does not go live: where its policy says so it goes by a restart, at once. */
function refuseMove(turn: RelocatorTurn, entry: Entry, why: string): void {
  const { vm, moving } = entry;
  breakOff(turn, entry, why);
  if (moving === null || newestRecord(turn, vm)?.record.move !== "live-or-restart") return;
  entry.moveBroken = true;
  entry.retryAtUs = turn.nowUs;
  delete turn.reign.refusals[vm];
  turn.reign.moves[vm] = { to: moving.to, askedAtUs: turn.nowUs };
}

/** Begins the moves that were asked for, and those off hosts that take nothing any more. */
export function beginMoves(turn: RelocatorTurn): void {
  const { reign, state, judgement } = turn;
  if (judgement.disarmed) return;
  const { blocked } = state.config.policy;
  for (const vm of sortedKeys(reign.table)) {
    const entry = reign.table[vm];
    const newest = newestRecord(turn, vm);
    if (entry === undefined || newest === null || entry.owner === null || entry.moving !== null) continue;
    if (entry.leavingFor !== null) continue;
    const asked = reign.moves[vm];
    if (asked?.to === entry.owner) delete reign.moves[vm];
    else if (asked !== undefined && isRefused(turn, entry, newest, asked)) continue;
    const wanted = asked !== undefined || blocked.includes(entry.owner);
    if (!wanted || turn.nowUs < entry.retryAtUs || !isMovable(turn, entry, newest.record)) continue;
    const isLive = newest.record.move !== "restart" && !entry.moveBroken;
    if (isLive && waitsForTurn(turn, entry, entry.owner)) continue;
    const target = asked?.to ?? targetOf(turn, entry, newest);
    if (target === null || target === entry.owner) continue;
    if (!canReceive(turn, entry, newest.record, target)) continue;
    if (!isLive) {
      restartThere(turn, entry, target);
      continue;
    }
    if (waitsForTurn(turn, entry, target)) continue;
    reign.counter += 1;
    entry.moving = {
      to: target,
      target: { term: reign.term, number: reign.counter },
      sinceUs: turn.nowUs,
      leftAtUs: null,
    };
    delete reign.moves[vm];
    // One that breaks off is not begun again at once.
    entry.retryAtUs = turn.nowUs + RETRY_MOST_US;
    const message = `${vm} is moved live from node ${entry.owner} to node ${target}.`;
    turn.reasons.push({ code: "VM_MOVING", message, facts: { vm, from: entry.owner, to: target } });
  }
}

/** Network and memory of a host are shared by its live moves: all at once, none would arrive. The next report looks again. */
function waitsForTurn({ state, reign }: RelocatorTurn, { vm }: Entry, node: NodeId): boolean {
  const most = state.config.policy.liveMovesPerNode;
  const under = Object.values(reign.table).filter(
    ({ owner, moving }) => moving !== null && (owner === node || moving.to === node),
  );
  if (under.length < most) return false;
  const message = `${vm} waits to be moved: node ${node} has ${under.length} live moves under way (live_moves_per_node).`;
  state.blocked[vm] = { code: "VM_MOVE_WAITS", message, facts: { vm, node } };
  return true;
}

/** Waits a little for what stands against a move that was asked for, then drops it: nothing moves long after it was asked. */
function isRefused(
  turn: RelocatorTurn,
  entry: Entry,
  newest: { node: NodeId; record: VmRecord },
  asked: { to: NodeId; askedAtUs: number },
): boolean {
  const why = whyNotMoved(turn, entry, newest, asked.to);
  if (why === null) return false;
  const endUs = asked.askedAtUs + MOVE_PATIENCE_TOKENS * turn.state.config.tokenUs;
  wakeRelocatorAt(turn, endUs);
  if (turn.nowUs < endUs) return true;
  delete turn.reign.moves[entry.vm];
  turn.reign.refusals[entry.vm] = { to: asked.to, why };
  const message = `${entry.vm} is not moved to node ${asked.to}: ${why}.`;
  turn.reasons.push({ code: "VM_MOVE_FAILED", message, facts: { vm: entry.vm, to: asked.to } });
  return true;
}

function whyNotMoved(
  turn: RelocatorTurn,
  entry: Entry,
  newest: { node: NodeId; record: VmRecord },
  to: NodeId,
): string | null {
  const { record } = newest;
  if (record.storage === "local") return "its disk lies on its host alone";
  if (!isMovable(turn, entry, record)) return "it does not run under care at present";
  if (turn.nowUs < entry.retryAtUs) return "its last move was broken off a moment ago";
  const nodes = candidateNodes(turn).filter(({ node }) => node === to);
  if (nodes.length === 0) return "that node takes no machines at present";
  if (lacksStorage(turn, to, record)) return "that node does not reach its storage";
  if (lacksWatchdog(turn, to, record)) return "that node has not the watchdog that was promised for it";
  const { policy } = turn.state.config;
  const vm = planVmOf(turn, { ...entry, tries: [], leavingFor: null }, newest);
  // The operator may part what belongs together: room is what counts.
  const room = plan(nodes, [...fixedVms(turn, [vm]), vm], { ...policy, together: [], apart: [] });
  const reason = room.left.get(entry.vm);
  if (reason !== undefined) return reason.message;
  return canReceive(turn, entry, record, to)
    ? null
    : "another host has not said yet that it has no copy of it";
}

/** Its owner is told to shut it down; once the owner's disk says that it is over, it is placed like any other. */
function restartThere(turn: RelocatorTurn, entry: Entry, target: NodeId): void {
  const { vm, owner } = entry;
  entry.leavingFor = target;
  entry.moveBroken = false;
  delete turn.reign.moves[vm];
  const message = `${vm} is shut down on node ${owner} to be started on node ${target}.`;
  turn.reasons.push({ code: "VM_RESTARTING", message, facts: { vm, from: owner, to: target } });
}

function isMovable(turn: RelocatorTurn, entry: Entry, record: VmRecord): boolean {
  const { owner, vm, placement } = entry;
  if (owner === null || isFenced(turn, owner) || record.storage === "local" || record.wanted !== "running")
    return false;
  const copy = copyAt(turn, owner, vm);
  return isSameCopy(copy, placement) && copy.state === "running" && copy.confirmed;
}

function targetOf(
  turn: RelocatorTurn,
  entry: Entry,
  newest: { node: NodeId; record: VmRecord },
): NodeId | null {
  const vm = planVmOf(turn, entry, newest);
  const nodes = candidateNodes(turn).filter(({ node }) => node !== entry.owner);
  const result = plan(nodes, [...fixedVms(turn, [vm]), vm], turn.state.config.policy);
  const reason = result.left.get(entry.vm);
  if (reason !== undefined) turn.state.blocked[entry.vm] = reason;
  return result.placed.get(entry.vm) ?? null;
}

function canReceive(turn: RelocatorTurn, entry: Entry, record: VmRecord, target: NodeId): boolean {
  const candidate = candidateNodes(turn).some(({ node }) => node === target);
  if (!candidate || entry.owner === null) return false;
  if (lacksStorage(turn, target, record) || lacksWatchdog(turn, target, record)) return false;
  return isFreeBut(turn, entry.vm, record, [entry.owner]);
}
