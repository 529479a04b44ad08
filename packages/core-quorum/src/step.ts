import {
  assertNever,
  type Ballot,
  compareConfigRefs,
  type GrantMessage,
  type Reason,
  type ReportMessage,
} from "@quorate/contracts";
import { considerReadmission } from "./amnesia.ts";
import {
  advanceElection,
  considerFollowing,
  considerPreVote,
  expireCandidacy,
  mayVote,
  tryStand,
  tryWin,
} from "./election.ts";
import { collectFenceReports, judgeFences, nextFenceUs } from "./fencing.ts";
import { silencesEndUs } from "./inbox.ts";
import { isMember, renewLeases, takeAcknowledgements } from "./lease.ts";
import {
  considerHandOver,
  considerLeaving,
  expireMastership,
  liftTerm,
  orderDrain,
  orderMove,
  takeShutConfirmation,
  voidLeases,
  yieldTo,
} from "./mastership.ts";
import {
  buildBallot,
  buildGrant,
  buildQuorumMessage,
  grantContent,
  noteFork,
  roleOf,
  saysTheSame,
} from "./outgoing.ts";
import { missWatchUs, nextBallotAtUs, noteUrgency, ridesWithMaster } from "./pace.ts";
import { renewPromise, runningPromise } from "./promise.ts";
import { learnCommitted, takeStored } from "./register.ts";
import { electorateNodes } from "./quorum.ts";
import {
  electoratesOf,
  promiseTiming,
  type QuorumEffect,
  type QuorumInput,
  type QuorumResult,
  type QuorumState,
  remember,
} from "./state.ts";
import { adoptView, reviseView } from "./view.ts";

const RETIRED_BOOTS = 8;

/**
 * One decision of the quorum-evaluator. Takes the state over (the caller keeps only the returned one) and
 * answers with effects in the order persist, send, act, and a reason for every transition. All instants are
 * microseconds of this host's CLOCK_MONOTONIC; `nowUs` must never go back.
 */
export function stepQuorum(state: QuorumState, input: QuorumInput): QuorumResult {
  const durableBefore = state.durable;
  const { nowUs } = input;
  const reasons: Reason[] = [];
  const note = (reason: Reason | null) => {
    if (reason !== null) reasons.push(reason);
  };
  let refusal: Reason | null = null;
  let answer = false;

  // What the clock has ended comes first, so that a process that was stopped acts on no lapsed right.
  reasons.push(...expireMastership(state, nowUs), ...expireCandidacy(state, nowUs));
  switch (input.kind) {
    case "tick":
      break;
    case "heard":
      answer = takeBallot(state, input.ballot, input.receivedAtUs, nowUs, reasons);
      break;
    case "peers":
      if (input.stampUs < state.peersStampUs) break;
      state.peersStampUs = input.stampUs;
      state.patience = Math.max(1, input.patience ?? 1);
      for (const peer of input.peers)
        state.peerStates.set(peer.node, { state: peer.state, sinceUs: peer.sinceUs });
      break;
    case "report":
      if (state.report !== null && input.report.stampUs < state.report.stampUs) break;
      state.report = input.report;
      outgrowGeneration(state);
      // As if nothing had been granted yet: it goes out with this step.
      if (isBehind(state, input.report)) state.lastGrantContent = "";
      note(takeShutConfirmation(state, input.report, nowUs));
      break;
    case "stored":
      state.register = input.ref;
      note(takeStored(state, input));
      break;
    case "disarmed":
      state.disarmed = input.disarmed;
      state.disarmedUntil = input.until;
      break;
    case "move":
      refusal = orderMove(state, input.target, nowUs);
      break;
    case "drain":
      reasons.push(...orderDrain(state, nowUs));
      break;
    case "suspended-host":
      voidLeases(state, nowUs, input.jumpUs);
      note({
        code: "HOST_WAS_SUSPENDED",
        message: "The host's clock was stopped for a while; every lease is void.",
        facts: { pauseMs: Math.round(input.jumpUs / 1000) },
      });
      break;
    default:
      assertNever(input);
  }

  reasons.push(...expireMastership(state, nowUs));
  reasons.push(...tryWin(state, nowUs));
  renewLeases(state);
  note(learnCommitted(state, nowUs));
  reasons.push(...reviseView(state, nowUs, input.drainedUs));
  reasons.push(...judgeFences(state, nowUs));
  note(considerLeaving(state, nowUs));
  note(considerHandOver(state, nowUs, input.drainedUs));
  reconsiderPreVotes(state, nowUs);
  reasons.push(...reconsiderVotes(state, nowUs));
  reasons.push(...advanceElection(state, nowUs));
  // A single voter is its own quorum.
  reasons.push(...tryWin(state, nowUs));
  const last = reasons.at(-1);
  if (last !== undefined) state.reason = last;
  noteUrgency(state, reasons, nowUs);

  const effects = outgoing(state, nowUs, answer, reasons.length > 0);
  if (state.durable !== durableBefore || state.unsaved) {
    effects.unshift({ kind: "persist", state: state.durable });
    state.unsaved = false;
  }
  return { state, effects, reasons, wakeAtUs: wakeAtUs(state, nowUs), refusal };
}

/** Takes a ballot that was never heard before. Returns whether an answer is due at once. */
function takeBallot(
  state: QuorumState,
  ballot: Ballot,
  receivedAtUs: number,
  nowUs: number,
  reasons: Reason[],
): boolean {
  const timing = promiseTiming(state);
  const { node } = ballot;
  if (node === state.durable.node || nowUs - receivedAtUs > timing.staleUs) return false;
  // Strangers are not heard. One who leads may be on a newer list than ours: it is to be had from him alone.
  if (!ballot.master && !electorateNodes(electoratesOf(state)).includes(node)) return false;
  const known = state.peers.get(node)?.ballot.name;
  const retired = state.retiredBoots.get(node) ?? [];
  if (retired.includes(ballot.name.bootId)) return false;
  if (known !== undefined) {
    if (known.bootId === ballot.name.bootId) {
      // Cached, doubled or reordered: not heard, acknowledges nothing, renews nothing.
      if (ballot.name.atUs <= known.atUs) return false;
    } else {
      state.retiredBoots.set(node, [...retired, known.bootId].slice(-RETIRED_BOOTS));
    }
  }
  state.peers.set(node, { ballot, receivedAtUs });
  noteFork(state, ballot);
  const push = (reason: Reason | null) => {
    if (reason !== null) reasons.push(reason);
  };
  renewPromise(state, ballot, receivedAtUs);
  reasons.push(...yieldTo(state, ballot, nowUs));
  push(liftTerm(state, ballot, nowUs));
  push(considerFollowing(state, ballot, nowUs));
  considerPreVote(state, ballot, nowUs);
  push(adoptView(state, ballot));
  push(considerReadmission(state, ballot));
  // Who has not stored the last change of the votes would go on counting by the old ones.
  const counts = compareConfigRefs(ballot.stored, state.durable.electorateRef) >= 0;
  if (counts && mayVote(state, nowUs) && isMember(state, node, ballot.name.bootId)) {
    state.lastGrants.set(node, { name: ballot.name, atUs: receivedAtUs });
  }
  takeAcknowledgements(state, ballot);
  collectFenceReports(state, ballot, receivedAtUs);
  reasons.push(...tryStand(state, nowUs));
  return ballot.changed || ridesWithMaster(state, node, ballot.master, nowUs);
}

/** A lost count must not stay below what the actuator has seen, or it would refuse every grant of this term. */
function outgrowGeneration(state: QuorumState): void {
  const { durable, report } = state;
  if (report !== null && report.term === durable.term && report.generation > durable.generation) {
    remember(state, { generation: report.generation + 1 });
  }
}

/** An actuator that knows less than was granted has been started anew: it is told again, before its gate shuts. */
function isBehind(state: QuorumState, report: ReportMessage): boolean {
  const term = state.wonTerm ?? state.durable.term;
  return report.term < term || (report.term === term && report.generation < state.durable.generation);
}

/** A promise that has just ended frees the answer to a question that was asked while it ran. */
function reconsiderPreVotes(state: QuorumState, nowUs: number): void {
  const { staleUs } = promiseTiming(state);
  for (const entry of state.durable.voters.nodes) {
    const peer = state.peers.get(entry.id);
    if (peer !== undefined && nowUs - peer.receivedAtUs <= staleUs)
      considerPreVote(state, peer.ballot, nowUs);
  }
}

/**
 * A promise that has just ended, by a release, frees the vote for a candidate whose request came before the news of
 * it. It is asked for again only with the candidate's next ballot, which a loss may delay.
 */
function reconsiderVotes(state: QuorumState, nowUs: number): Reason[] {
  const { staleUs } = promiseTiming(state);
  const { durable } = state;
  for (const entry of durable.voters.nodes) {
    const peer = state.peers.get(entry.id);
    if (peer === undefined || peer.ballot.master || peer.ballot.term <= durable.term) continue;
    if (nowUs - peer.receivedAtUs > staleUs) continue;
    const reason = considerFollowing(state, peer.ballot, nowUs);
    if (reason !== null) return [reason];
  }
  return [];
}

function outgoing(state: QuorumState, nowUs: number, answer: boolean, news: boolean): QuorumEffect[] {
  const { tokenUs } = promiseTiming(state);
  const effects: QuorumEffect[] = [];
  if (nowUs >= state.silentUntilUs && !state.resuming) {
    const ballot = buildBallot(state, nowUs);
    ballot.changed = state.lastBallot === null || !saysTheSame(ballot, state.lastBallot);
    state.nextBallotUs = nextBallotAtUs(state, nowUs);
    if (ballot.changed || answer || nowUs >= state.nextBallotUs) {
      state.lastBallot = ballot;
      state.lastNameUs = ballot.name.atUs;
      state.lastBallotUs = nowUs;
      state.nextBallotUs = nextBallotAtUs(state, nowUs);
      effects.push({ kind: "ballot", ballot });
      renewLeases(state);
    }
    const grant = buildGrant(state, nowUs);
    const grantNews = grantContent(grant);
    if (grantNews !== state.lastGrantContent || isGrantDue(state, grant)) {
      state.lastGrantContent = grantNews;
      const { masterLeaseEndUs, nodeLeaseEndUs } = grant;
      state.lastGrant = { atUs: nowUs, masterLeaseEndUs, nodeLeaseEndUs };
      effects.push({ kind: "grant", grant });
    }
  }
  // Most steps only renew: the whole judgement is put together when something in it may have changed.
  // Due a little early when a ballot goes out anyway: one wake for both.
  const due =
    nowUs >= state.nextQuorumUs - (effects.length > 0 ? tokenUs / 8 : 0) ||
    effects.some((effect) => effect.kind === "ballot" && effect.ballot.changed);
  if (due || news || quorumKey(state, nowUs) !== state.lastQuorumContent) {
    state.lastQuorumContent = quorumKey(state, nowUs);
    state.nextQuorumUs = nowUs + tokenUs / 2;
    effects.push({ kind: "quorum", message: buildQuorumMessage(state, nowUs) });
  }
  return effects;
}

/**
 * Leases grow with every acknowledgement. The actuator hears of the master's when it has grown by T/10, of the
 * node's by T/3, and in any case every T/2.
 */
function isGrantDue(state: QuorumState, grant: GrantMessage): boolean {
  const { tokenUs } = promiseTiming(state);
  const { atUs, masterLeaseEndUs, nodeLeaseEndUs } = state.lastGrant;
  return (
    grant.masterLeaseEndUs - masterLeaseEndUs >= tokenUs / 10 ||
    grant.nodeLeaseEndUs - nodeLeaseEndUs >= tokenUs / 3 ||
    grant.stampUs - atUs >= tokenUs / 2
  );
}

/** What of the judgement changes without a reason or a ballot of our own to tell. */
function quorumKey(state: QuorumState, nowUs: number): string {
  const running = runningPromise(state, nowUs);
  const leads = running === null ? "" : `${running.to} ${state.peers.get(running.to)?.ballot.master}`;
  return `${roleOf(state, nowUs)} ${leads} ${state.hindrance?.code} ${state.committed?.version} ${state.forkedWith} ${state.disarmedUntil}`;
}

function wakeAtUs(state: QuorumState, nowUs: number): number {
  const { heartbeatUs } = promiseTiming(state);
  const candidates = [state.nextBallotUs, state.nextQuorumUs, nowUs + nextFenceUs(state)];
  if (nowUs < state.silentUntilUs) candidates.push(state.silentUntilUs);
  if (state.resuming) candidates.push(state.startedAtUs + 5 * heartbeatUs);
  // The instants at which something ends: a promise, a lease, a wait, a rank's delay, a candidacy.
  const edges = [
    state.promiseUntilUs,
    state.selfPromiseUntilUs,
    state.masterLeaseEndUs,
    state.nodeLeaseEndUs,
    state.standNotBeforeUs,
  ];
  if (state.eligibleSinceUs !== null)
    for (let rank = 0; rank < 16; rank += 1) edges.push(state.eligibleSinceUs + rank * heartbeatUs);
  if (state.candidacy !== null) edges.push(state.candidacy.sinceUs + 3 * heartbeatUs);
  edges.push(...missWatchUs(state), ...silencesEndUs(state));
  for (const edge of edges) if (edge > nowUs) candidates.push(edge);
  return Math.max(nowUs, Math.min(...candidates));
}
