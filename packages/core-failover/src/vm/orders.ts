import { compareViews, type NodeId } from "@quorate/contracts";
import { isKeptBy } from "./recognise.ts";
import type { Entry, Given, RelocatorTurn, Told } from "./relocator-state.ts";
import { wakeRelocatorAt } from "./relocator-state.ts";
import {
  answered,
  copyAt,
  hasArrived,
  isSameCopy,
  isSpent,
  knownVms,
  newestRecord,
  recordAt,
} from "./survey.ts";
import { comparePlacements, isGivenUp, type VmId, type VmOrder } from "./words.ts";

/** Says to every host that has been heard what is wanted of it: on change, until it has answered, and now and then. */
export function planStatements(turn: RelocatorTurn): void {
  for (const node of turn.nodes) tell(turn, node);
}

function tell(turn: RelocatorTurn, node: NodeId): void {
  const { reign, judgement, state, nowUs } = turn;
  const report = state.reports[node];
  if (report === undefined) return;
  const orders = ordersFor(turn, node);
  const key = JSON.stringify(orders.map((order) => (order.kind === "run" ? { ...order, waitUs: 0 } : order)));
  const told = reign.told[node];
  const isNew =
    told === undefined ||
    told.key !== key ||
    told.incarnation !== report.incarnation ||
    compareViews(told.view, judgement.view) !== 0;
  if (isNew) {
    // The first statement asks, under the number from which answers count.
    if (told !== undefined || orders.length > 0) reign.counter += 1;
    const number = told === undefined && orders.length === 0 ? reign.startNumber : reign.counter;
    const { incarnation } = report;
    const given = givenBy(told, orders, number);
    reign.told[node] = { key, number, incarnation, view: judgement.view, sentAtUs: nowUs, orders, given };
    return send(turn, node);
  }
  const { tokenUs } = state.config;
  const unheard = report.adopted.term !== reign.term || report.adopted.number < told.number;
  const unconfirmed = orders.some((order) => {
    const copy = copyAt(turn, node, order.vm);
    return copy !== null && !copy.confirmed && order.kind !== "destroy";
  });
  const dueUs = told.sentAtUs + Math.round(unheard || unconfirmed ? tokenUs / 5 : tokenUs / 2);
  if (nowUs < dueUs) return wakeRelocatorAt(turn, dueUs);
  reign.told[node] = { ...told, orders, sentAtUs: nowUs };
  send(turn, node);
}

function send(turn: RelocatorTurn, node: NodeId): void {
  const { reign, state, effects, nowUs } = turn;
  const told = reign.told[node];
  if (told === undefined) return;
  const { number, incarnation, view, orders } = told;
  const { term } = reign;
  const from = state.config.node;
  effects.push({
    kind: "statement",
    statement: { term, view, number, from, to: node, incarnation, orders },
  });
  wakeRelocatorAt(turn, nowUs + Math.round(state.config.tokenUs / 5));
}

/** What the host may act upon once it was told: until it is known to have taken a statement without it. */
function givenBy(told: Told | undefined, orders: readonly VmOrder[], number: number): Record<VmId, Given> {
  const given: Record<VmId, Given> = {};
  for (const [vm, each] of Object.entries(told?.given ?? {})) {
    given[vm] = { ...each, withdrawnBy: each.withdrawnBy ?? number };
  }
  for (const order of orders) {
    if (order.kind === "destroy") continue;
    given[order.vm] = { placement: order.placement, withdrawnBy: null };
  }
  return given;
}

function ordersFor(turn: RelocatorTurn, node: NodeId): VmOrder[] {
  // First only the question; once told, an answer of a new life is not waited for.
  if (turn.reign.told[node] === undefined && !answered(turn, node)) return [];
  return knownVms(turn).flatMap((vm) => orderFor(turn, node, vm) ?? []);
}

function orderFor(turn: RelocatorTurn, node: NodeId, vm: VmId): VmOrder | null {
  const entry = turn.reign.table[vm];
  if (entry === undefined) return null;
  if (entry.owner === node) return ownerOrder(turn, node, entry);
  const { moving } = entry;
  if (moving?.to === node) {
    const record = newestRecord(turn, vm)?.record;
    if (record === undefined || entry.owner === null) return null;
    return { kind: "incoming", vm, placement: moving.target, from: entry.owner, record };
  }
  const { owner } = entry;
  const copy = copyAt(turn, node, vm);
  // It was given up: what somebody starts under that name is nobody's business here.
  const isTheirs = copy?.placement === null && isForgotten(turn, vm);
  if (copy !== null && !isTheirs) return { kind: "destroy", vm, owner, forget: false };
  const record = recordAt(turn, node, vm);
  const outdated = record !== null && comparePlacements(record.placement, entry.placement) < 0;
  if (outdated && owner !== null && isKeptBy(turn, owner, vm, entry.placement)) {
    return { kind: "destroy", vm, owner, forget: true };
  }
  return null;
}

function isForgotten(turn: RelocatorTurn, vm: VmId): boolean {
  const newest = newestRecord(turn, vm);
  return newest !== null && isGivenUp(newest.record);
}

function ownerOrder(turn: RelocatorTurn, node: NodeId, entry: Entry): VmOrder | null {
  const { vm, placement, moving } = entry;
  const record = newestRecord(turn, vm)?.record;
  if (record === undefined) return null;
  if (isSpent(turn, node, vm, placement)) return null;
  const target = moving === null ? null : copyAt(turn, moving.to, vm);
  if (moving !== null && isSameCopy(target, moving.target) && (target.confirmed || hasArrived(target))) {
    return { kind: "migrate", vm, placement, to: moving.to, target: moving.target };
  }
  if (record.wanted !== "running" || entry.leavingFor !== null) return { kind: "stop", vm, placement };
  const waitUs = Math.max(0, entry.notBeforeUs - turn.nowUs);
  return { kind: "run", vm, placement, record, waitUs };
}
