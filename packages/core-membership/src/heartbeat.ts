import type { CarriedBallot, ConfigRef, NodeId } from "@quorate/contracts";

/** What the sender hears of one peer. */
export interface Hears {
  readonly node: NodeId;
  /** Which incarnation of the peer: a statement about an earlier one says nothing about the present one. */
  readonly incarnation: number;
  /** Sorted by ring; `ageUs` is the time since the newest datagram, on the sender's clock. */
  readonly links: readonly { readonly ring: number; readonly ageUs: number }[];
}

/** The sealed content of one datagram. The envelope repeats node and incarnation in the clear, authenticated. */
export interface Heartbeat {
  readonly cluster: string;
  readonly node: NodeId;
  readonly incarnation: number;
  readonly bootId: string;
  /** The sender is going away for good; nothing of this incarnation follows. */
  readonly goodbye: boolean;
  /** What the sender's evaluator says to have stored; null until it said so. */
  readonly config: ConfigRef | null;
  /** Sorted by node. */
  readonly hears: readonly Hears[];
  /** Only ever a ballot that was not sent before; null when the evaluator is silent. */
  readonly ballot: CarriedBallot | null;
}

/** What stands in the clear on every datagram. All of it is authenticated, none of it is believed before. */
export interface Envelope {
  readonly node: NodeId;
  readonly incarnation: number;
  readonly ring: number;
  /** Per sender, incarnation and ring; starts at 1 and rises by one with every datagram. */
  readonly counter: number;
}
