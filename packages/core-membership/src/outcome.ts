import type { HeardMessage, NodeId, PeerState, PeersMessage, Reason } from "@quorate/contracts";
import type { Heartbeat } from "./heartbeat.ts";
import type { MembershipState } from "./state.ts";

/** What the shell has to do, in this order. */
export type MembershipEffect =
  /** Make durable before anything after it in the list is done. */
  | { readonly kind: "persist"; readonly incarnation: number }
  /** Seal once per ring, send to every peer on it. */
  | { readonly kind: "send"; readonly heartbeat: Heartbeat }
  | { readonly kind: "publish-heard"; readonly message: HeardMessage }
  | { readonly kind: "publish-peers"; readonly message: PeersMessage }
  | {
      readonly kind: "peer-changed";
      readonly node: NodeId;
      readonly old: PeerState;
      readonly new: PeerState;
      readonly reason: Reason;
    }
  /** A link began or ceased to carry both ways. */
  | {
      readonly kind: "link-changed";
      readonly node: NodeId;
      readonly ring: number;
      readonly up: boolean;
      readonly reason: Reason;
    }
  /** The peer is back after an outage: its half-dead TCP routes only delay the bus. */
  | { readonly kind: "break-route"; readonly node: NodeId };

export interface Outcome {
  readonly state: MembershipState;
  readonly effects: readonly MembershipEffect[];
  readonly reasons: readonly Reason[];
}

export function unchanged(state: MembershipState): Outcome {
  return { state, effects: [], reasons: [] };
}

/**
 * Runs the next stage on what the last one left, adding up effects and reasons.
 * Not called `then`: a module that exports that is mistaken for a promise.
 */
export function andThen(outcome: Outcome, stage: (state: MembershipState) => Outcome): Outcome {
  const next = stage(outcome.state);
  return {
    state: next.state,
    effects: [...outcome.effects, ...next.effects],
    reasons: [...outcome.reasons, ...next.reasons],
  };
}
