import type { BallotName, CarriedBallot, ConfigRef, NodeId, PeerState, Reason } from "@quorate/contracts";
import type { MembershipConfig } from "./configuration.ts";
import type { Hears } from "./heartbeat.ts";
import type { OwnHealth } from "./own-health.ts";
import type { ReplayWindow } from "./replay-window.ts";

/** An instant, and how much blindness of ours had added up by then (see `OwnHealth.blindUs`). */
export interface Instant {
  readonly atUs: number;
  readonly blindUs: number;
}

/** One direction pair between us and a peer on one ring. */
export interface LinkState {
  readonly ring: number;
  /** The newest datagram of the peer on this ring. */
  readonly heard: Instant | null;
  /** The newest instant of which the peer says that it heard our present incarnation on this ring. */
  readonly confirmed: Instant | null;
  readonly window: ReplayWindow;
  /** Whether it was last said to carry both ways. */
  readonly up: boolean;
}

export interface PeerRecord {
  readonly node: NodeId;
  readonly state: PeerState;
  readonly sinceUs: number;
  readonly reason: Reason;
  /** When we began to look for it, or it came back. */
  readonly watched: Instant;
  /** Since when it is not joined; null while it is. */
  readonly notJoinedSinceUs: number | null;
  readonly incarnation: number | null;
  readonly bootId: string | null;
  readonly lastHeardUs: number | null;
  /** The goodbye of this incarnation was heard: whatever else it sent is late. */
  readonly saidGoodbye: boolean;
  /** The newest ballot passed on. */
  readonly newestBallot: BallotName | null;
  readonly config: ConfigRef | null;
  /** What the peer last said to hear, for the reasons we give. */
  readonly hears: readonly Hears[];
  /** Instants at which it ceased to be joined, newest last, within 60 T. */
  readonly losses: readonly number[];
  /** The last refused datagram that claimed to be of this peer: unauthenticated, so only ever a hint. */
  readonly refused: { readonly code: string; readonly atUs: number } | null;
  /** Sorted by ring. */
  readonly links: readonly LinkState[];
  /** What of this record the other services were last told; another one is told at once. */
  readonly told: string;
}

/** Heartbeats that may still go out in this burst. */
export interface SendBudget {
  readonly tokens: number;
  readonly filledAtUs: number;
}

export interface MembershipState {
  readonly self: NodeId;
  readonly bootId: string;
  readonly incarnation: number;
  readonly config: MembershipConfig;
  readonly health: OwnHealth;
  /** Sorted by node. */
  readonly peers: readonly PeerRecord[];
  /** What our evaluator says to have stored. */
  readonly storedConfig: ConfigRef | null;
  /** A ballot that waits for the budget; only the newest is kept. */
  readonly waitingBallot: { readonly ballot: CarriedBallot; readonly stampUs: number } | null;
  readonly newestOwnBallot: BallotName | null;
  /** When the newest own ballot came, and whether it says that this node leaves. */
  readonly lastBallotUs: number | null;
  readonly ballotSaysLeaving: boolean;
  readonly lastSentUs: number;
  readonly lastPublishedUs: number;
  readonly budget: SendBudget;
  /** Instants at which the own incarnation was lifted, within 60 T. */
  readonly lifts: readonly number[];
  /** What is wrong with our sockets, told in the reason of every peer not heard; null when nothing is. */
  readonly ownProblem: Reason | null;
  /** Another machine uses our node id; null when none does. */
  readonly identityProblem: Reason | null;
  readonly leaving: boolean;
  readonly counters: Counters;
}

export const COUNTER_NAMES = [
  "heartbeats_sent",
  "heartbeats_accepted",
  "ballots_sent",
  "ballots_heard",
  "ballots_repeated",
  "ballots_dropped_stale",
  "ballots_refused",
  "sends_delayed",
  "peer_restarts",
  "refused_after_goodbye",
  "refused_boot_mismatch",
  "refused_own_node",
  "refused_replayed",
  "refused_stale_incarnation",
  "refused_unknown_node",
  "refused_unknown_ring",
  "incarnation_lifted",
  "loop_late",
  "routes_broken",
  "transitions",
] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Readonly<Record<CounterName, number>>;

export function noCounters(): Counters {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<CounterName, number>;
}

export function counted(state: MembershipState, name: CounterName, by = 1): MembershipState {
  return { ...state, counters: { ...state.counters, [name]: state.counters[name] + by } };
}
