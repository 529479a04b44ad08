import { assertNever, compareViews, type NodeId, type Reason } from "@quorate/contracts";
import { recognise } from "./recognise.ts";
import { placeAll } from "./place.ts";
import { askDevices, takeAttempt } from "./power-device.ts";
import { confirmOff, reviewProofs } from "./power-off.ts";
import { planStatements } from "./orders.ts";
import { beginMoves, reviewAll } from "./review.ts";
import {
  copyReign,
  type Judgement,
  type Reign,
  type RelocatorConfig,
  type RelocatorEffect,
  type RelocatorState,
  type RelocatorTurn,
  wakeRelocatorAt,
} from "./relocator-state.ts";
import { answered, isFenced, knownVms, ungatedKeepers } from "./survey.ts";
import type { VmId, VmRecord, VmReport } from "./words.ts";

export type RelocatorInput =
  | { kind: "tick" }
  | { kind: "judgement"; judgement: Judgement }
  | { kind: "report"; report: VmReport }
  /** The answer to `load-replica`; null: no replicating node can be reached. */
  | { kind: "replica"; records: { node: NodeId; record: VmRecord }[] | null }
  /** Whether this mastership has moved its machines already; a marker of an older term counts as missing. */
  | { kind: "marker"; present: boolean }
  /** Hosts heard since this host's kernel started. */
  | { kind: "seen"; nodes: readonly NodeId[] }
  /** When other hosts were heard last. */
  | { kind: "heard"; hosts: readonly { node: NodeId; atUs: number }[] }
  /** An operator's word that this host is off; no effect where `whyNotOff` has something against it. */
  | { kind: "confirm-off"; node: NodeId }
  /** What a power device came to; `failure` null: it says that the host is off. */
  | { kind: "power-off"; node: NodeId; attempt: number; failure: string | null }
  | { kind: "move"; vm: VmId; to: NodeId }
  | { kind: "config"; config: RelocatorConfig };

export interface RelocatorResult {
  state: RelocatorState;
  effects: RelocatorEffect[];
  reasons: Reason[];
  /** Call again, with `tick`, at this instant at the latest. */
  wakeAtUs: number;
}

/**
 * One turn of the master's care for machines; on any other node it only remembers what it hears. The given state is
 * not changed. Promises (INV-4): a machine is given to a host only while the master lease runs and when every host of
 * the node list has answered under this reign that it has no copy, and will make none of what it was told before, or
 * is fenced.
 */
export function stepRelocator(before: RelocatorState, input: RelocatorInput, nowUs: number): RelocatorResult {
  const state = { ...before };
  const effects: RelocatorEffect[] = [];
  const reasons: Reason[] = [];
  const idle = { state, effects, reasons, wakeAtUs: Number.MAX_SAFE_INTEGER };
  take(state, input, nowUs);
  const { judgement } = state;
  if (judgement === null || !judgement.master) {
    state.reign = null;
    state.blocked = {};
    return idle;
  }
  // A thawed master whose lease has lapsed says and decides nothing.
  if (nowUs >= judgement.masterLeaseEndUs) {
    if (state.reign !== null) state.reign = keepForLater(state.reign, input, nowUs);
    return idle;
  }
  const reign = reignOf(state, judgement, nowUs, effects, reasons);
  state.reign = reign;
  state.blocked = { ...state.blocked };
  const nodes = nodesOf(state, judgement);
  const wakeAtUs = judgement.masterLeaseEndUs;
  const turn: RelocatorTurn = { state, reign, judgement, nodes, nowUs, effects, reasons, wakeAtUs };
  reviewProofs(turn);
  if (input.kind === "confirm-off") confirmOff(turn, input.node);
  if (input.kind === "power-off") takeAttempt(turn, input);
  recognise(turn);
  reviewAll(turn);
  if (input.kind === "move") askToMove(reign, input, nowUs);
  placeAll(turn);
  beginMoves(turn);
  askDevices(turn);
  planStatements(turn);
  markRelocated(turn);
  dropBlocks(turn);
  return { state, effects, reasons, wakeAtUs: turn.wakeAtUs };
}

function askToMove(reign: Reign, { vm, to }: { vm: VmId; to: NodeId }, nowUs: number): void {
  reign.moves[vm] = { to, askedAtUs: nowUs };
  delete reign.refusals[vm];
}

/** While the lease has lapsed nothing is decided, and what cannot be said again is not lost. */
function keepForLater(before: Reign, input: RelocatorInput, nowUs: number): Reign {
  const reign = copyReign(before);
  if (input.kind === "move") askToMove(reign, input, nowUs);
  // What a device said then proves nothing: it is asked again.
  if (input.kind === "power-off" && reign.attempts[input.node]?.id === input.attempt)
    delete reign.attempts[input.node];
  return reign;
}

/**
 * Everybody who may have a machine. A host that is no more on the node list has none of those that its lease fenced;
 * one that no gate holds may run there still.
 */
function nodesOf(state: RelocatorState, judgement: Judgement): NodeId[] {
  const absent = judgement.fences.map(({ node }) => node);
  const all = new Set([...state.config.nodes, ...judgement.members, ...absent, ...ungatedKeepers(state)]);
  return [...all].sort((left, right) => left - right);
}

function take(state: RelocatorState, input: RelocatorInput, nowUs: number): void {
  switch (input.kind) {
    case "tick":
    case "move":
    case "confirm-off":
    case "power-off":
      return;
    case "heard":
      for (const { node, atUs } of input.hosts) hear(state, node, atUs);
      return;
    case "judgement": {
      const known = state.judgement;
      const { judgement } = input;
      const older =
        known !== null && (judgement.stampUs < known.stampUs || compareViews(judgement.view, known.view) < 0);
      if (!older) state.judgement = judgement;
      return;
    }
    case "report": {
      const { report } = input;
      const known = state.reports[report.node];
      const newer =
        known === undefined ||
        report.incarnation > known.incarnation ||
        (report.incarnation === known.incarnation && report.sequence > known.sequence);
      if (!newer) return;
      state.reports = { ...state.reports, [report.node]: remembered(report, known) };
      state.reportedAtUs = { ...state.reportedAtUs, [report.node]: nowUs };
      hear(state, report.node, nowUs);
      return;
    }
    case "replica":
      state.replica = input.records ?? state.replica;
      if (state.reign !== null) {
        state.reign = { ...state.reign, replica: input.records === null ? "none" : "here" };
      }
      return;
    case "marker":
      state.marker = input.present;
      return;
    case "seen":
      state.seen = [...input.nodes].sort((left, right) => left - right);
      return;
    case "config":
      // An answer of a device that is another one now, or none any more, proves nothing.
      if (state.reign !== null && state.config.devicesKey !== input.config.devicesKey)
        state.reign = { ...state.reign, attempts: {} };
      state.config = input.config;
      return;
    default:
      assertNever(input);
  }
}

/** A host whose disk has lost its records is told of them; until it has them again, what it said before stands. */
function remembered(report: VmReport, known: VmReport | undefined): VmReport {
  if (report.recordsLost !== true || known === undefined) return report;
  const named = new Set(report.records.map(({ vm }) => vm));
  return { ...report, records: [...report.records, ...known.records.filter(({ vm }) => !named.has(vm))] };
}

function hear(state: RelocatorState, node: NodeId, atUs: number): void {
  if (atUs > (state.heardAtUs[node] ?? 0)) state.heardAtUs = { ...state.heardAtUs, [node]: atUs };
}

function reignOf(
  state: RelocatorState,
  judgement: Judgement,
  nowUs: number,
  effects: RelocatorEffect[],
  reasons: Reason[],
): Reign {
  const { reign } = state;
  if (reign !== null && reign.term === judgement.term) return copyReign(reign);
  const { term } = judgement;
  effects.push({ kind: "load-replica", term });
  const message = `Master of term ${term}: every host is asked what it has, and only then machines are placed.`;
  reasons.push({ code: "VM_REIGN", message, facts: { term } });
  return {
    term,
    // The clock never goes back in a boot, and a boot ends every mastership: no number is used twice in a term.
    startNumber: nowUs,
    counter: nowUs,
    sinceUs: nowUs,
    table: {},
    told: {},
    moves: {},
    refusals: {},
    proofs: {},
    attempts: {},
    // With its marker there, this is a restart: what the last life took in is asked again, not waited for.
    replica: state.marker ? "none" : "asked",
    relocated: state.marker,
  };
}

/** Everything known was looked at once, and what could be ordered was: the move of the mastership is complete. */
function markRelocated(turn: RelocatorTurn): void {
  const { reign, state, effects } = turn;
  if (reign.relocated || reign.replica === "asked") return;
  const known = knownVms(turn).every((vm) => reign.table[vm] !== undefined);
  const asked = turn.nodes.every((node) => answered(turn, node) || isFenced(turn, node));
  if (!known || !asked) return;
  reign.relocated = true;
  state.marker = true;
  effects.push({ kind: "relocated", term: reign.term });
  wakeRelocatorAt(turn, turn.nowUs + 1);
}

function dropBlocks(turn: RelocatorTurn): void {
  const known = new Set(knownVms(turn));
  for (const vm of Object.keys(turn.state.blocked)) if (!known.has(vm)) delete turn.state.blocked[vm];
}
