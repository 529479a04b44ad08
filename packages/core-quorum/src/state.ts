import {
  type Ballot,
  type BallotName,
  type ClusterConfig,
  type ConfigRef,
  type EvaluatorState,
  type GrantMessage,
  type NodeId,
  type PeerState,
  type QuorumMessage,
  type Reason,
  type ReportMessage,
  type Voters,
  votersOf,
} from "@quorate/contracts";
import type { Electorates } from "./quorum.ts";
import { type Timing, timingOf } from "./timing.ts";

/** What this process knows of one other node. Lost at a restart, on purpose. */
export type PeerRecord = {
  ballot: Ballot;
  /** First receipt of that ballot, own clock. */
  receivedAtUs: number;
};

/** An order to give the mastership away: first the gate is shut and read back, then the term is released. */
export type Closing = {
  /** Null when nobody is named (a clean stop with no able successor). */
  successor: NodeId | null;
  reason: Reason;
};

export type Candidacy = {
  term: number;
  sinceUs: number;
  /** The first step after the one that began it: what that one wrote and sent is out. */
  askedAtUs?: number;
};

/** Volatile knowledge; everything that must survive a crash is in `durable`. */
export type QuorumState = {
  durable: EvaluatorState;
  readonly bootId: string;
  readonly startedAtUs: number;
  /** Until then nothing is sent: the promises of the last boot may still run. */
  silentUntilUs: number;
  /** A restarted master sends nothing until it knows whether its lease lapsed while it was away. */
  resuming: boolean;
  peers: Map<NodeId, PeerRecord>;
  /** Membership's word on each peer, and since when. */
  peerStates: Map<NodeId, { state: PeerState; sinceUs: number }>;
  peersStampUs: number;
  /** Membership's, see `own-health.ts` there. */
  patience: number;
  /** The last grant given to each node, own clock. */
  lastGrants: Map<NodeId, { name: BallotName; atUs: number }>;
  /** End of the promise to `durable.follows` when that is another node. */
  promiseUntilUs: number;
  /** End of the promise to oneself: no lease of ours can be in force after it. */
  selfPromiseUntilUs: number;
  /** Lease end that each voter's acknowledgement carries, own clock. */
  receivedBy: Map<NodeId, number>;
  grantedBy: Map<NodeId, number>;
  /** Acknowledgements of ballots built before this do not count (the host's clock was suspended). */
  voidBeforeUs: number;
  /** The term of which this node is master, while it is. */
  wonTerm: number | null;
  masterLeaseEndUs: number;
  nodeLeaseEndUs: number;
  preVote: Candidacy | null;
  preVoteFor: { node: NodeId; term: number } | null;
  candidacy: Candidacy | null;
  /** No standing before this. */
  standNotBeforeUs: number;
  /** When the conditions to stand came true; the rank's delay counts from it. */
  eligibleSinceUs: number | null;
  closing: Closing | null;
  leaving: boolean;
  report: ReportMessage | null;
  /** What the config-distributor last said it has on its disk; null until it has said anything. */
  register: ConfigRef | null;
  /** At the master: each absent node, when every adopter's last grant to it was, and the verdict. */
  fencing: Map<NodeId, { reports: Map<NodeId, number>; fencedAtUs: number | null; ownReport: boolean }>;
  flaps: Map<NodeId, { count: number; lastUs: number }>;
  committed: ConfigRef | null;
  /** When the change in flight was seen committed. */
  jointCommittedAtUs: number | null;
  disarmedUntil: string | null;
  disarmed: boolean;
  /** Two documents under one (term, version): somebody initialised nodes from different files. */
  forkedWith: NodeId | null;
  /** The boot id of this start is not on disk yet. */
  unsaved: boolean;
  lastNameUs: number;
  /** When the newest ballot of this process left, and when the next unchanged one is due. */
  lastBallotUs: number;
  nextBallotUs: number;
  /** Ballots go out at the quarter of a heartbeat until then: see `pace.ts`. */
  urgentUntilUs: number;
  /** Ballots go out at the double pace until then. */
  restlessUntilUs: number;
  lastBallot: Ballot | null;
  lastGrantContent: string;
  /** What the actuator was told last. */
  lastGrant: { atUs: number; masterLeaseEndUs: number; nodeLeaseEndUs: number };
  lastQuorumContent: string;
  nextQuorumUs: number;
  random: number;
  /** Why this node does not stand for master now; null when it may or is. */
  hindrance: Reason | null;
  /** The newest transition. */
  reason: Reason;
  /** Nodes to which the mastership was handed for inability, in this inability: once to each in turn. */
  handedTo: Set<NodeId>;
  /** Since when this master could serve without a break. */
  ableSinceUs: number | null;
  /** When the present mastership was won. */
  wonAtUs: number;
  /** Boots of each peer that are over: a late ballot of one is not heard. */
  retiredBoots: Map<NodeId, string[]>;
};

export type QuorumInput = {
  nowUs: number;
  /** All local messages published before this instant have been handed in; a thawed process has not seen them yet. */
  drainedUs: number;
} & (
  | { kind: "tick" }
  | { kind: "heard"; ballot: Ballot; receivedAtUs: number }
  | {
      kind: "peers";
      stampUs: number;
      peers: readonly { node: NodeId; state: PeerState; sinceUs: number }[];
      /** How far membership stretches its limits because the node's own loop was late; 1 is healthy. */
      patience?: number;
    }
  | { kind: "report"; report: ReportMessage }
  | { kind: "stored"; ref: ConfigRef; from: NodeId | null; config: ClusterConfig }
  | { kind: "disarmed"; disarmed: boolean; until: string | null }
  | { kind: "move"; target: NodeId }
  | { kind: "drain" }
  /** CLOCK_BOOTTIME jumped against CLOCK_MONOTONIC: the host was suspended, leases may have lapsed unseen. */
  | { kind: "suspended-host"; jumpUs: number }
);

/** In this order: persist, then send, then act. */
export type QuorumEffect =
  | { kind: "persist"; state: EvaluatorState }
  | { kind: "ballot"; ballot: Ballot }
  | { kind: "grant"; grant: GrantMessage }
  | { kind: "quorum"; message: QuorumMessage };

export type QuorumResult = {
  state: QuorumState;
  effects: QuorumEffect[];
  reasons: Reason[];
  /** Call again with a tick no later than this. */
  wakeAtUs: number;
  /** Why an operator's order was refused. */
  refusal: Reason | null;
};

/** The state that `quorate init` writes: all nodes of the file, none of them ever seen. */
export function initialState(config: ClusterConfig, ref: ConfigRef, node: NodeId): EvaluatorState {
  return {
    format: 1,
    node,
    bootId: null,
    term: 0,
    follows: null,
    overTerm: 0,
    successor: null,
    tried: [],
    stickyVersion: null,
    view: { term: 0, number: 0, members: config.nodes.map(({ id }) => ({ node: id, bootId: null })) },
    out: false,
    amnesic: false,
    amnesicSinceVersion: null,
    stored: ref,
    voters: votersOf(config),
    electorateRef: ref,
    jointWith: [],
    generation: 0,
  };
}

/** The state of a node that lost its own: it may listen, and nothing else, until it is re-admitted. */
export function amnesicState(config: ClusterConfig, ref: ConfigRef, node: NodeId): EvaluatorState {
  const state = initialState(config, ref, node);
  return { ...state, view: { term: 0, number: 0, members: [] }, out: true, amnesic: true };
}

/** Starts a process on what it remembers. `seed` makes its random waits differ from its peers'. */
export function startQuorum(
  durable: EvaluatorState,
  world: { nowUs: number; bootId: string; seed: number },
): QuorumState {
  const timing = timingOf(widestToken(durable));
  const newBoot = durable.bootId !== world.bootId;
  const ownTerm = durable.follows === durable.node && durable.overTerm < durable.term;
  return {
    durable: {
      ...durable,
      bootId: world.bootId,
      // A reboot ends every mastership: its gates went with the kernel.
      overTerm: newBoot && ownTerm ? durable.term : durable.overTerm,
    },
    bootId: world.bootId,
    startedAtUs: world.nowUs,
    silentUntilUs: newBoot || durable.amnesic ? world.nowUs + timing.promiseUs : world.nowUs,
    resuming: !newBoot && ownTerm,
    peers: new Map(),
    peerStates: new Map(),
    peersStampUs: 0,
    patience: 1,
    lastGrants: new Map(),
    promiseUntilUs: world.nowUs + timing.promiseUs,
    selfPromiseUntilUs: world.nowUs + timing.promiseUs,
    receivedBy: new Map(),
    grantedBy: new Map(),
    voidBeforeUs: 0,
    wonTerm: null,
    masterLeaseEndUs: 0,
    nodeLeaseEndUs: 0,
    preVote: null,
    preVoteFor: null,
    candidacy: null,
    standNotBeforeUs: 0,
    eligibleSinceUs: null,
    closing: null,
    leaving: false,
    report: null,
    fencing: new Map(),
    flaps: new Map(),
    committed: null,
    // A change in flight waits its full time again after a restart.
    jointCommittedAtUs: null,
    disarmedUntil: null,
    disarmed: false,
    forkedWith: null,
    unsaved: true,
    lastNameUs: 0,
    lastBallotUs: 0,
    nextBallotUs: 0,
    urgentUntilUs: 0,
    restlessUntilUs: 0,
    lastBallot: null,
    lastGrantContent: "",
    lastGrant: { atUs: 0, masterLeaseEndUs: 0, nodeLeaseEndUs: 0 },
    lastQuorumContent: "",
    nextQuorumUs: 0,
    random: world.seed >>> 0,
    hindrance: null,
    register: null,
    handedTo: new Set(),
    ableSinceUs: null,
    wonAtUs: world.nowUs,
    retiredBoots: new Map(),
    reason: { code: "STARTED", message: "The process started and has not heard from a quorum yet." },
  };
}

function widestToken(durable: EvaluatorState): number {
  let { tokenMs } = durable.voters;
  for (const voters of durable.jointWith) tokenMs = Math.max(tokenMs, voters.tokenMs);
  return tokenMs;
}

/** While a change of the token is in flight, promises last by the longest and leases by the shortest of them. */
export function promiseTiming(state: QuorumState): Timing {
  return timingOf(widestToken(state.durable));
}

export function leaseTiming(state: QuorumState): Timing {
  const { voters, jointWith } = state.durable;
  let { tokenMs } = voters;
  for (const other of jointWith) tokenMs = Math.min(tokenMs, other.tokenMs);
  return timingOf(tokenMs);
}

export function electoratesOf(state: QuorumState): Electorates {
  return [state.durable.voters, ...state.durable.jointWith];
}

export function votersEntry(
  voters: Voters,
  node: NodeId,
): { id: NodeId; prio: number; votes: number } | undefined {
  return voters.nodes.find((entry) => entry.id === node);
}

/** Changes what is durable; the step persists it before anything else leaves. */
export function remember(state: QuorumState, change: Partial<EvaluatorState>): void {
  state.durable = { ...state.durable, ...change };
}
