import type { Peer, PeersMessage } from "@quorate/contracts";
import { judgeLink } from "./judge.ts";
import type { Outcome } from "./outcome.ts";
import { lossPercent } from "./replay-window.ts";
import type { MembershipState, PeerRecord } from "./state.ts";

function peerOf(state: MembershipState, peer: PeerRecord, nowUs: number): Peer {
  return {
    node: peer.node,
    state: peer.state,
    sinceUs: peer.sinceUs,
    lastHeardUs: peer.lastHeardUs,
    bootId: peer.bootId,
    incarnation: peer.incarnation,
    config: peer.config,
    links: peer.links.map((link) => {
      const { hears, heard } = judgeLink(state, link, nowUs);
      return { ring: link.ring, hears, heard, lossPercent: hears ? lossPercent(link.window) : 100 };
    }),
    reason: peer.reason,
  };
}

/**
 * The complete present statement to the other services of the node. Its stamp is the last tick: whatever had
 * come by then has been read and passed on. The evaluator holds silence against a peer only up to there, or a
 * thawed node would take its own unread queue for the death of everybody.
 */
export function peersMessage(state: MembershipState, nowUs: number): PeersMessage {
  return {
    stampUs: state.health.lastTickUs,
    node: state.self,
    bootId: state.bootId,
    incarnation: state.incarnation,
    patience: Math.round(state.health.patience * 1000) / 1000,
    peers: state.peers.map((peer) => peerOf(state, peer, nowUs)),
  };
}

/** What of a peer is news when it differs; ages and loss are not. */
export function toldOf(state: MembershipState, peer: PeerRecord, nowUs: number): string {
  const { config } = peer;
  let told = `${peer.state}|${peer.sinceUs}|${peer.reason.code}|${peer.incarnation}|${peer.bootId}`;
  if (config !== null) told += `|${config.term}.${config.version}.${config.digest}`;
  for (const link of peer.links) {
    const { hears, heard } = judgeLink(state, link, nowUs);
    told += `|${link.ring}${hears ? "h" : "-"}${heard ? "H" : "-"}`;
  }
  return told;
}

/** Tells the other services everything, now. */
export function publish(state: MembershipState, nowUs: number): Outcome {
  const peers = state.peers.map((peer) => ({ ...peer, told: toldOf(state, peer, nowUs) }));
  const next = { ...state, peers, lastPublishedUs: nowUs };
  return {
    state: next,
    effects: [{ kind: "publish-peers", message: peersMessage(next, nowUs) }],
    reasons: [],
  };
}
