import { CLOCK_RATE_ERROR, type NodeId } from "@quorate/contracts";
import { comparePriority, plan, type PlanNode, type PlanVm } from "./planner.ts";
import { block, type Entry, type RelocatorTurn, wakeRelocatorAt } from "./relocator-state.ts";
import {
  hindrances,
  holdsNone,
  isFenced,
  isFencedFor,
  newestRecord,
  reportOf,
  settledAtUs,
} from "./survey.ts";
import { waitFor, waitForHolders, waitForHome } from "./waiting.ts";
import { isPromised, sortedKeys, type VmId, type VmRecord } from "./words.ts";

/** Gives every machine that should run, and of which no copy can be left anywhere, to the best host. */
export function placeAll(turn: RelocatorTurn): void {
  const { reign, judgement, state } = turn;
  const waiting: PlanVm[] = [];
  for (const vm of sortedKeys(reign.table)) {
    const entry = reign.table[vm];
    const newest = newestRecord(turn, vm);
    if (entry === undefined || newest === null) continue;
    if (!needsPlace(turn, entry, newest.record)) {
      const gone = entry.owner !== null && !judgement.members.includes(entry.owner);
      if (newest.record.wanted === "running" && gone) waitFor(turn, vm, entry.owner ?? 0, false);
      else delete state.blocked[vm];
      continue;
    }
    if (mayBePlaced(turn, entry, newest)) waiting.push(planVmOf(turn, entry, newest));
  }
  if (waiting.length === 0) return;
  if (judgement.disarmed) {
    for (const { vm } of waiting) block(turn, vm, "DISARMED", `${vm} waits: automation is off.`);
    return;
  }
  const nodes = candidateNodes(turn);
  const { placed, left } = plan(nodes, [...fixedVms(turn, waiting), ...waiting], state.config.policy);
  for (const vm of [...waiting].sort(comparePriority)) {
    const entry = reign.table[vm.vm];
    const node = placed.get(vm.vm);
    const reason = left.get(vm.vm);
    if (entry === undefined) continue;
    if (node !== undefined) give(turn, entry, node);
    else if (reason !== undefined) block(turn, vm.vm, ...blame(turn, vm, reason.message));
  }
}

/** Nobody's, or of a host that is fenced: it may go elsewhere. */
function needsPlace(turn: RelocatorTurn, entry: Entry, record: VmRecord): boolean {
  if (record.wanted !== "running") return false;
  return entry.owner === null || isFenced(turn, entry.owner);
}

function mayBePlaced(turn: RelocatorTurn, entry: Entry, newest: { node: NodeId; record: VmRecord }): boolean {
  const { state, reign, nowUs } = turn;
  const { vm } = entry;
  const { config } = state;
  const isHome = newest.record.storage === "local";
  if (isHome && (reportOf(turn, newest.node) === null || isFenced(turn, newest.node))) {
    waitForHome(turn, vm, newest.node);
    return false;
  }
  const holders = hindrances(turn, vm, newest.record);
  if (holders.length > 0) {
    waitForHolders(turn, vm, holders);
    return false;
  }
  const graceEndUs = config.bootedAtUs + config.bootGraceUs;
  const unseen = !state.seen.includes(newest.node) && state.reports[newest.node] === undefined;
  if (unseen && newest.node !== config.node && nowUs < graceEndUs) {
    const message = `${vm} was node ${newest.node}'s, which has not been seen since this host's start.`;
    block(turn, vm, "VM_BOOT_GRACE", message, newest.node);
    wakeRelocatorAt(turn, graceEndUs);
    return false;
  }
  if (reign.replica === "asked") return false;
  if (nowUs < entry.retryAtUs) {
    wakeRelocatorAt(turn, entry.retryAtUs);
    return false;
  }
  return true;
}

/** Hosts that are members, have answered, are not fenced, and whose hypervisor answers. */
export function candidateNodes(turn: RelocatorTurn): PlanNode[] {
  return turn.judgement.members.flatMap((node) => {
    const report = reportOf(turn, node);
    if (report === null || report.hypervisorSilent === true || isFenced(turn, node)) return [];
    return [{ node, memoryMib: report.memoryMib, vcpus: report.vcpus }];
  });
}

/** What has its place already, live moves at both ends, and foreign copies: they take room. */
export function fixedVms(turn: RelocatorTurn, waiting: readonly PlanVm[]): PlanVm[] {
  const fixed: PlanVm[] = [];
  for (const vm of sortedKeys(turn.reign.table)) {
    const entry = turn.reign.table[vm];
    const record = newestRecord(turn, vm)?.record;
    if (entry === undefined || record === undefined || waiting.some((other) => other.vm === vm)) continue;
    const room = {
      memoryMib: record.memoryMib,
      vcpus: record.vcpus,
      prio: record.prio,
      only: null,
      avoid: [],
    };
    if (entry.owner !== null && record.wanted === "running") fixed.push({ ...room, vm, at: entry.owner });
    if (entry.moving !== null) fixed.push({ ...room, vm: `${vm} (coming)`, at: entry.moving.to });
  }
  return fixed;
}

export function planVmOf(
  turn: RelocatorTurn,
  entry: Entry,
  newest: { node: NodeId; record: VmRecord },
): PlanVm {
  const { record } = newest;
  const { nodes } = turn;
  const reach = nodes.filter(
    (node) => !lacksStorage(turn, node, record) && !lacksWatchdog(turn, node, record),
  );
  const only = record.storage === "local" ? reach.filter((node) => node === newest.node) : reach;
  return {
    vm: entry.vm,
    memoryMib: record.memoryMib,
    vcpus: record.vcpus,
    prio: record.prio,
    at: null,
    only: only.length === nodes.length ? null : only,
    avoid: entry.leavingFor === null ? entry.tries : nodes.filter((node) => node !== entry.leavingFor),
  };
}

export function lacksStorage(turn: RelocatorTurn, node: NodeId, record: VmRecord): boolean {
  const gone = reportOf(turn, node)?.storageGone ?? [];
  return record.storages.some((storage) => gone.includes(storage));
}

/** It would refuse the machine: it has no watchdog as short as was promised for it. */
export function lacksWatchdog(turn: RelocatorTurn, node: NodeId, record: VmRecord): boolean {
  const ownUs = reportOf(turn, node)?.watchdogUs;
  if (ownUs === undefined || record.watchdogUs === undefined || !isPromised(record)) return false;
  return ownUs === null || ownUs > record.watchdogUs;
}

/** When every candidate lacks the machine's storage, the storage is to blame, not the hosts. */
function blame(turn: RelocatorTurn, vm: PlanVm, message: string): [string, string] {
  const candidates = candidateNodes(turn);
  const record = newestRecord(turn, vm.vm)?.record;
  if (record !== undefined && candidates.length > 0) {
    if (candidates.every(({ node }) => lacksStorage(turn, node, record))) {
      const names = record.storages.join(", ");
      return ["VM_STORAGE_GONE", `${vm.vm} waits: no host reaches its storage (${names}).`];
    }
  }
  const without = candidates.filter(({ node }) => record !== undefined && lacksStorage(turn, node, record));
  const notes = without.map(({ node }) => ` Node ${node} does not reach its storage.`);
  const silent = turn.judgement.members.filter((node) => reportOf(turn, node)?.hypervisorSilent === true);
  notes.push(...silent.map((node) => ` The hypervisor of node ${node} does not answer.`));
  const unwatched = candidates.filter(
    ({ node }) => record !== undefined && lacksWatchdog(turn, node, record),
  );
  notes.push(...unwatched.map(({ node }) => ` Node ${node} has not the watchdog that was promised for it.`));
  return ["VM_NO_ROOM", message + notes.join("")];
}

/** A new placement: one more start, on this host. */
export function give(turn: RelocatorTurn, entry: Entry, node: NodeId): void {
  const { reign, nowUs, reasons, state } = turn;
  reign.counter += 1;
  entry.owner = node;
  entry.placement = { term: reign.term, number: reign.counter };
  entry.moving = null;
  entry.leavingFor = null;
  entry.moveBroken = false;
  entry.givenAtUs = nowUs;
  // The host counts the wait on its own clock, which may run faster.
  const waitUs = Math.max(0, settledAtUs(turn, entry.vm) - nowUs);
  entry.notBeforeUs = nowUs + Math.ceil(waitUs * (1 + 2 * CLOCK_RATE_ERROR));
  delete state.blocked[entry.vm];
  const message = `${entry.vm} is given to node ${node}: every other host has none, or is fenced.`;
  const facts = { vm: entry.vm, node, placement: `${reign.term}.${reign.counter}`, waitUs };
  reasons.push({ code: "VM_PLACED", message, facts });
}

/** Whether every other host than these has none of the machine. */
export function isFreeBut(turn: RelocatorTurn, vm: VmId, record: VmRecord, but: readonly NodeId[]): boolean {
  return turn.nodes.every(
    (node) => but.includes(node) || holdsNone(turn, node, vm) || isFencedFor(turn, node, record),
  );
}
