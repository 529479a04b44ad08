import type { NodeId, Reason } from "@quorate/contracts";
import type { PlanPolicy } from "./planner.ts";
import type { PlacementName, ViewName, VmId, VmOrder, VmRecord, VmReport, VmStatement } from "./words.ts";

export interface RelocatorConfig {
  node: NodeId;
  /** The node list, sorted; this node too. */
  nodes: NodeId[];
  tokenUs: number;
  /** After a fence: for as long what the fenced host sent may still reach the storage. */
  storageSettleUs: number;
  /** After a cold start: so long the hosts not yet seen are waited for. */
  bootGraceUs: number;
  /** When this host's kernel started, on its CLOCK_MONOTONIC. */
  bootedAtUs: number;
  /** Hosts that a power device can switch off. */
  devices: readonly NodeId[];
  /** Changes whenever anything of a device does. */
  devicesKey: string;
  policy: PlanPolicy;
}

/** The evaluator's judgement, as far as it concerns machines. */
export interface Judgement {
  stampUs: number;
  term: number;
  master: boolean;
  masterLeaseEndUs: number;
  view: ViewName;
  members: NodeId[];
  /** Hosts outside the view. `atUs` stays the same until the host is a member again. */
  fences: { node: NodeId; verdict: "yes" | "pending"; atUs: number | null }[];
  /** Automation is off: nothing is given to anybody anew. */
  disarmed: boolean;
}

export interface Moving {
  to: NodeId;
  target: PlacementName;
  sinceUs: number;
  /** Since when the source says that it is over there; null: it does not yet. */
  leftAtUs: number | null;
}

/** What this reign knows and wants of one machine. Absent until it is sure whose it is. */
export interface Entry {
  vm: VmId;
  owner: NodeId | null;
  /** The newest placement given or recognised. */
  placement: PlacementName;
  moving: Moving | null;
  /** Shut down where it is, to be started there if it still can be. */
  leavingFor: NodeId | null;
  /** Its last live move was broken off: one that may is moved by a restart. */
  moveBroken: boolean;
  givenAtUs: number;
  /** The owner's start waits until then, on this clock. */
  notBeforeUs: number;
  /** Where it came to nothing, newest last. */
  tries: NodeId[];
  failures: number;
  retryAtUs: number;
}

/** What a host was told of one machine: until it is known to have taken the withdrawal, it may act on it. */
export interface Given {
  placement: PlacementName;
  withdrawnBy: number | null;
}

export interface Told {
  key: string;
  number: number;
  incarnation: number;
  view: ViewName;
  sentAtUs: number;
  orders: VmOrder[];
  given: Record<VmId, Given>;
}

/** Somebody vouches for it that a fenced host is off: good for this mastership, while the host is out and unheard. */
export interface OffProof {
  witness: "operator" | "device";
  atUs: number;
  /** Names the removal: a host that came back and was removed again has another fence. */
  fencedAtUs: number;
}

/** What was asked of a host's power device so far. */
export interface OffAttempt {
  /** Names the attempt that is under way; null between two. */
  id: number | null;
  failures: number;
  retryAtUs: number;
  /** What the device said when it failed last. */
  why: string | null;
}

/** One mastership, as long as the process lives. Nothing of it is durable: it is asked together anew. */
export interface Reign {
  term: number;
  /** An answer counts when the host has adopted this number or a higher one. */
  startNumber: number;
  counter: number;
  sinceUs: number;
  table: Record<VmId, Entry>;
  told: Record<NodeId, Told>;
  /** Moves asked for and not begun. */
  moves: Record<VmId, { to: NodeId; askedAtUs: number }>;
  /** Why the newest move that was asked for came to nothing. */
  refusals: Record<VmId, { to: NodeId; why: string }>;
  /** Hosts that are off: what no gate holds is over there too. */
  proofs: Record<NodeId, OffProof>;
  attempts: Record<NodeId, OffAttempt>;
  replica: "asked" | "here" | "none";
  /** The first placing of this mastership is over; its marker is written. */
  relocated: boolean;
}

export interface RelocatorState {
  config: RelocatorConfig;
  judgement: Judgement | null;
  /** The newest of each host, of whatever term. */
  reports: Record<NodeId, VmReport>;
  /** Each host's inventory as the replica has it. */
  replica: { node: NodeId; record: VmRecord }[];
  /** The `relocated` marker: this mastership has moved here before. */
  marker: boolean;
  /** Heard since this host's kernel started. */
  seen: NodeId[];
  /** When the newest report of each came in, on this clock. */
  reportedAtUs: Record<NodeId, number>;
  /** When each host was heard last, by heartbeat or by report, on this clock. */
  heardAtUs: Record<NodeId, number>;
  reign: Reign | null;
  /** Why each machine that should run does not. */
  blocked: Record<VmId, Reason>;
}

export type RelocatorEffect =
  | { kind: "statement"; statement: VmStatement }
  /** Fetch the newest replica of all inventories, or say that none can be reached. */
  | { kind: "load-replica"; term: number }
  /** Have the host's device switch it off, while `isOffWanted` says so; answered by `power-off`. */
  | { kind: "power-off"; node: NodeId; attempt: number }
  /** Everything that the move of the mastership asked for was ordered: write the marker. */
  | { kind: "relocated"; term: number };

export interface RelocatorTurn {
  state: RelocatorState;
  reign: Reign;
  judgement: Judgement;
  /** Everybody who may have a copy: the node list, and whom the evaluator counts while it changes. Sorted. */
  nodes: NodeId[];
  nowUs: number;
  effects: RelocatorEffect[];
  reasons: Reason[];
  wakeAtUs: number;
}

export function createRelocatorState(config: RelocatorConfig): RelocatorState {
  return {
    config,
    judgement: null,
    reports: {},
    replica: [],
    marker: false,
    seen: [],
    reportedAtUs: {},
    heardAtUs: {},
    reign: null,
    blocked: {},
  };
}

/** A private copy of what one turn may change. */
export function copyReign(reign: Reign): Reign {
  const table: Reign["table"] = {};
  for (const [vm, entry] of Object.entries(reign.table)) table[vm] = { ...entry };
  return {
    ...reign,
    table,
    told: { ...reign.told },
    moves: { ...reign.moves },
    refusals: { ...reign.refusals },
    proofs: { ...reign.proofs },
    attempts: { ...reign.attempts },
  };
}

/** Asks to be called again at `atUs` at the latest. What is past was dealt with in this turn. */
export function wakeRelocatorAt(turn: RelocatorTurn, atUs: number): void {
  if (atUs > turn.nowUs) turn.wakeAtUs = Math.min(turn.wakeAtUs, atUs);
}

/** Says once why a machine waits, and again when the reason changes. */
export function block(turn: RelocatorTurn, vm: VmId, code: string, message: string, node?: NodeId): void {
  const known = turn.state.blocked[vm];
  const facts = node === undefined ? { vm } : { vm, node };
  const reason = { code, message, facts };
  turn.state.blocked[vm] = reason;
  if (known?.code !== code || known.message !== message) turn.reasons.push(reason);
}
