import { type Ballot, compareConfigRefs, type NodeId, type Reason } from "@quorate/contracts";
import { isMember } from "./lease.ts";
import { isFreeFor, promise, runningPromise } from "./promise.ts";
import { compareRank, countVotes, isQuorum } from "./quorum.ts";
import {
  electoratesOf,
  type PeerRecord,
  promiseTiming,
  type QuorumState,
  remember,
  votersEntry,
} from "./state.ts";
import { publishFirstView } from "./view.ts";

/** A peer unheard for this many heartbeats does not count as present when standing or ranking. */
const FRESH_HEARTBEATS = 5;
const CANDIDACY_HEARTBEATS = 3;
/** A disk that takes longer than this to take a vote costs the candidacy. */
const SLOW_DISK_HEARTBEATS = 5;
/** Whoever cannot serve well stands this much later than everybody who can: a last resort. */
const LAST_RESORT_HEARTBEATS = 10;
/** Others leave a named successor this much room. */
const SUCCESSOR_HEARTBEATS = 3;

function freshPeer(state: QuorumState, node: NodeId, nowUs: number): PeerRecord | null {
  const peer = state.peers.get(node);
  if (peer === undefined || peer.ballot.amnesic) return null;
  return nowUs - peer.receivedAtUs <= FRESH_HEARTBEATS * promiseTiming(state).heartbeatUs ? peer : null;
}

/** Whether this node may vote at all. */
export function mayVote(state: QuorumState, nowUs: number): boolean {
  return !state.durable.amnesic && nowUs >= state.silentUntilUs && !state.resuming;
}

/** This node's own fitness to be master, as it tells its peers. */
export function ownAbility(state: QuorumState, nowUs: number): Ballot["able"] {
  const { report } = state;
  if (report === null)
    return { ok: false, code: "NO_ACTUATOR", message: "The failover-actuator has not reported yet." };
  if (nowUs - report.stampUs > promiseTiming(state).tokenUs) {
    return { ok: false, code: "NO_ACTUATOR", message: "The failover-actuator has not reported for a token." };
  }
  if (report.able.ok && isRegisterBehind(state)) {
    const message = `This node has lost version ${state.durable.stored.version} of the configuration, which it promised to have; until it has one as new it makes none.`;
    return { ok: false, code: "REGISTER_BEHIND", message };
  }
  return report.able;
}

/** Whether the disk has lost a configuration that this node promised to have: as master it could commit no change. */
export function isRegisterBehind({ register, durable }: QuorumState): boolean {
  return register !== null && compareConfigRefs(register, durable.stored) < 0;
}

/** Inabilities that another node may share, or that leave something to serve: better a degraded master than none. */
const SOFT_INABILITIES: readonly string[] = ["SERVICE_FAILED", "ADDRESS_IN_USE", "REGISTER_BEHIND"];

export function isSoftInability(code: string): boolean {
  return SOFT_INABILITIES.includes(code);
}

/** Why this node may not stand now, or null when it may (its rank's delay apart). */
function obstacle(state: QuorumState, nowUs: number): Reason | null {
  const { durable } = state;
  const own = votersEntry(durable.voters, durable.node);
  const say = (code: string, message: string): Reason => ({ code, message });
  if (!mayVote(state, nowUs))
    return say("SILENT", "The promises of the time before the start may still run, or the state was lost.");
  if (own === undefined) return say("NOT_LISTED", "This node is not in the node list.");
  if (own.prio === 0) return say("PRIO_ZERO", "A node with prio 0 votes but never leads.");
  if (state.wonTerm !== null || state.candidacy !== null)
    return say("BUSY", state.wonTerm === null ? "This node stands for master." : "This node is master.");
  if (state.leaving || state.closing !== null) return say("LEAVING", "This node gives up its role.");
  const isLastMaster = () => durable.voters.nodes.toSorted(compareRank)[0]?.id === durable.node;
  if (state.disarmed && !isLastMaster() && namedSuccessor(state) !== durable.node) {
    return say("DISARMED", "Automation is off: only the last master, or whom it names, may lead.");
  }
  const ability = ownAbility(state, nowUs);
  if (!ability.ok && !isSoftInability(ability.code)) return say(ability.code, ability.message);
  const promised = runningPromise(state, nowUs);
  if (promised !== null) return say("PROMISED", `A promise to node ${promised.to} still runs.`);
  if (nowUs < state.standNotBeforeUs && namedSuccessor(state) !== durable.node)
    return say("WAITING", "Waiting a while after an election that was not won, or after a release.");
  const present = (node: NodeId) => node === durable.node || freshPeer(state, node, nowUs) !== null;
  const joined = (node: NodeId) =>
    node === durable.node || (present(node) && state.peerStates.get(node)?.state === "joined");
  if (!isQuorum(electoratesOf(state), joined)) {
    const { present: votes, quorum } = countVotes(electoratesOf(state), joined);
    return say(
      "NO_QUORUM",
      `Votes joined: ${votes}, needed: ${quorum}; a node that lost its state has none.`,
    );
  }
  const notNewer = (node: NodeId) => {
    if (node === durable.node) return true;
    const peer = freshPeer(state, node, nowUs);
    return peer !== null && compareConfigRefs(peer.ballot.stored, durable.stored) <= 0;
  };
  if (!isQuorum(electoratesOf(state), notNewer))
    return say("CONFIG_OLD", "Others have a newer configuration.");
  return null;
}

/** Whom the master that this node followed has named when it released its term. */
function namedSuccessor(state: QuorumState): NodeId | null {
  const { follows, term } = state.durable;
  const released = follows === null ? null : state.peers.get(follows)?.ballot.released;
  return released != null && released.term >= term ? released.successor : null;
}

/** As a fact: the old master released its term in favour of that node. */
function releasedFor(state: QuorumState, successor: NodeId): { releasedBy?: NodeId } {
  const { follows } = state.durable;
  return follows !== null && namedSuccessor(state) === successor ? { releasedBy: follows } : {};
}

/** Who is present and ranks before this node: able ones first, then members of the view, then by prio and id. */
function nodesAhead(state: QuorumState, nowUs: number): NodeId[] {
  const { durable } = state;
  const rankOf = (node: NodeId, bootId: string | undefined, able: boolean) => {
    const entry = votersEntry(durable.voters, node);
    return {
      id: node,
      prio: entry?.prio ?? 0,
      absent: bootId === undefined || !isMember(state, node, bootId) ? 1 : 0,
      unable: able ? 0 : 1,
    };
  };
  const own = rankOf(durable.node, state.bootId, ownAbility(state, nowUs).ok);
  const ahead: NodeId[] = [];
  for (const entry of durable.voters.nodes) {
    const peer = entry.id === durable.node || entry.prio === 0 ? null : freshPeer(state, entry.id, nowUs);
    if (peer === null || peer.ballot.leaving) continue;
    const other = rankOf(entry.id, peer.ballot.name.bootId, peer.ballot.able.ok);
    if ((own.unable - other.unable || own.absent - other.absent || compareRank(other, own) * -1) > 0)
      ahead.push(entry.id);
  }
  return ahead;
}

/**
 * How long to wait after becoming eligible: one heartbeat for each node that is present, able and ranks higher.
 * A delay, never a condition: whatever the others do, this node's turn comes.
 */
function standDelayUs(state: QuorumState, nowUs: number): number {
  const named = namedSuccessor(state);
  if (named === state.durable.node) return 0;
  const lastResort = ownAbility(state, nowUs).ok ? 0 : LAST_RESORT_HEARTBEATS;
  const extra = (named === null ? 0 : SUCCESSOR_HEARTBEATS) + lastResort;
  return (nodesAhead(state, nowUs).length + extra) * promiseTiming(state).heartbeatUs;
}

/**
 * Whether this node is about to stand and `rival` ranks behind it: then it does not help the rival, or both would
 * stand and neither win. Only for its first turn: one that nobody hears must not keep others from winning.
 */
function isOwnTurn(state: QuorumState, rival: NodeId, nowUs: number): boolean {
  const { eligibleSinceUs } = state;
  if (eligibleSinceUs === null || nodesAhead(state, nowUs).includes(rival)) return false;
  const turnUs = CANDIDACY_HEARTBEATS * promiseTiming(state).heartbeatUs;
  return nowUs < eligibleSinceUs + standDelayUs(state, nowUs) + turnUs;
}

/** Gives up a candidacy that has had its time. Comes before any vote is counted: a thawed candidate is late. */
export function expireCandidacy(state: QuorumState, nowUs: number): Reason[] {
  const { candidacy } = state;
  if (candidacy === null || state.wonTerm !== null) return [];
  const { heartbeatUs } = promiseTiming(state);
  // Its time runs from when the others could first hear of it: writing the vote down may have taken long.
  candidacy.askedAtUs ??= Math.min(nowUs, candidacy.sinceUs + SLOW_DISK_HEARTBEATS * heartbeatUs);
  const endUs = candidacy.askedAtUs + CANDIDACY_HEARTBEATS * heartbeatUs;
  return nowUs >= endUs ? [abandon(state, nowUs)] : [];
}

/** Moves an election on by the clock: becoming eligible, asking, standing. */
export function advanceElection(state: QuorumState, nowUs: number): Reason[] {
  const timing = promiseTiming(state);
  const hindrance = obstacle(state, nowUs);
  if (hindrance !== null) {
    state.eligibleSinceUs = null;
    state.preVote = null;
    state.hindrance = hindrance;
    return [];
  }
  state.hindrance = null;
  state.eligibleSinceUs ??= nowUs;
  if (nowUs < state.eligibleSinceUs + standDelayUs(state, nowUs)) return [];
  const askedLongEnough =
    state.preVote !== null && nowUs >= state.preVote.sinceUs + CANDIDACY_HEARTBEATS * timing.heartbeatUs;
  if (askedLongEnough && isRivalAsking(state, nowUs)) {
    // Each helps the first who asked for as long as that one asks: rivals who need each other would ask for ever.
    state.preVote = null;
    state.standNotBeforeUs = nowUs + randomWaitUs(state);
    return [];
  }
  if (state.preVote === null || askedLongEnough) {
    state.preVote = { term: highestTerm(state, nowUs) + 1, sinceUs: nowUs };
  }
  return tryStand(state, nowUs);
}

function isRivalAsking(state: QuorumState, nowUs: number): boolean {
  return state.durable.voters.nodes.some(
    ({ id }) => id !== state.durable.node && freshPeer(state, id, nowUs)?.ballot.preVote != null,
  );
}

/** 2 to 5 heartbeats, so that rivals do not meet again. */
function randomWaitUs(state: QuorumState): number {
  return Math.round((2 + 3 * nextRandom(state)) * promiseTiming(state).heartbeatUs);
}

/** Stands once a quorum says that it would vote for this node. */
export function tryStand(state: QuorumState, nowUs: number): Reason[] {
  const { preVote, durable } = state;
  if (preVote === null || obstacle(state, nowUs) !== null) return [];
  const wouldVote = (node: NodeId) => {
    if (node === durable.node) return true;
    const answer = freshPeer(state, node, nowUs)?.ballot.preVoteFor;
    return answer?.node === durable.node && answer.term === preVote.term;
  };
  // A named successor need not ask first: the release that names it has freed everybody.
  if (namedSuccessor(state) !== durable.node && !isQuorum(electoratesOf(state), wouldVote)) return [];
  state.preVote = null;
  const released = releasedFor(state, durable.node);
  remember(state, { term: preVote.term, follows: durable.node });
  state.candidacy = { term: preVote.term, sinceUs: nowUs };
  const why =
    released.releasedBy === undefined
      ? "a quorum would vote for this node"
      : `node ${released.releasedBy} released its term in favour of this node`;
  return [
    {
      code: "STANDING",
      message: `Standing for master in term ${preVote.term}: ${why}.`,
      facts: { term: preVote.term, ...released },
    },
  ];
}

function highestTerm(state: QuorumState, nowUs: number): number {
  let term = state.durable.term;
  for (const entry of state.durable.voters.nodes) {
    const peer = freshPeer(state, entry.id, nowUs);
    if (peer !== null) term = Math.max(term, peer.ballot.term);
  }
  return term;
}

/** Gives a candidacy up for good and waits a random time. */
export function abandon(state: QuorumState, nowUs: number): Reason {
  const { term } = state.durable;
  remember(state, { overTerm: term, successor: null, tried: [] });
  state.candidacy = null;
  state.standNotBeforeUs = nowUs + randomWaitUs(state);
  return {
    code: "ELECTION_LOST",
    message: `Term ${term} was not won in ${CANDIDACY_HEARTBEATS} heartbeats.`,
    facts: { term },
  };
}

/** A fraction in [0, 1) from the seeded generator (xorshift32: any spread will do, it only parts rivals). */
function nextRandom(state: QuorumState): number {
  let x = state.random || 0x9e3779b9;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  state.random = x >>> 0;
  return state.random / 2 ** 32;
}

/** Answers a peer's question whether it could win. */
export function considerPreVote(state: QuorumState, ballot: Ballot, nowUs: number): void {
  const { durable } = state;
  if (ballot.preVote === null) {
    if (state.preVoteFor?.node === ballot.node) state.preVoteFor = null;
    return;
  }
  const grants =
    mayVote(state, nowUs) &&
    !ballot.amnesic &&
    state.wonTerm === null &&
    ballot.preVote.term > durable.term &&
    isFreeFor(state, ballot.node, nowUs) &&
    configIsAsNew(state, ballot) &&
    !isOwnTurn(state, ballot.node, nowUs);
  // The first to ask keeps the answer while it goes on asking: rivals do not take it from each other.
  const rival =
    state.preVoteFor !== null &&
    state.preVoteFor.node !== ballot.node &&
    freshPeer(state, state.preVoteFor.node, nowUs)?.ballot.preVote != null;
  if (grants && !rival) state.preVoteFor = { node: ballot.node, term: ballot.preVote.term };
  else if (state.preVoteFor?.node === ballot.node) state.preVoteFor = null;
}

function configIsAsNew(state: QuorumState, ballot: Ballot): boolean {
  const order = compareConfigRefs(ballot.stored, state.durable.stored);
  return order > 0 || (order === 0 && ballot.stored.digest === state.durable.stored.digest);
}

/** Votes for a candidate, or follows a winner; both bind alike. */
export function considerFollowing(state: QuorumState, ballot: Ballot, nowUs: number): Reason | null {
  const { durable } = state;
  if (ballot.follows !== ballot.node || ballot.amnesic) return null;
  if (ballot.released !== null && ballot.released.term >= ballot.term) return null;
  if (state.wonTerm !== null || ballot.term < durable.term || !isFreeFor(state, ballot.node, nowUs))
    return null;
  if (ballot.master) {
    if (ballot.term === durable.term && durable.follows === ballot.node) return null;
    if (nowUs < state.silentUntilUs || state.resuming) return null;
    const released = releasedFor(state, ballot.node);
    follow(state, ballot, nowUs);
    return {
      code: "FOLLOWING",
      message: `Node ${ballot.node} is master of term ${ballot.term}.`,
      facts: { master: ballot.node, term: ballot.term, ...released },
    };
  }
  if (ballot.term === durable.term || !mayVote(state, nowUs) || !configIsAsNew(state, ballot)) return null;
  const released = releasedFor(state, ballot.node);
  follow(state, ballot, nowUs);
  return {
    code: "VOTED",
    message: `Voted for node ${ballot.node} in term ${ballot.term}.`,
    facts: { candidate: ballot.node, term: ballot.term, ...released },
  };
}

function follow(state: QuorumState, ballot: Ballot, nowUs: number): void {
  const ownCandidacy = state.durable.follows === state.durable.node;
  remember(state, {
    term: ballot.term,
    follows: ballot.node,
    overTerm: ownCandidacy ? Math.max(state.durable.overTerm, state.durable.term) : state.durable.overTerm,
  });
  state.candidacy = null;
  state.preVote = null;
  state.preVoteFor = null;
  // Another has won: whoever gave the mastership away may stand again after it.
  if (ballot.master) state.standNotBeforeUs = 0;
  // The promise to the one before is over, or is to this very node.
  promise(state, nowUs);
}

/** A candidate with a quorum of votes is master of its term. */
export function tryWin(state: QuorumState, nowUs: number, resumed = false): Reason[] {
  const { durable, candidacy } = state;
  if (candidacy === null || candidacy.term !== durable.term) return [];
  const votes: Ballot[] = [];
  const voted = (node: NodeId) => {
    if (node === durable.node) return true;
    const ballot = freshPeer(state, node, nowUs)?.ballot;
    const isVote = ballot !== undefined && ballot.term === durable.term && ballot.follows === durable.node;
    if (isVote) votes.push(ballot);
    return isVote;
  };
  if (!isQuorum(electoratesOf(state), voted)) return [];
  state.candidacy = null;
  // A lifted or resumed mastership is the same one under another name: what it knew stays.
  const fresh = state.wonTerm === null && !resumed;
  if (fresh) {
    state.handedTo = new Set(inheritedFailures(state));
    state.ableSinceUs = null;
    state.wonAtUs = nowUs;
  }
  state.wonTerm = durable.term;
  state.committed = null;
  state.fencing.clear();
  const elected: Reason = {
    code: "ELECTED",
    message: `Elected master of term ${durable.term} by ${votes.length + 1} nodes.`,
    facts: {
      term: durable.term,
      voters: votes
        .map(({ node }) => node)
        .toSorted((a, b) => a - b)
        .join(" "),
    },
  };
  remember(state, {
    generation: durable.generation + 1,
    stickyVersion: fresh ? null : durable.stickyVersion,
    tried: [],
  });
  const view = publishFirstView(state, votes);
  return view === null ? [elected] : [elected, view];
}

/** Whoever could not serve before this node and handed the mastership on to it. */
function inheritedFailures(state: QuorumState): NodeId[] {
  const { durable } = state;
  for (const { ballot } of state.peers.values()) {
    const { released } = ballot;
    if (released?.successor === durable.node && released.term >= durable.view.term) return released.tried;
  }
  return [];
}
