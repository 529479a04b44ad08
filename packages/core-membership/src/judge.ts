import type { NodeId, PeerState, Reason } from "@quorate/contracts";
import type { Instant, LinkState, MembershipState, PeerRecord } from "./state.ts";

/**
 * Time since `instant` in which we did listen: what passed while our own loop slept is not the peer's silence.
 * Time that no tick has accounted for yet counts only as far as a tick in time would have come: whoever is
 * judged by another input of a thawed process (one datagram, a new configuration) is not accused by its sleep.
 */
function silenceSince(instant: Instant, nowUs: number, state: MembershipState): number {
  const { lastTickUs, nextTickUs, blindUs } = state.health;
  const listenedUntilUs = Math.max(lastTickUs, Math.min(nowUs, nextTickUs + state.config.timing.tickUs));
  return Math.max(0, listenedUntilUs - instant.atUs - (blindUs - instant.blindUs));
}

export interface LinkVerdict {
  readonly ring: number;
  readonly hearsUs: number;
  readonly heardUs: number;
  /** Each way within the suspect limit. */
  readonly hears: boolean;
  readonly heard: boolean;
}

export function judgeLink(state: MembershipState, link: LinkState, nowUs: number): LinkVerdict {
  const limitUs = state.config.timing.suspectUs * state.health.patience;
  const silence = (instant: Instant | null): number =>
    instant === null ? Number.POSITIVE_INFINITY : silenceSince(instant, nowUs, state);
  const hearsUs = silence(link.heard);
  const heardUs = silence(link.confirmed);
  return { ring: link.ring, hearsUs, heardUs, hears: hearsUs <= limitUs, heard: heardUs <= limitUs };
}

export interface Verdict {
  readonly state: PeerState;
  readonly reason: Reason;
}

const ms = (us: number): number => Math.round(us / 1000);

/** One function for every state a peer may be in; the first rule that fits decides. */
export function judgePeer(state: MembershipState, peer: PeerRecord, nowUs: number): Verdict {
  const { timing } = state.config;
  const deadUs = timing.deadUs * state.health.patience;
  const links = peer.links.map((link) => judgeLink(state, link, nowUs));
  if (peer.saidGoodbye) return left(peer);
  const working = links.filter((link) => link.hears && link.heard);
  if (working.length > 0) {
    return joined(
      peer,
      working.map((link) => link.ring),
    );
  }
  const hearsUs = Math.min(Number.POSITIVE_INFINITY, ...links.map((link) => link.hearsUs));
  const audible = links.filter((link) => link.hears);
  const watchedUs = silenceSince(peer.watched, nowUs, state);
  if (hearsUs === Number.POSITIVE_INFINITY) {
    return watchedUs > deadUs ? neverHeard(state, peer, nowUs) : awaited(peer);
  }
  if (hearsUs > deadUs) return silent(state, peer, nowUs, hearsUs);
  if (audible.length > 0) {
    const unheardUs = Math.min(watchedUs, ...audible.map((link) => link.heardUs));
    return unheardUs > deadUs ? unheard(peer, unheardUs) : unanswered(peer);
  }
  return missing(peer, hearsUs);
}

function left(peer: PeerRecord): Verdict {
  return {
    state: "left",
    reason: { code: "goodbye", message: `Node ${peer.node} said goodbye.`, facts: { node: peer.node } },
  };
}

function joined(peer: PeerRecord, rings: readonly number[]): Verdict {
  return {
    state: "joined",
    reason: {
      code: "heard-both-ways",
      message: `Node ${peer.node} and this node hear each other on ring ${rings.join(" and ")}.`,
      facts: { node: peer.node, rings: rings.join(","), ...flapFacts(peer) },
    },
  };
}

function awaited(peer: PeerRecord): Verdict {
  return {
    state: "suspect",
    reason: {
      code: "not-heard-yet",
      message: `Node ${peer.node} has not been heard yet.`,
      facts: { node: peer.node },
    },
  };
}

function neverHeard(state: MembershipState, peer: PeerRecord, nowUs: number): Verdict {
  return {
    state: "failed",
    reason: withHints(state, peer, nowUs, "never-heard", `Node ${peer.node} was never heard.`, {}),
  };
}

function silent(state: MembershipState, peer: PeerRecord, nowUs: number, silentUs: number): Verdict {
  return {
    state: "failed",
    reason: withHints(
      state,
      peer,
      nowUs,
      "silent",
      `Node ${peer.node} has been silent for longer than the token of ${ms(state.config.timing.tokenUs)} ms.`,
      { silentMs: ms(silentUs), patience: Math.round(state.health.patience * 100) / 100, ...flapFacts(peer) },
    ),
  };
}

function unheard(peer: PeerRecord, unheardUs: number): Verdict {
  return {
    state: "one-way",
    reason: {
      code: "not-heard-by-peer",
      message: `Node ${peer.node} is heard but does not hear this node.`,
      facts: { node: peer.node, unheardMs: ms(unheardUs), ...flapFacts(peer) },
    },
  };
}

function unanswered(peer: PeerRecord): Verdict {
  return {
    state: "suspect",
    reason: {
      code: "answer-missing",
      message: `Node ${peer.node} is heard; it has not said lately that it hears this node.`,
      facts: { node: peer.node },
    },
  };
}

function missing(peer: PeerRecord, silentUs: number): Verdict {
  return {
    state: "suspect",
    reason: {
      code: "heartbeats-missing",
      message: `Heartbeats of node ${peer.node} are missing.`,
      facts: { node: peer.node, silentMs: ms(silentUs) },
    },
  };
}

/** Three losses within 60 T are flapping; below that the figure only confuses. */
const FLAPPING_FROM = 3;

export function isFlapping(peer: PeerRecord): boolean {
  return peer.losses.length >= FLAPPING_FROM;
}

function flapFacts(peer: PeerRecord): Record<string, number> {
  return isFlapping(peer) ? { flaps: peer.losses.length } : {};
}

/** Adds to "not heard" what else is known: a fault of our own, a wrong key, others who do hear the peer. */
function withHints(
  state: MembershipState,
  peer: PeerRecord,
  nowUs: number,
  code: string,
  message: string,
  facts: Record<string, string | number>,
): Reason {
  const own = state.ownProblem ?? state.identityProblem;
  if (own !== null) {
    return { code: own.code, message: `${message} ${own.message}`, facts: { ...facts, node: peer.node } };
  }
  const { refused } = peer;
  if (refused !== null && nowUs - refused.atUs <= 10 * state.config.timing.tokenUs) {
    return {
      code,
      message: `${message} Datagrams that claim to be its own are refused: ${refused.code}.`,
      facts: { ...facts, node: peer.node, refused: refused.code },
    };
  }
  const witnesses = heardBy(state, peer.node, nowUs);
  return {
    code,
    message:
      witnesses.length === 0
        ? message
        : `${message} It is heard by ${witnesses.length > 1 ? "nodes" : "node"} ${witnesses.join(", ")}.`,
    facts: { ...facts, node: peer.node, ...(witnesses.length > 0 ? { heardBy: witnesses.join(",") } : {}) },
  };
}

/**
 * Joined peers which heard `node` within the suspect limit, half a token after this node last did: what they heard
 * before it fell silent for all is no witness.
 */
function heardBy(state: MembershipState, node: NodeId, nowUs: number): NodeId[] {
  const limitUs = state.config.timing.suspectUs;
  return state.peers
    .filter((peer) => peer.node !== node && peer.state === "joined" && peer.lastHeardUs !== null)
    .filter((peer) =>
      peer.hears.some(
        (hears) =>
          hears.node === node &&
          hears.links.some((link) => link.ageUs + (nowUs - (peer.lastHeardUs ?? 0)) <= limitUs),
      ),
    )
    .map((peer) => peer.node);
}
