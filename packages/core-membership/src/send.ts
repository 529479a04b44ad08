import type { BallotName, CarriedBallot } from "@quorate/contracts";
import type { Hears, Heartbeat } from "./heartbeat.ts";
import { type Outcome, unchanged } from "./outcome.ts";
import { counted, type MembershipState } from "./state.ts";
import { SEND_BURST } from "./timing.ts";

/** Negative when `left` was built before `right` in the same boot; any other boot counts as later. */
export function isNewerBallot(name: BallotName, than: BallotName | null): boolean {
  return than === null || name.bootId !== than.bootId || name.atUs > than.atUs;
}

/** What we hear of every peer ever heard in this process. */
function hearsOf(state: MembershipState, nowUs: number): Hears[] {
  const hears: Hears[] = [];
  for (const peer of state.peers) {
    if (peer.incarnation === null) continue;
    const links = [];
    for (const { ring, heard } of peer.links) {
      if (heard !== null) links.push({ ring, ageUs: Math.max(0, nowUs - heard.atUs) });
    }
    hears.push({ node: peer.node, incarnation: peer.incarnation, links });
  }
  return hears;
}

function compose(
  state: MembershipState,
  nowUs: number,
  ballot: CarriedBallot | null,
  goodbye: boolean,
): Heartbeat {
  return {
    cluster: state.config.clusterName,
    node: state.self,
    incarnation: state.incarnation,
    bootId: state.bootId,
    goodbye,
    config: state.storedConfig,
    hears: hearsOf(state, nowUs),
    ballot,
  };
}

/** Sends whatever the budget says: for the caller who has looked at it, and for goodbyes. */
function send(state: MembershipState, nowUs: number, ballot: CarriedBallot | null, goodbye = false): Outcome {
  const sent = counted(counted(state, "heartbeats_sent"), "ballots_sent", ballot === null ? 0 : 1);
  return {
    state: {
      ...sent,
      lastSentUs: nowUs,
      waitingBallot: ballot === null ? state.waitingBallot : null,
      budget: { ...state.budget, tokens: Math.max(0, state.budget.tokens - 1) },
    },
    effects: [{ kind: "send", heartbeat: compose(state, nowUs, ballot, goodbye) }],
    reasons: [],
  };
}

function refilled(state: MembershipState, nowUs: number): MembershipState {
  const { refillUs } = state.config.timing;
  const earned = Math.floor((nowUs - state.budget.filledAtUs) / refillUs);
  if (earned <= 0) return state;
  const tokens = Math.min(SEND_BURST, state.budget.tokens + earned);
  const filledAtUs = tokens === SEND_BURST ? nowUs : state.budget.filledAtUs + earned * refillUs;
  return { ...state, budget: { tokens, filledAtUs } };
}

/** A heartbeat without a ballot, out of turn: for a newcomer, who wants to know that he is heard. */
export function answerAtOnce(state: MembershipState, nowUs: number): Outcome {
  const ready = refilled(state, nowUs);
  return ready.budget.tokens > 0 && !ready.leaving ? send(ready, nowUs, null) : unchanged(ready);
}

/** A ballot of our evaluator: it leaves at once, within the budget, and never twice. */
export function onBallot(
  state: MembershipState,
  nowUs: number,
  stampUs: number,
  ballot: CarriedBallot,
): Outcome {
  if (ballot.node !== state.self || ballot.name.bootId !== state.bootId) {
    return unchanged(counted(state, "ballots_refused"));
  }
  if (Math.abs(nowUs - stampUs) > state.config.timing.staleUs) {
    return unchanged(counted(state, "ballots_dropped_stale"));
  }
  if (!isNewerBallot(ballot.name, state.newestOwnBallot))
    return unchanged(counted(state, "ballots_repeated"));
  if (state.leaving) return unchanged(state);
  const known = refilled(
    {
      ...state,
      newestOwnBallot: ballot.name,
      storedConfig: ballot.stored,
      lastBallotUs: nowUs,
      ballotSaysLeaving: ballot.leaving,
    },
    nowUs,
  );
  if (known.budget.tokens > 0) return send(known, nowUs, ballot);
  return unchanged(counted({ ...known, waitingBallot: { ballot, stampUs } }, "sends_delayed"));
}

/**
 * The clock's share of sending. The evaluator's ballots, one each T/5 or T/10, clock the heartbeats so that every
 * one carries a fresh ballot; only when they fail to come do we send by our own clock, without a ballot.
 */
export function sendByClock(state: MembershipState, nowUs: number): Outcome {
  if (state.leaving) return unchanged(state);
  const { timing } = state.config;
  const ready = refilled(state, nowUs);
  if (ready.waitingBallot !== null && ready.budget.tokens > 0) {
    const { ballot, stampUs } = ready.waitingBallot;
    if (nowUs - stampUs <= timing.staleUs) return send(ready, nowUs, ballot);
    return unchanged(counted({ ...ready, waitingBallot: null }, "ballots_dropped_stale"));
  }
  return nowUs >= sendDueUs(ready) ? send(ready, nowUs, null) : unchanged(ready);
}

/** When a heartbeat is due by our own clock, if no ballot comes before. */
export function sendDueUs(state: MembershipState): number {
  const { heartbeatUs, calmUs } = state.config.timing;
  const { lastBallotUs, lastSentUs } = state;
  // While the evaluator's ballots clock us, one that is half a pace late; a while after the last, our own pace.
  const clockedUs = lastSentUs + calmUs * 1.5;
  return lastBallotUs !== null && clockedUs <= lastBallotUs + 2 * calmUs
    ? clockedUs
    : lastSentUs + heartbeatUs;
}

/**
 * This process is told to stop. A goodbye makes the others remove the node from the view, so it is said only
 * when the node really goes: its evaluator's ballots say so, or there is no evaluator any more. A restart of
 * this service alone keeps quiet and is back before anybody misses it.
 * Each call is one goodbye; the shell makes several, as datagrams get lost.
 */
export function onLeave(state: MembershipState, nowUs: number): Outcome {
  const alone = state.lastBallotUs === null || nowUs - state.lastBallotUs > state.config.timing.tokenUs;
  const leaving = { ...state, leaving: true };
  if (state.ballotSaysLeaving || alone) {
    const said = send(leaving, nowUs, null, true);
    return {
      ...said,
      reasons: [{ code: "goodbye", message: "This node says goodbye.", facts: { evaluator: !alone } }],
    };
  }
  return {
    state: leaving,
    effects: [],
    reasons: [
      {
        code: "quiet-stop",
        message: "Membership stops without a goodbye: the node's evaluator goes on.",
        facts: {},
      },
    ],
  };
}
