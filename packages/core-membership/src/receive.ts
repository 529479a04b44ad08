import type { NodeId } from "@quorate/contracts";
import type { Envelope, Heartbeat } from "./heartbeat.ts";
import { liftedIncarnation } from "./incarnation.ts";
import { type Outcome, andThen, unchanged } from "./outcome.ts";
import { publish } from "./publish.ts";
import { accept, EMPTY_WINDOW, isFresh } from "./replay-window.ts";
import { answerAtOnce, isNewerBallot } from "./send.ts";
import {
  type CounterName,
  counted,
  type Instant,
  type LinkState,
  type MembershipState,
  type PeerRecord,
} from "./state.ts";

/*
 * Reading what came: what may be opened at all, what it says of links and incarnations, which ballot is new.
 */

/**
 * What the clear part of a datagram already forbids, before anything is spent on opening it; null: go on.
 *
 * Replays: within an incarnation a counter is accepted once per ring. A recorded older incarnation is refused
 * while a newer one is known. After our own restart nothing is known and the newest wins: until the first
 * real heartbeat (T/10) a recording may pose as the peer. It can do little. It names an earlier incarnation
 * of ours, so it never makes a peer joined; it cannot acknowledge a ballot of ours that is younger than the
 * recording, so it extends no lease; the ballots in it are named by boot and time, and an evaluator that
 * knows a newer one ignores them, while one that knows none at most keeps a promise for longer.
 */
export function judgeEnvelope(state: MembershipState, envelope: Envelope): CounterName | null {
  if (envelope.node === state.self) return "refused_own_node";
  const peer = state.peers.find((candidate) => candidate.node === envelope.node);
  if (peer === undefined) return "refused_unknown_node";
  const link = peer.links.find((candidate) => candidate.ring === envelope.ring);
  if (link === undefined) return "refused_unknown_ring";
  if (peer.incarnation === null || envelope.incarnation > peer.incarnation) return null;
  if (envelope.incarnation < peer.incarnation) return "refused_stale_incarnation";
  if (peer.saidGoodbye) return "refused_after_goodbye";
  return isFresh(link.window, envelope.counter) ? null : "refused_replayed";
}

/** An opened and authenticated heartbeat. Its peer is to be judged anew afterwards. */
export function onDatagram(
  state: MembershipState,
  nowUs: number,
  receivedAtUs: number,
  envelope: Envelope,
  heartbeat: Heartbeat,
): Outcome {
  const refusal = judgeEnvelope(state, envelope);
  if (refusal !== null) return unchanged(counted(state, refusal));
  const known = state.peers.find((peer) => peer.node === envelope.node);
  if (known === undefined) return unchanged(state);
  const restarted = known.incarnation !== envelope.incarnation;
  if (!restarted && known.bootId !== heartbeat.bootId) {
    return unchanged(counted(state, "refused_boot_mismatch"));
  }
  const greeted = restarted ? withNewIncarnation(state, known, heartbeat, nowUs) : known;
  const times = { receivedAtUs, cameAtUs: earliestArrivalUs(state, receivedAtUs) };
  const peer = withHeartbeat(state, greeted, envelope.ring, envelope.counter, times, heartbeat);
  let next = counted(replaced(state, peer), "heartbeats_accepted");
  if (restarted && known.incarnation !== null) next = counted(next, "peer_restarts");

  // Since when its sender is joined says what a ballot is worth: where that begins anew, it is told before the ballot.
  const told = peer.sinceUs === greeted.sinceUs ? unchanged(next) : publish(next, nowUs);
  const passed = andThen(told, (now) => passBallot(now, envelope.node, nowUs, receivedAtUs, heartbeat));
  const lifted = andThen(passed, (now) => liftIfOutdated(now, nowUs, heartbeat));
  return restarted && !heartbeat.goodbye ? andThen(lifted, (now) => answerAtOnce(now, nowUs)) : lifted;
}

export function replaced(state: MembershipState, peer: PeerRecord): MembershipState {
  return { ...state, peers: state.peers.map((other) => (other.node === peer.node ? peer : other)) };
}

function withNewIncarnation(
  state: MembershipState,
  peer: PeerRecord,
  heartbeat: Heartbeat,
  nowUs: number,
): PeerRecord {
  const sameBoot = peer.bootId === heartbeat.bootId;
  return {
    ...peer,
    incarnation: heartbeat.incarnation,
    bootId: heartbeat.bootId,
    saidGoodbye: false,
    newestBallot: sameBoot ? peer.newestBallot : null,
    hears: [],
    watched: { atUs: nowUs, blindUs: state.health.blindUs },
    // After a reboot or a goodbye the old TCP routes are gone by themselves: nothing to break.
    notJoinedSinceUs:
      peer.notJoinedSinceUs !== null && (!sameBoot || peer.saidGoodbye) ? nowUs : peer.notJoinedSinceUs,
    links: peer.links.map((link) => ({
      ...link,
      // What another boot confirmed says nothing of this one.
      confirmed: sameBoot ? link.confirmed : null,
      window: EMPTY_WINDOW,
    })),
  };
}

/** When a datagram was read, and the time to which it proves that its sender was heard. */
interface Times {
  readonly receivedAtUs: number;
  readonly cameAtUs: number;
}

/**
 * What is read while our own loop is overdue may have waited in the socket since the loop stood still: it proves
 * nothing after that. Said to be fresh, it would make a way that was cut meanwhile look whole to the sender.
 */
function earliestArrivalUs({ health, config }: MembershipState, receivedAtUs: number): number {
  return Math.min(receivedAtUs, health.nextTickUs + config.timing.tickUs);
}

function withHeartbeat(
  state: MembershipState,
  peer: PeerRecord,
  ring: number,
  counter: number,
  { receivedAtUs, cameAtUs }: Times,
  heartbeat: Heartbeat,
): PeerRecord {
  const { blindUs } = state.health;
  const about = heartbeat.hears.find((hears) => hears.node === state.self);
  const links = peer.links.map((link): LinkState => {
    const heardHere: LinkState =
      link.ring === ring
        ? {
            ...link,
            heard: later(link.heard, { atUs: cameAtUs, blindUs }),
            window: accept(link.window, counter),
          }
        : link;
    const said = about?.links.find((candidate) => candidate.ring === link.ring);
    if (about === undefined || said === undefined || about.incarnation !== state.incarnation)
      return heardHere;
    return {
      ...heardHere,
      confirmed: later(link.confirmed, { atUs: cameAtUs - Math.max(0, said.ageUs), blindUs }),
    };
  });
  const cameBack = peer.state === "failed" || peer.state === "left";
  return {
    ...peer,
    links,
    sinceUs: wasBroken(state, peer, links, cameAtUs) ? receivedAtUs : peer.sinceUs,
    watched: cameBack ? { atUs: receivedAtUs, blindUs } : peer.watched,
    lastHeardUs: Math.max(peer.lastHeardUs ?? cameAtUs, cameAtUs),
    saidGoodbye: peer.saidGoodbye || heartbeat.goodbye,
    config: heartbeat.config ?? peer.config,
    hears: heartbeat.hears,
  };
}

/**
 * Whether a joined peer was silent for a token, in either direction, and our patience did not hold that against it:
 * it is joined since now. A node that was removed comes back only when joined for a token, and patience must not
 * shorten that.
 */
function wasBroken(
  state: MembershipState,
  peer: PeerRecord,
  links: readonly LinkState[],
  cameAtUs: number,
): boolean {
  if (peer.state !== "joined") return false;
  const confirmedUs = (of: readonly LinkState[]) =>
    Math.max(...of.map(({ confirmed }) => confirmed?.atUs ?? 0));
  const unheardUs = cameAtUs - (peer.lastHeardUs ?? cameAtUs);
  const unconfirmedUs = confirmedUs(links) - confirmedUs(peer.links);
  return Math.max(unheardUs, unconfirmedUs) > state.config.timing.tokenUs;
}

function later(left: Instant | null, right: Instant): Instant {
  return left === null || right.atUs > left.atUs ? right : left;
}

/** Passes a ballot on if it was never passed on before: over two rings, or doubled, it comes once. */
function passBallot(
  state: MembershipState,
  sender: NodeId,
  nowUs: number,
  receivedAtUs: number,
  heartbeat: Heartbeat,
): Outcome {
  const { ballot } = heartbeat;
  const peer = state.peers.find(({ node }) => node === sender);
  if (ballot === null || peer === undefined) return unchanged(state);
  if (ballot.node !== peer.node || ballot.name.bootId !== heartbeat.bootId) {
    return unchanged(counted(state, "ballots_refused"));
  }
  if (!isNewerBallot(ballot.name, peer.newestBallot)) return unchanged(counted(state, "ballots_repeated"));
  return {
    state: counted(replaced(state, { ...peer, newestBallot: ballot.name }), "ballots_heard"),
    effects: [{ kind: "publish-heard", message: { stampUs: nowUs, receivedAtUs, from: peer.node, ballot } }],
    reasons: [],
  };
}

/** Lifting more often than this within 60 T means that two machines use one node id. */
const LIFTS_MAX = 3;

/**
 * A peer knows a higher incarnation of this node than its own: the state was lost and the clock went back, so
 * everybody refuses us as stale. Lift ours above it; it was said in an authenticated, fresh heartbeat.
 */
function liftIfOutdated(state: MembershipState, nowUs: number, heartbeat: Heartbeat): Outcome {
  const about = heartbeat.hears.find((hears) => hears.node === state.self);
  if (about === undefined || about.incarnation <= state.incarnation) return unchanged(state);
  const lifts = state.lifts.filter((atUs) => nowUs - atUs <= state.config.timing.memoryUs);
  const lifted = liftedIncarnation(about.incarnation);
  if (lifts.length >= LIFTS_MAX || lifted === null)
    return duplicateNode(state, heartbeat.node, about.incarnation);
  const next = counted({ ...state, incarnation: lifted, lifts: [...lifts, nowUs] }, "incarnation_lifted");
  const raised: Outcome = {
    state: next,
    effects: [{ kind: "persist", incarnation: lifted }],
    reasons: [
      {
        code: "incarnation-lifted",
        message: `Node ${heartbeat.node} knows a later incarnation of this node: the clock went back and the state was lost.`,
        facts: { known: about.incarnation, own: state.incarnation, lifted },
      },
    ],
  };
  return andThen(raised, (now) => answerAtOnce(now, nowUs));
}

function duplicateNode(state: MembershipState, witness: NodeId, known: number): Outcome {
  const problem = {
    code: "duplicate-node-id",
    message: `Another machine uses node id ${state.self}: give every node its own id.`,
    facts: { node: state.self, witness, known, own: state.incarnation },
  };
  if (state.identityProblem !== null) return unchanged(state);
  return { state: { ...state, identityProblem: problem }, effects: [], reasons: [problem] };
}
