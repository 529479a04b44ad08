import { CALM_HEARTBEATS, type Reason } from "@quorate/contracts";
import { electorateNodes } from "./quorum.ts";
import { electoratesOf, promiseTiming, type QuorumState } from "./state.ts";

/** So long after the last loss ballots go on at the double pace, in tokens. */
const RESTLESS_TOKENS = 3;

/** A ballot is missed when it is this late, in paces: half a pace is more than any healthy host is late. */
const MISSED_PACES = 1.5;

/**
 * How often unchanged ballots go out: every T/5 while all is settled and everybody present is heard in time and
 * says that he hears us; else every T/10. docs/adr/0010 has the inequalities. Nothing of safety rests on it: leases
 * count from the echoed ballot, promises from its receipt, however rare they are.
 */
export function paceUs(state: QuorumState, nowUs: number): number {
  const { heartbeatUs, tokenUs } = promiseTiming(state);
  if (isUrgent(state, nowUs)) return heartbeatUs / URGENT_PARTS;
  if (missesSomebody(state, nowUs)) state.restlessUntilUs = nowUs + RESTLESS_TOKENS * tokenUs;
  const calm = nowUs >= state.restlessUntilUs && isSettled(state, nowUs);
  return calm ? CALM_HEARTBEATS * heartbeatUs : heartbeatUs;
}

/** What a take-over waits for is said again every T/40 for a heartbeat, so that a lost datagram does not cost one. */
const URGENT_PARTS = 4;

const URGENT: readonly string[] = ["RELEASED", "STANDING", "VOTED"];

export function noteUrgency(state: QuorumState, reasons: readonly Reason[], nowUs: number): void {
  if (!reasons.some(({ code }) => URGENT.includes(code))) return;
  state.urgentUntilUs = nowUs + promiseTiming(state).heartbeatUs;
}

/** A request for votes, a release, and a vote for somebody who has not won yet, while they are new. */
function isUrgent(state: QuorumState, nowUs: number): boolean {
  return nowUs < state.urgentUntilUs && state.wonTerm === null;
}

/** Whether there is a master, this node or one that it hears, and nothing is under way. */
function isSettled(state: QuorumState, nowUs: number): boolean {
  const { follows, node, term } = state.durable;
  if (follows === null || state.preVote !== null || state.candidacy !== null || state.closing !== null)
    return false;
  if (follows === node) return state.wonTerm === term && nowUs < state.masterLeaseEndUs;
  const master = state.peers.get(follows);
  return (
    master !== undefined && master.ballot.master && nowUs - master.receivedAtUs < promiseTiming(state).tokenUs
  );
}

/** Until when a ballot that came at `receivedAtUs` may stay the newest before the next one is missed. */
export function missedAtUs(state: QuorumState, receivedAtUs: number): number {
  return receivedAtUs + MISSED_PACES * CALM_HEARTBEATS * promiseTiming(state).heartbeatUs;
}

/**
 * Whether a ballot of somebody present is overdue, or what he says to have heard of us is: a loss in either
 * direction. Whoever has been silent for a token is gone, and nobody waits for him.
 */
function missesSomebody(state: QuorumState, nowUs: number): boolean {
  const { tokenUs } = promiseTiming(state);
  for (const node of electorateNodes(electoratesOf(state))) {
    const peer = state.peers.get(node);
    if (peer === undefined || peer.ballot.leaving || nowUs - peer.receivedAtUs >= tokenUs) continue;
    if (nowUs > missedAtUs(state, peer.receivedAtUs)) return true;
    const heard = peer.ballot.echoes.find((echo) => echo.node === state.durable.node)?.received ?? null;
    if (heard === null || heard.bootId !== state.bootId) return true;
    if (peer.receivedAtUs > missedAtUs(state, heard.atUs)) return true;
  }
  return false;
}

/** The last instants before which nothing is missed yet, for the clock. */
export function missWatchUs(state: QuorumState): number[] {
  return [...state.peers.values()].map((peer) => missedAtUs(state, peer.receivedAtUs) + 1);
}

/**
 * A follower lets its own unchanged ballot go with its master's when it would be due soon: the master's lease is
 * then renewed at once, and one wake does for two. Never the other way round, or two would chase each other.
 */
export function ridesWithMaster(state: QuorumState, node: number, master: boolean, nowUs: number): boolean {
  if (!master || node !== state.durable.follows || state.wonTerm !== null) return false;
  return state.nextBallotUs - nowUs <= (paceUs(state, nowUs) * 3) / 4;
}

/** A follower's own clock is a little slower than its master's, so that the master's ballot comes first. */
export function nextBallotAtUs(state: QuorumState, nowUs: number): number {
  const { heartbeatUs } = promiseTiming(state);
  const pace = paceUs(state, nowUs);
  const follower = state.wonTerm === null && pace > heartbeatUs;
  return state.lastBallotUs + pace + (follower ? heartbeatUs / 4 : 0);
}
