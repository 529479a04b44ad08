import type { CarriedBallot, NodeId, Reason } from "@quorate/contracts";
import { assertNever } from "@quorate/contracts";
import type { MembershipConfig } from "./configuration.ts";
import type { Envelope, Heartbeat } from "./heartbeat.ts";
import { judgeLink, judgePeer } from "./judge.ts";
import { nextTickUs } from "./look.ts";
import { healthyAt, tickHealth } from "./own-health.ts";
import { type MembershipEffect, type Outcome, andThen, unchanged } from "./outcome.ts";
import { publish, toldOf } from "./publish.ts";
import { onDatagram, replaced } from "./receive.ts";
import { EMPTY_WINDOW } from "./replay-window.ts";
import { onBallot, onLeave, sendByClock } from "./send.ts";
import { counted, type LinkState, type MembershipState, noCounters, type PeerRecord } from "./state.ts";
import { SEND_BURST } from "./timing.ts";

export type MembershipInput =
  /**
   * At `health.nextTickUs`, or before; a late one is how we learn that our own loop was late. The shell promises that all
   * datagrams that had come by this tick's `nowUs` were given before it.
   */
  | { readonly kind: "tick" }
  /** Opened, authenticated, of the agreed form; `receivedAtUs` was read at the socket. */
  | {
      readonly kind: "datagram";
      readonly receivedAtUs: number;
      readonly envelope: Envelope;
      readonly heartbeat: Heartbeat;
    }
  /** A datagram that claims to be of `node` could not be believed; for the reasons we give, nothing else. */
  | { readonly kind: "refused"; readonly node: NodeId; readonly code: string }
  /** From the own evaluator. */
  | { readonly kind: "ballot"; readonly stampUs: number; readonly ballot: CarriedBallot }
  | { readonly kind: "configured"; readonly config: MembershipConfig }
  /** What is wrong with our own sockets; null when nothing is. */
  | { readonly kind: "own-problem"; readonly problem: Reason | null }
  | { readonly kind: "leave" };

export interface StartOptions {
  readonly self: NodeId;
  readonly bootId: string;
  /** From `nextIncarnation`. */
  readonly incarnation: number;
  readonly config: MembershipConfig;
  readonly nowUs: number;
}

/** The state of a process that knows nothing yet, its incarnation to be persisted, a first heartbeat to send. */
export function startMembership(options: StartOptions): Outcome {
  const { self, bootId, incarnation, config, nowUs } = options;
  const empty: MembershipState = {
    self,
    bootId,
    incarnation,
    config: { ...config, peers: [] },
    health: healthyAt(nowUs),
    peers: [],
    storedConfig: null,
    waitingBallot: null,
    newestOwnBallot: null,
    lastBallotUs: null,
    ballotSaysLeaving: false,
    lastSentUs: nowUs - config.timing.tokenUs,
    lastPublishedUs: nowUs,
    budget: { tokens: SEND_BURST, filledAtUs: nowUs },
    lifts: [],
    ownProblem: null,
    identityProblem: null,
    leaving: false,
    counters: noCounters(),
  };
  const persisted: Outcome = { state: empty, effects: [{ kind: "persist", incarnation }], reasons: [] };
  return andThen(
    andThen(persisted, (state) => onConfigured(state, nowUs, config)),
    (state) => sendByClock(state, nowUs),
  );
}

/** One input. Effects are in the order in which they must be done: persist, send, act. */
export function stepMembership(state: MembershipState, nowUs: number, input: MembershipInput): Outcome {
  switch (input.kind) {
    case "tick":
      return onTick(state, nowUs);
    case "datagram": {
      const { envelope, heartbeat, receivedAtUs } = input;
      const received = onDatagram(state, nowUs, receivedAtUs, envelope, heartbeat);
      return publishNews(
        andThen(received, (now) => judgeOne(now, envelope.node, nowUs)),
        nowUs,
        envelope.node,
      );
    }
    case "refused":
      return unchanged(onRefused(state, nowUs, input.node, input.code));
    case "ballot":
      return onBallot(state, nowUs, input.stampUs, input.ballot);
    case "configured":
      return onConfigured(state, nowUs, input.config);
    case "own-problem":
      return judgeAll({ ...state, ownProblem: input.problem }, nowUs);
    case "leave":
      return onLeave(state, nowUs);
    default:
      return assertNever(input);
  }
}

function onTick(state: MembershipState, nowUs: number): Outcome {
  const { health, lateUs } = tickHealth(state.health, nowUs, state.config.timing);
  const ticked: Outcome =
    lateUs === 0
      ? unchanged({ ...state, health })
      : {
          state: counted({ ...state, health }, "loop_late"),
          effects: [],
          reasons: [
            {
              code: "own-loop-late",
              message: "This node's own loop was late: silence in that time is not held against its peers.",
              facts: { lateMs: Math.round(lateUs / 1000), patience: Math.round(health.patience * 100) / 100 },
            },
          ],
        };
  const sent = andThen(ticked, (now) => sendByClock(forgetOld(now, nowUs), nowUs));
  const judged = andThen(sent, (now) => judgeAll(now, nowUs));
  const next = { ...judged.state.health, nextTickUs: nextTickUs(judged.state, nowUs) };
  return { ...judged, state: { ...judged.state, health: next } };
}

/** Another machine with our id that has not contradicted us for 60 T is gone. */
function forgetOld(state: MembershipState, nowUs: number): MembershipState {
  const newest = state.lifts.at(-1);
  if (newest === undefined || nowUs - newest <= state.config.timing.memoryUs) return state;
  return { ...state, lifts: [], identityProblem: null };
}

function onRefused(state: MembershipState, nowUs: number, node: NodeId, code: string): MembershipState {
  const peer = state.peers.find((candidate) => candidate.node === node);
  return peer === undefined ? state : replaced(state, { ...peer, refused: { code, atUs: nowUs } });
}

/** Peers that stay keep all that is known of them; a ring that is new to a peer starts unheard. */
function onConfigured(state: MembershipState, nowUs: number, config: MembershipConfig): Outcome {
  const peers = config.peers.map(({ node, rings }): PeerRecord => {
    const known = state.peers.find((peer) => peer.node === node) ?? strangerAt(state, node, nowUs);
    const links = rings.map(
      (ring) =>
        known.links.find((link) => link.ring === ring) ?? {
          ring,
          heard: null,
          confirmed: null,
          window: EMPTY_WINDOW,
          up: false,
        },
    );
    return { ...known, links };
  });
  const next = { ...state, config, peers };
  const judged = andThen(unchanged(next), (now) => judgeEach(now, nowUs));
  return andThen(judged, (now) => publish(now, nowUs));
}

function strangerAt(state: MembershipState, node: NodeId, nowUs: number): PeerRecord {
  return {
    node,
    state: "suspect",
    sinceUs: nowUs,
    reason: { code: "not-heard-yet", message: `Node ${node} has not been heard yet.`, facts: { node } },
    watched: { atUs: nowUs, blindUs: state.health.blindUs },
    notJoinedSinceUs: nowUs,
    incarnation: null,
    bootId: null,
    lastHeardUs: null,
    saidGoodbye: false,
    newestBallot: null,
    config: null,
    hears: [],
    losses: [],
    refused: null,
    links: [],
    told: "",
  };
}

function judgeAll(state: MembershipState, nowUs: number): Outcome {
  return publishNews(judgeEach(state, nowUs), nowUs);
}

function judgeEach(state: MembershipState, nowUs: number): Outcome {
  return state.peers.reduce(
    (outcome, peer) => andThen(outcome, (now) => judgeOne(now, peer.node, nowUs)),
    unchanged(state),
  );
}

/** Losses remembered per peer: enough to tell flapping from an accident. */
const LOSSES_MAX = 16;

function judgeOne(state: MembershipState, node: NodeId, nowUs: number): Outcome {
  const peer = state.peers.find((candidate) => candidate.node === node);
  if (peer === undefined) return unchanged(state);
  return andThen(judgeLinks(state, peer, nowUs), (now) => judgeState(now, node, nowUs));
}

function judgeLinks(state: MembershipState, peer: PeerRecord, nowUs: number): Outcome {
  const effects: MembershipEffect[] = [];
  const links = peer.links.map((link) => {
    const { hears, heard } = judgeLink(state, link, nowUs);
    const up = hears && heard;
    if (up === link.up) return link;
    effects.push({
      kind: "link-changed",
      node: peer.node,
      ring: link.ring,
      up,
      reason: linkReason(peer, link, hears, heard),
    });
    return { ...link, up };
  });
  return effects.length === 0
    ? unchanged(state)
    : { state: replaced(state, { ...peer, links }), effects, reasons: [] };
}

function linkReason(peer: PeerRecord, link: LinkState, hears: boolean, heard: boolean): Reason {
  const facts = { node: peer.node, ring: link.ring, hears, heard };
  const where = `Node ${peer.node} on ring ${link.ring}`;
  if (hears && heard) return { code: "link-both-ways", message: `${where}: both ways carry.`, facts };
  if (hears)
    return { code: "link-not-heard-by-peer", message: `${where} is heard but does not hear us.`, facts };
  return { code: "link-silent", message: `${where} is not heard.`, facts };
}

function judgeState(state: MembershipState, node: NodeId, nowUs: number): Outcome {
  const peer = state.peers.find((candidate) => candidate.node === node);
  if (peer === undefined) return unchanged(state);
  const verdict = judgePeer(state, peer, nowUs);
  if (verdict.state === peer.state) {
    return verdict.reason.message === peer.reason.message
      ? unchanged(state)
      : unchanged(replaced(state, { ...peer, reason: verdict.reason }));
  }
  const lost = peer.state === "joined" && verdict.state !== "left";
  const next: PeerRecord = {
    ...peer,
    state: verdict.state,
    sinceUs: nowUs,
    reason: verdict.reason,
    notJoinedSinceUs: verdict.state === "joined" ? null : (peer.notJoinedSinceUs ?? nowUs),
    losses: [
      ...peer.losses.filter((atUs) => nowUs - atUs <= state.config.timing.memoryUs),
      ...(lost ? [nowUs] : []),
    ].slice(-LOSSES_MAX),
  };
  const effects: MembershipEffect[] = [
    { kind: "peer-changed", node, old: peer.state, new: verdict.state, reason: verdict.reason },
  ];
  let changed = counted(replaced(state, next), "transitions");
  const outageUs = peer.notJoinedSinceUs === null ? 0 : nowUs - peer.notJoinedSinceUs;
  if (verdict.state === "joined" && outageUs > state.config.timing.tokenUs) {
    effects.push({ kind: "break-route", node });
    changed = counted(changed, "routes_broken");
  }
  return { state: changed, effects, reasons: [verdict.reason] };
}

/** Tells the other services at once what is news, and everything again each T/2. */
function publishNews(outcome: Outcome, nowUs: number, only?: NodeId): Outcome {
  const { state } = outcome;
  const due = nowUs - state.lastPublishedUs >= state.config.timing.publishUs;
  const news =
    due ||
    state.peers.some(
      (peer) => (only === undefined || only === peer.node) && toldOf(state, peer, nowUs) !== peer.told,
    );
  return news ? andThen(outcome, (now) => publish(now, nowUs)) : outcome;
}
