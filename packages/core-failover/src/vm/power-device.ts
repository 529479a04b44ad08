import type { NodeId } from "@quorate/contracts";
import { candidateNodes, fixedVms, planVmOf } from "./place.ts";
import { plan, type PlanVm } from "./planner.ts";
import { prove, whyNotOff } from "./power-off.ts";
import { entryOf } from "./recognise.ts";
import {
  type OffAttempt,
  type RelocatorState,
  type RelocatorTurn,
  wakeRelocatorAt,
} from "./relocator-state.ts";
import { answered, hindrances, isFenced, isFencedFor, knownVms, newestRecord } from "./survey.ts";
import { FIRST_PLACEMENT, isGated, type VmId } from "./words.ts";

const RETRY_FIRST_US = 2_000_000;
const RETRY_MOST_US = 60_000_000;
const UNTRIED: OffAttempt = { id: null, failures: 0, retryAtUs: 0, why: null };

/** Whether this very attempt is still to be gone on with: asked before anything is switched off. */
export function isOffWanted(state: RelocatorState, node: NodeId, attempt: number, nowUs: number): boolean {
  return state.reign?.attempts[node]?.id === attempt && whyNotOff(state, node, nowUs) === null;
}

/** Has hosts switched off for which a machine waits that has a place elsewhere. What is heard is never among them. */
export function askDevices(turn: RelocatorTurn): void {
  const { reign, state, nowUs, effects, reasons } = turn;
  const wanted = state.config.devices.length === 0 ? new Map<NodeId, VmId[]>() : hostsInTheWay(turn);
  for (const node of state.config.devices) {
    const vms = wanted.get(node);
    // An attempt that is no longer wanted ends with its entry: its answer names nothing any more.
    if (vms === undefined || !mayBeSwitchedOff(turn, node)) {
      delete reign.attempts[node];
      continue;
    }
    const known = reign.attempts[node] ?? UNTRIED;
    if (known.id !== null) continue;
    if (nowUs < known.retryAtUs) {
      wakeRelocatorAt(turn, known.retryAtUs);
      continue;
    }
    reign.counter += 1;
    reign.attempts[node] = { ...known, id: reign.counter };
    effects.push({ kind: "power-off", node, attempt: reign.counter });
    if (known.failures > 0) continue;
    const message = `Node ${node} is switched off by its power device: ${vms.join(", ")} may still run there.`;
    reasons.push({ code: "HOST_OFF_ORDERED", message, facts: { node, vms: vms.join(" ") } });
  }
}

/** What the device came to. An answer to an attempt of which nothing is known any more proves nothing. */
export function takeAttempt(
  turn: RelocatorTurn,
  { node, attempt, failure }: { node: NodeId; attempt: number; failure: string | null },
): void {
  const { reign, state, nowUs, reasons } = turn;
  const known = reign.attempts[node];
  if (known?.id !== attempt) return;
  if (failure === null && whyNotOff(state, node, nowUs) === null) {
    prove(turn, node, "device");
    const message = `Node ${node} is off, its power device says: what no gate holds may be started elsewhere.`;
    reasons.push({ code: "HOST_OFF_PROVED", message, facts: { node, term: reign.term } });
    return;
  }
  const failures = known.failures + 1;
  const waitUs = Math.min(RETRY_MOST_US, RETRY_FIRST_US * 2 ** Math.min(known.failures, 10));
  const why = failure ?? "it was heard meanwhile.";
  reign.attempts[node] = { id: null, failures, retryAtUs: nowUs + waitUs, why };
  wakeRelocatorAt(turn, nowUs + waitUs);
  if (known.why === why) return;
  const message = `The power device of node ${node} failed: ${why} It is tried again.`;
  reasons.push({ code: "HOST_OFF_FAILED", message, facts: { node, failures } });
}

function mayBeSwitchedOff(turn: RelocatorTurn, node: NodeId): boolean {
  const { state, judgement, nowUs } = turn;
  if (judgement.disarmed || turn.reign.proofs[node] !== undefined) return false;
  if (whyNotOff(state, node, nowUs) !== null) return false;
  const { bootedAtUs, bootGraceUs } = state.config;
  const graceEndUs = bootedAtUs + bootGraceUs;
  const unseen = !state.seen.includes(node) && state.reports[node] === undefined;
  // After a power loss of the whole site it may just be booting.
  if (!unseen || nowUs >= graceEndUs) return true;
  wakeRelocatorAt(turn, graceEndUs);
  return false;
}

/** Hosts whose being off would let a machine start, and which: those that only lack the proof, and fit elsewhere. */
function hostsInTheWay(turn: RelocatorTurn): Map<NodeId, VmId[]> {
  const waiting: PlanVm[] = [];
  const holders = new Map<VmId, NodeId[]>();
  for (const vm of knownVms(turn)) {
    const newest = newestRecord(turn, vm);
    const entry = turn.reign.table[vm];
    if (newest === null || newest.record.wanted !== "running" || isGated(newest.record)) continue;
    if (entry !== undefined && entry.owner !== null && !isFenced(turn, entry.owner)) continue;
    const { record } = newest;
    const inTheWay =
      entry === undefined
        ? turn.nodes.filter((node) => !answered(turn, node) && !isFencedFor(turn, node, record))
        : hindrances(turn, vm, record);
    if (inTheWay.length === 0 || !inTheWay.every((node) => isFenced(turn, node))) continue;
    holders.set(vm, inTheWay);
    waiting.push(planVmOf(turn, entry ?? entryOf(vm, null, FIRST_PLACEMENT), newest));
  }
  // Nobody is switched off for a machine that would fit nowhere: one whose disk is on that very host, for instance.
  const { placed } = plan(
    candidateNodes(turn),
    [...fixedVms(turn, waiting), ...waiting],
    turn.state.config.policy,
  );
  const hosts = new Map<NodeId, VmId[]>();
  for (const vm of placed.keys()) {
    for (const node of holders.get(vm) ?? []) hosts.set(node, [...(hosts.get(node) ?? []), vm]);
  }
  return hosts;
}
