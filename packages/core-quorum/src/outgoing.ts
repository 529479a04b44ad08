import type {
  Ballot,
  BallotName,
  Echo,
  GrantMessage,
  NodeId,
  QuorumMessage,
  Reason,
  Role,
} from "@quorate/contracts";
import { compareConfigRefs } from "@quorate/contracts";
import { mayVote, ownAbility } from "./election.ts";
import { absentNodes } from "./fencing.ts";
import { runningPromise } from "./promise.ts";
import { countVotes, electorateNodes } from "./quorum.ts";
import { electoratesOf, promiseTiming, type QuorumState } from "./state.ts";
import { isClean, quarantines } from "./view.ts";

/** What this node is right now. */
export function roleOf(state: QuorumState, nowUs: number): Role {
  if (state.wonTerm !== null && state.closing === null && nowUs < state.masterLeaseEndUs) return "master";
  return nowUs < state.nodeLeaseEndUs ? "slave" : "suspended";
}

/** Builds and names the next ballot. `changed` is for the step to fill in. */
export function buildBallot(state: QuorumState, nowUs: number): Ballot {
  const { durable } = state;
  const atUs = Math.max(nowUs, state.lastNameUs + 1);
  const released =
    durable.overTerm > 0 && nowUs >= state.selfPromiseUntilUs
      ? { term: durable.overTerm, successor: durable.successor, tried: durable.tried }
      : null;
  return {
    node: durable.node,
    name: { bootId: state.bootId, atUs },
    changed: false,
    tokenMs: durable.voters.tokenMs,
    term: durable.term,
    follows: durable.follows,
    master: state.wonTerm === durable.term,
    released,
    preVote: state.preVote === null ? null : { term: state.preVote.term },
    preVoteFor: state.preVoteFor,
    view: durable.view,
    out: durable.out,
    clean: isClean(state)
      ? { term: durable.term, viewTerm: durable.view.term, viewNumber: durable.view.number }
      : null,
    stored: durable.stored,
    committed: state.wonTerm === durable.term ? state.committed : null,
    able: ownAbility(state, nowUs),
    amnesic: durable.amnesic,
    leaving: state.leaving,
    echoes: buildEchoes(state, nowUs),
  };
}

function buildEchoes(state: QuorumState, nowUs: number): Echo[] {
  const echoes: Echo[] = [];
  for (const node of electorateNodes(electoratesOf(state))) {
    if (node === state.durable.node) continue;
    const peer = state.peers.get(node);
    const grant = state.lastGrants.get(node);
    echoes.push({
      node,
      received: peer === undefined ? null : receivedOf(peer.ballot.name, nowUs - peer.receivedAtUs),
      granted: grant?.name ?? null,
      // What a predecessor of this process granted is forgotten: it may have been just before the start.
      sinceLastGrantUs: nowUs - (grant?.atUs ?? state.startedAtUs),
    });
  }
  return echoes;
}

function receivedOf({ bootId, atUs }: BallotName, ageUs: number): Echo["received"] {
  return { bootId, atUs, ageUs };
}

const NO_NEWS: readonly (keyof Ballot)[] = ["name", "changed", "echoes", "able"];

/** Whether a ballot says what the last one said; names, ages and the words for an inability are no news. */
export function saysTheSame(ballot: Ballot, last: Ballot): boolean {
  if (ballot.able.ok !== last.able.ok || (!ballot.able.ok && ballot.able.code !== last.able.code))
    return false;
  for (const key of Object.keys(ballot) as (keyof Ballot)[]) {
    // Most are the very same objects as last time.
    if (ballot[key] === last[key] || NO_NEWS.includes(key)) continue;
    if (JSON.stringify(ballot[key]) !== JSON.stringify(last[key])) return false;
  }
  return true;
}

export function buildGrant(state: QuorumState, nowUs: number): GrantMessage {
  const { durable } = state;
  const role = roleOf(state, nowUs);
  return {
    stampUs: nowUs,
    term: state.wonTerm ?? durable.term,
    generation: durable.generation,
    role,
    masterLeaseEndUs: role === "master" ? state.masterLeaseEndUs : 0,
    nodeLeaseEndUs: nowUs < state.nodeLeaseEndUs ? state.nodeLeaseEndUs : 0,
    close: state.closing !== null,
    view: { term: durable.view.term, number: durable.view.number },
    disarmed: state.disarmed,
    reason: roleReason(state, nowUs),
  };
}

/** The part of a grant whose change must reach the actuator at once. */
export function grantContent(grant: GrantMessage): string {
  const { stampUs: _stamp, masterLeaseEndUs, nodeLeaseEndUs, reason: _reason, ...content } = grant;
  return JSON.stringify({ ...content, master: masterLeaseEndUs > 0, node: nodeLeaseEndUs > 0 });
}

function roleReason(state: QuorumState, nowUs: number): Reason {
  const { durable } = state;
  switch (roleOf(state, nowUs)) {
    case "master":
      return {
        code: "MASTER",
        message: `Master of term ${state.wonTerm}, acknowledged by a quorum.`,
        facts: { term: state.wonTerm },
      };
    case "slave":
      if (state.closing !== null) return state.closing.reason;
      if (state.wonTerm !== null) return lapsed(state.wonTerm);
      if (knownMaster(state, nowUs) === null)
        return state.hindrance === null
          ? { code: "SLAVE", message: "In the view, without a master, and about to stand." }
          : withHindrance(state, "SLAVE", "In the view, without a master.");
      return {
        code: "SLAVE",
        message: `In the view; follows node ${durable.follows}.`,
        facts: { follows: durable.follows, term: durable.term },
      };
    case "suspended":
      if (durable.amnesic)
        return {
          code: "AMNESIC",
          message: "The state was lost; only a master's new configuration re-admits this node.",
        };
      if (durable.out)
        return { code: "OUT", message: "This node was removed from the view and is not yet back in." };
      if (state.wonTerm !== null) return lapsed(state.wonTerm);
      return withHindrance(state, "NO_LEASE", "No quorum has granted this node a lease lately.");
  }
}

function lapsed(term: number): Reason {
  const message = `The master lease of term ${term} ran out: no quorum acknowledges this master.`;
  return { code: "NO_LEASE", message };
}

/** What is the case, and why this node does nothing about it: it would have to stand, and may not. */
function withHindrance({ hindrance }: QuorumState, code: string, what: string): Reason {
  if (hindrance === null) return { code, message: what };
  return { ...hindrance, message: `${what} ${hindrance.message}` };
}

/** Whom this node is promised to and hears as a master. */
function knownMaster(state: QuorumState, nowUs: number): NodeId | null {
  const running = runningPromise(state, nowUs);
  if (running === null || running.to === state.durable.node) return null;
  return state.peers.get(running.to)?.ballot.master === true ? running.to : null;
}

export function buildQuorumMessage(state: QuorumState, nowUs: number): QuorumMessage {
  const { durable } = state;
  const electorates = electoratesOf(state);
  const { tokenUs, heartbeatUs } = promiseTiming(state);
  const role = roleOf(state, nowUs);
  const running = runningPromise(state, nowUs);
  const leader = role === "master" ? durable.node : knownMaster(state, nowUs);
  const votes = countVotes(electorates, (node) => {
    const peer = state.peers.get(node);
    return node === durable.node
      ? !durable.amnesic
      : peer !== undefined &&
          !peer.ballot.amnesic &&
          nowUs - peer.receivedAtUs < tokenUs &&
          state.peerStates.get(node)?.state === "joined";
  });
  const settling = nowUs < state.startedAtUs + 3 * tokenUs;
  return {
    stampUs: nowUs,
    node: durable.node,
    bootId: state.bootId,
    // While a master lifts its term it is master of the old one, and of no other.
    term: role === "master" ? (state.wonTerm ?? durable.term) : durable.term,
    role,
    leader,
    masterLeaseEndUs: role === "master" ? state.masterLeaseEndUs : 0,
    nodeLeaseEndUs: state.nodeLeaseEndUs,
    promise: running === null || running.to === durable.node ? null : running,
    view: durable.view,
    out: durable.out,
    amnesic: durable.amnesic,
    votes,
    quorate: role !== "suspended" ? "yes" : settling ? "pending" : "no",
    quarantines: state.wonTerm === durable.term ? quarantines(state, nowUs) : [],
    fences: (state.wonTerm === durable.term ? absentNodes(state) : []).map((node) => {
      const fencing = state.fencing.get(node);
      return {
        node,
        verdict: fencing?.fencedAtUs == null ? ("pending" as const) : ("yes" as const),
        atUs: fencing?.fencedAtUs ?? null,
      };
    }),
    stored: durable.stored,
    committed: state.committed,
    joint: durable.jointWith.length > 0,
    disarmedUntil: state.disarmedUntil,
    readmit:
      state.wonTerm === durable.term
        ? [...state.peers.values()]
            .filter((peer) => peer.ballot.amnesic && nowUs - peer.receivedAtUs < heartbeatUs * 5)
            .map((peer) => peer.ballot.node)
            .toSorted((left, right) => left - right)
        : [],
    problems: problems(state, nowUs),
    reason: roleReason(state, nowUs),
  };
}

function problems(state: QuorumState, nowUs: number): Reason[] {
  const list: Reason[] = [];
  const { durable } = state;
  const ability = ownAbility(state, nowUs);
  if (durable.amnesic)
    list.push({
      code: "AMNESIC",
      message: "This node lost its state and has no vote until the master re-admits it.",
    });
  if (state.forkedWith !== null) {
    list.push({
      code: "CONFIG_FORK",
      message: `Node ${state.forkedWith} has another configuration under the same version: initialise both from one file.`,
      facts: { node: state.forkedWith },
    });
  }
  const master = durable.follows === null ? undefined : state.peers.get(durable.follows)?.ballot;
  if (master?.master === true && compareConfigRefs(master.stored, durable.stored) > 0) {
    list.push({
      code: "CONFIG_OLD",
      message: `The master has version ${master.stored.version} of the configuration, this node ${durable.stored.version}.`,
      facts: { master: master.node, version: durable.stored.version },
    });
  }
  if (!ability.ok) list.push({ code: ability.code, message: ability.message });
  if (durable.jointWith.length > 0)
    list.push({
      code: "JOINT",
      message: "A change of nodes, votes or token is in flight; the old and the new quorum both count.",
    });
  if (state.wonTerm !== null && state.committed === null)
    list.push({ code: "NOT_COMMITTED", message: "No configuration is committed in this term yet." });
  if (!mayVote(state, nowUs))
    list.push({
      code: "SILENT",
      message: "This node does not vote yet: promises from before its start may still run.",
    });
  return list;
}

export function noteFork(state: QuorumState, ballot: Ballot): void {
  const fork =
    compareConfigRefs(ballot.stored, state.durable.stored) === 0 &&
    ballot.stored.digest !== state.durable.stored.digest;
  if (fork) state.forkedWith = ballot.node;
  else if (state.forkedWith === ballot.node) state.forkedWith = null;
}
