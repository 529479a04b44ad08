import type { NodeId, Reason } from "@quorate/contracts";
import { type Timing, timingOf } from "../config.ts";
import type { StepError } from "../step.ts";
import type {
  CopyFailure,
  CopyState,
  PlacementName,
  ViewName,
  VmId,
  VmOrder,
  VmRecord,
  VmReport,
} from "./words.ts";

/** What passes for one machine; a part not named is shut. */
export interface GateOpening {
  vm: VmId;
  network: boolean;
  storage: boolean;
}

/** One thing for the shell to do. It answers each with one outcome, in any order. */
export type VmStep =
  /** All copies on this host, whoever made them. Answered only when nothing that a predecessor ordered is under way. */
  | { kind: "inspect-copies" }
  | { kind: "inspect-gates" }
  /** Leaves open exactly these, until the lease's end (the permit rule); all others shut with it. */
  | { kind: "renew-gates"; open: GateOpening[]; leaseEndUs: number; permitUs: number }
  /** Shuts and reads the kernel back. A shut storage gate resets the connections that pass by it. */
  | { kind: "shut-gates"; vms: VmId[] }
  /** Done: no connection of the machine that existed before is left on this host, nor bytes queued in one. */
  | { kind: "reset-storage"; vm: VmId }
  /** All records of this host, written durably as one. */
  | { kind: "save-records"; records: VmRecord[] }
  | { kind: "start-copy"; vm: VmId; record: VmRecord }
  | { kind: "pause-copy"; vm: VmId }
  | { kind: "resume-copy"; vm: VmId }
  /** Done also when there was none. */
  | { kind: "destroy-copy"; vm: VmId }
  /** Asks the guest, and destroys it after the grace. Done: it has ended. */
  | { kind: "shutdown-copy"; vm: VmId; graceUs: number }
  /** Done: a paused target waits for the migration. */
  | { kind: "receive-copy"; vm: VmId; record: VmRecord; from: NodeId }
  /** Done: the source has stopped for good and the target is complete. Failed: the source runs on. */
  | { kind: "migrate-copy"; vm: VmId; to: NodeId }
  | { kind: "cancel-migration"; vm: VmId }
  /** Takes over what an earlier life left armed, and feeds it; done: nothing was. */
  | { kind: "adopt-watchdog" }
  /** Answered with what it really takes, never more than asked for. It is fed by that. */
  | { kind: "arm-watchdog"; timeoutUs: number }
  | { kind: "feed-watchdog" }
  | { kind: "disarm-watchdog" };

export type VmOutcome =
  | { kind: "done" }
  | { kind: "failed"; error: StepError }
  | { kind: "copies-seen"; copies: SeenCopy[] }
  | { kind: "gates-seen"; open: (GateOpening & { remainingUs: number })[] }
  | { kind: "renewed"; leaseEndUs: number }
  | { kind: "armed"; timeoutUs: number };

export interface SeenCopy {
  vm: VmId;
  state: "running" | "paused" | "incoming" | "incoming-complete" | "migrating" | "moved-out";
}

/** What the evaluator of this host says of its lease. */
export interface VmGrant {
  stampUs: number;
  term: number;
  view: ViewName;
  nodeLeaseEndUs: number;
  /** This host was removed from the view and is not back, or lost its state. Every such time must be handed in. */
  out: boolean;
}

export interface VmHostConfig {
  node: NodeId;
  tokenUs: number;
  /** Of the host, for the planner. */
  memoryMib: number;
  vcpus: number;
  /** For how long a guest may take to shut down. */
  shutdownGraceUs: number;
  /** For so long what was sent before a gate was shut may still reach the storage. */
  storageSettleUs: number;
  /** Unfed for so long, the host's watchdog resets it; null: none is configured. */
  watchdogUs: number | null;
}

export const WATCHDOG_KEY = "watchdog";
/** Running for so long, a machine has recovered from whatever paused it. */
export const RELAPSE_FORGIVEN_US = 60_000_000;
export const LOOK_KEY = "copies-look";
const FORGOTTEN_AFTER_US = 30_000_000;

export interface HeldOrder {
  order: VmOrder;
  /** A start waits for it. */
  notBeforeUs: number;
}

/** All that is known of one machine here. */
export interface VmFacts {
  vm: VmId;
  record: VmRecord | null;
  /** As it is on disk. */
  saved: VmRecord | null;
  copy: { state: CopyState; placement: PlacementName | null; sinceUs: number } | null;
  /** The placement on which a master gave its word while the lease ran; null as soon as the lease lapses. */
  confirmed: PlacementName | null;
  wasOut: boolean;
  /** Its gate may be open until then at the latest: 0 when it was read back as shut. */
  openUntilUs: number;
  /** What the last renewal left open, and until when it surely stays so. */
  open: { network: boolean; storage: boolean };
  keptUntilUs: number;
  /** Since when nothing passes: what was sent before that is over `storageSettleUs` later. */
  quietSinceUs: number;
  /** Connections to its storage: `dirty` ones may hold bytes from before the gate was shut. */
  storage: "dirty" | "clean" | "in-use";
  /** The placement claimed in this life, and whether its one start was ordered. */
  begun: { placement: PlacementName; started: boolean } | null;
  /** The live migrations that were tried in this life, by the target's name: each once. */
  migrationTried: PlacementName | null;
  receiveTried: PlacementName | null;
  failure: CopyFailure | null;
  /** How often in a row it was found paused though nobody here had paused it, and when last. */
  relapses: { times: number; atUs: number } | null;
  /** The copy was destroyed; what is left of it is its connections. */
  destroyed: boolean;
  /** A live migration took it to this placement. */
  movedTo: PlacementName | null;
}

export interface VmFlight {
  id: number;
  step: VmStep;
  startedAtUs: number;
  /** A shut was ordered after it began. */
  overtaken: boolean;
}

interface Trouble {
  failures: number;
  retryAtUs: number;
  error: StepError;
}

/** All that is remembered between two turns. Opaque outside of this package; plain data. */
export interface VmHostState {
  config: VmHostConfig;
  incarnation: number;
  startedAtUs: number;
  grant: VmGrant | null;
  /** Grants stamped up to here are void. */
  voidUntilUs: number;
  adopted: PlacementName;
  adoptedView: ViewName;
  orders: Record<VmId, HeldOrder>;
  vms: Record<VmId, VmFacts>;
  copiesSeenAtUs: number | null;
  gatesSeen: boolean;
  copiesStale: boolean;
  storageGone: string[];
  /** Whether this life knows what an earlier one left armed. */
  watchdogLooked: boolean;
  /** Held by this life. */
  watchdog: { timeoutUs: number; fedAtUs: number } | null;
  /** Nobody feeds it: said once. */
  starving: boolean;
  nextStepId: number;
  flights: Record<string, VmFlight>;
  troubles: Record<string, Trouble>;
  sequence: number;
  lastReport: { content: string; atUs: number } | null;
  counters: Record<string, number>;
}

export type VmHostEffect =
  | { kind: "step"; id: number; key: string; step: VmStep }
  /** To the master, and to whoever else asks. */
  | { kind: "report"; report: VmReport };

/**
 * Starts a life of the process on the records that were saved. `incarnation` is higher than that of every earlier
 * life of this host, and is on disk before the first step.
 */
export function createVmHostState(
  config: VmHostConfig,
  records: readonly VmRecord[],
  incarnation: number,
  nowUs: number,
): VmHostState {
  const state: VmHostState = {
    config,
    incarnation,
    startedAtUs: nowUs,
    grant: null,
    voidUntilUs: nowUs,
    adopted: { term: 0, number: 0 },
    adoptedView: { term: 0, number: 0 },
    orders: {},
    vms: {},
    copiesSeenAtUs: null,
    gatesSeen: false,
    copiesStale: false,
    storageGone: [],
    watchdogLooked: false,
    watchdog: null,
    starving: false,
    nextStepId: 1,
    flights: {},
    troubles: {},
    sequence: 0,
    lastReport: null,
    counters: {},
  };
  for (const record of records) {
    state.vms[record.vm] = { ...newFacts(state, record.vm), record, saved: record };
  }
  return state;
}

export function newFacts(state: VmHostState, vm: VmId): VmFacts {
  return {
    vm,
    record: null,
    saved: null,
    copy: null,
    confirmed: null,
    wasOut: false,
    // A predecessor may have opened it; no lease is longer than a token.
    openUntilUs: state.startedAtUs + state.config.tokenUs,
    quietSinceUs: state.startedAtUs,
    open: { network: false, storage: false },
    keptUntilUs: 0,
    storage: "dirty",
    begun: null,
    migrationTried: null,
    receiveTried: null,
    failure: null,
    relapses: null,
    destroyed: false,
    movedTo: null,
  };
}

/** One call of the step: a private copy of the state, and what comes out of it. */
export interface VmTurn {
  state: VmHostState;
  nowUs: number;
  timing: Timing;
  effects: VmHostEffect[];
  reasons: Reason[];
  wakeAtUs: number;
}

export function beginVmTurn(state: VmHostState, nowUs: number): VmTurn {
  const vms: Record<VmId, VmFacts> = {};
  for (const [vm, facts] of Object.entries(state.vms)) vms[vm] = { ...facts };
  const flights: Record<string, VmFlight> = {};
  for (const [key, flight] of Object.entries(state.flights)) flights[key] = { ...flight };
  return {
    state: {
      ...state,
      vms,
      flights,
      orders: { ...state.orders },
      watchdog: state.watchdog === null ? null : { ...state.watchdog },
      troubles: { ...state.troubles },
      counters: { ...state.counters },
    },
    nowUs,
    timing: timingOf(state.config.tokenUs),
    effects: [],
    reasons: [],
    wakeAtUs: Number.MAX_SAFE_INTEGER,
  };
}

/** Asks to be called again at `atUs` at the latest. What is past was dealt with in this turn. */
export function wakeVmAt(turn: VmTurn, atUs: number): void {
  if (atUs > turn.nowUs) turn.wakeAtUs = Math.min(turn.wakeAtUs, atUs);
}

/** Whether this host's lease runs. `pending`: nothing was heard since the start, the last life's may still run. */
export function leaseVerdict(state: VmHostState, nowUs: number): "yes" | "no" | "pending" {
  const { grant } = state;
  if (grant === null) {
    const settling = nowUs < state.startedAtUs + state.config.tokenUs;
    return settling && state.voidUntilUs <= state.startedAtUs ? "pending" : "no";
  }
  return leaseEndUs(state) > nowUs ? "yes" : "no";
}

/** The end of the lease, never longer than one token from its stamp: more cannot be meant. */
export function leaseEndUs(state: VmHostState): number {
  const { grant, config } = state;
  if (grant === null || grant.out || grant.stampUs <= state.voidUntilUs) return 0;
  return Math.min(grant.nodeLeaseEndUs, grant.stampUs + config.tokenUs);
}

/** Orders a step unless one of its key is under way, or it failed lately. Says whether it was ordered. */
export function orderVmStep(turn: VmTurn, key: string, step: VmStep): boolean {
  const { state, nowUs } = turn;
  if (state.flights[key] !== undefined) return false;
  const trouble = state.troubles[`${key}/${step.kind}`];
  if (trouble !== undefined && trouble.retryAtUs > nowUs) {
    wakeVmAt(turn, trouble.retryAtUs);
    return false;
  }
  const id = state.nextStepId;
  state.nextStepId += 1;
  state.flights[key] = { id, step, startedAtUs: nowUs, overtaken: false };
  turn.effects.push({ kind: "step", id, key, step });
  return true;
}

export function noteVmTrouble(turn: VmTurn, key: string, step: VmStep, error: StepError): void {
  const name = `${key}/${step.kind}`;
  const failures = (turn.state.troubles[name]?.failures ?? 0) + 1;
  const { retryFirstUs, retryMostUs } = turn.timing;
  const waitUs = Math.min(retryMostUs, retryFirstUs * 2 ** Math.min(failures - 1, 12));
  turn.state.troubles[name] = { failures, retryAtUs: turn.nowUs + waitUs, error };
  if (failures > 1) return;
  const facts = { step: step.kind, subject: key, remedy: error.hint };
  turn.reasons.push({ code: error.code, message: error.message, facts });
}

/** What was not tried again when it could have been is not wanted any more. The watchdog's last until it is not needed. */
export function forgetTroubles({ state, nowUs }: VmTurn): void {
  for (const [name, { retryAtUs }] of Object.entries(state.troubles)) {
    const key = name.slice(0, name.lastIndexOf("/"));
    const isOver = state.flights[key] === undefined && nowUs > retryAtUs + FORGOTTEN_AFTER_US;
    if (isOver && key !== WATCHDOG_KEY) delete state.troubles[name];
  }
}

export function countVm(turn: VmTurn, name: string): void {
  turn.state.counters[name] = (turn.state.counters[name] ?? 0) + 1;
}

export function isGateShut(facts: VmFacts, nowUs: number): boolean {
  return nowUs >= facts.openUntilUs;
}

export function samePlacement(left: PlacementName | null, right: PlacementName | null): boolean {
  if (left === null || right === null) return false;
  return left.term === right.term && left.number === right.number;
}
