import {
  type Ballot,
  compareConfigRefs,
  type NodeId,
  type Reason,
  type ReportMessage,
} from "@quorate/contracts";
import { abandon, isRegisterBehind, isSoftInability, ownAbility, tryWin } from "./election.ts";
import { isActuatorSilent } from "./inbox.ts";
import { leaseFromPredecessorUs } from "./lease.ts";
import { compareRank, isQuorum } from "./quorum.ts";
import { raisedAboveMaster } from "./register.ts";
import { electoratesOf, promiseTiming, type QuorumState, remember, votersEntry } from "./state.ts";

/** How long a restarted master listens. Nothing is sent meanwhile, so waiting costs no safety. */
const RESUME_HEARTBEATS = 5;
/** A master that cannot hold the address at all may, after this long, hand over to those that were tried before. */
const TRY_AGAIN_US = 30_000_000;
/** A master that could serve for so long without a break may hand over to anybody again. */
const FORGIVE_US = 60_000_000;
/** A node that gave the mastership away does not stand again before another won or this many tokens passed. */
const RELEASE_WAIT_TOKENS = 2;

/** Ends this node's mastership or candidacy of its term for good. */
function endMastership(state: QuorumState): void {
  remember(state, { overTerm: state.durable.term, successor: null });
  state.wonTerm = null;
  state.candidacy = null;
  state.closing = null;
  state.masterLeaseEndUs = 0;
  state.receivedBy.clear();
  state.committed = null;
  state.fencing.clear();
}

/** What the clock ends: a lapsed lease, a resumption that found nothing, an order to shut that ran out. */
export function expireMastership(state: QuorumState, nowUs: number): Reason[] {
  const { durable } = state;
  const timing = promiseTiming(state);
  if (state.resuming) {
    const leaseUs = leaseFromPredecessorUs(state);
    const voices = isQuorum(
      electoratesOf(state),
      (node) => node === durable.node || state.receivedBy.has(node),
    );
    if (voices && leaseUs + timing.tokenUs > nowUs) {
      state.resuming = false;
      // The lease is the predecessor's; whether it still runs is for the next acknowledgements to say.
      state.candidacy = { term: durable.term, sinceUs: nowUs };
      const resumed: Reason[] = [
        {
          code: "RESUMED",
          message: `Restarted as master of term ${durable.term}; its lease has not lapsed.`,
          facts: { term: durable.term },
        },
      ];
      return [...resumed, ...tryWin(state, nowUs, true)];
    }
    if (nowUs < state.startedAtUs + RESUME_HEARTBEATS * timing.heartbeatUs) return [];
    state.resuming = false;
    endMastership(state);
    return [
      {
        code: "MASTERSHIP_OVER",
        message: `Restarted too late: the mastership of term ${durable.term} is over.`,
        facts: { term: durable.term },
      },
    ];
  }
  if (state.wonTerm === null) return [];
  if (state.closing !== null) {
    if (nowUs < state.selfPromiseUntilUs) return [];
    return [release(state, nowUs, "The gate was not confirmed shut; its lease has run out.")];
  }
  const lifting = state.wonTerm !== durable.term;
  const graceUs = lifting ? 0 : timing.tokenUs;
  if (state.masterLeaseEndUs === 0 || nowUs < state.masterLeaseEndUs + graceUs) return [];
  const { term } = durable;
  endMastership(state);
  return [
    {
      code: "MASTERSHIP_OVER",
      message: `The master lease of term ${term} lapsed and was not renewed.`,
      facts: { term },
    },
  ];
}

/** A newer master shows that this node's own lapsed mastership, or its candidacy, is over. */
export function yieldTo(state: QuorumState, ballot: Ballot, nowUs: number): Reason[] {
  const { durable } = state;
  if (!ballot.master || ballot.term < durable.term || ballot.node === durable.node) return [];
  if (state.wonTerm !== null && ballot.term > durable.term && nowUs >= state.selfPromiseUntilUs) {
    const { term } = durable;
    endMastership(state);
    return [
      {
        code: "MASTERSHIP_OVER",
        message: `Node ${ballot.node} is master of term ${ballot.term}; term ${term} is over.`,
        facts: { term, master: ballot.node },
      },
    ];
  }
  if (state.candidacy !== null && state.wonTerm === null) return [abandon(state, nowUs)];
  return [];
}

/** A master that hears a higher term from a joined node lifts its own above it; its followers may follow at once. */
export function liftTerm(state: QuorumState, ballot: Ballot, nowUs: number): Reason | null {
  const { durable } = state;
  if (state.wonTerm === null || state.closing !== null || ballot.amnesic) return null;
  if (ballot.term <= durable.term || nowUs >= state.masterLeaseEndUs) return null;
  if (state.peerStates.get(ballot.node)?.state !== "joined") return null;
  const term = ballot.term + 1;
  remember(state, { term, follows: durable.node });
  state.candidacy = { term, sinceUs: nowUs };
  return {
    code: "TERM_LIFTED",
    message: `Node ${ballot.node} is at term ${ballot.term}; this master lifts its own to ${term}.`,
    facts: { node: ballot.node, term },
  };
}

/** Whether `node` could take over now: present, able, allowed to lead, its configuration current. */
export function canTakeOver(state: QuorumState, node: NodeId, nowUs: number): boolean {
  const entry = votersEntry(state.durable.voters, node);
  const peer = state.peers.get(node);
  if (entry === undefined || entry.prio === 0 || peer === undefined || node === state.durable.node)
    return false;
  const { ballot, receivedAtUs } = peer;
  return (
    nowUs - receivedAtUs <= promiseTiming(state).heartbeatUs * 5 &&
    state.peerStates.get(node)?.state === "joined" &&
    ballot.able.ok &&
    !ballot.amnesic &&
    !ballot.leaving &&
    !ballot.out &&
    ballot.term === state.durable.term &&
    ballot.follows === state.durable.node &&
    // The same document under an earlier term is not current: a voter that has the newer one would refuse it. What
    // this node alone had and lost, nobody can have.
    (isRegisterBehind(state) ||
      (compareConfigRefs(ballot.stored, state.durable.stored) === 0 &&
        ballot.stored.digest === state.durable.stored.digest))
  );
}

function bestSuccessor(state: QuorumState, nowUs: number, accept: (node: NodeId) => boolean): NodeId | null {
  const candidates = state.durable.voters.nodes.filter(
    (node) => accept(node.id) && canTakeOver(state, node.id, nowUs),
  );
  return candidates.toSorted(compareRank)[0]?.id ?? null;
}

/** Starts a hand-over: the actuator is told to shut the gate; the lease is not renewed any more. */
export function startClosing(state: QuorumState, successor: NodeId | null, reason: Reason): void {
  remember(state, { generation: state.durable.generation + 1 });
  state.closing = { successor, reason };
  state.masterLeaseEndUs = 0;
}

/** The actuator read the shut gate back from the kernel: now, and not before, the term may be released. */
export function takeShutConfirmation(
  state: QuorumState,
  report: ReportMessage,
  nowUs: number,
): Reason | null {
  const { closing, durable, wonTerm } = state;
  const confirmed = report.shutConfirmed;
  if (closing === null || wonTerm === null || confirmed === null) return null;
  if (confirmed.term !== wonTerm || confirmed.generation !== durable.generation) return null;
  return release(state, nowUs, "The gate is shut, read back from the kernel.");
}

function release(state: QuorumState, nowUs: number, how: string): Reason {
  const { term } = state.durable;
  const successor = state.closing?.successor ?? null;
  endMastership(state);
  remember(state, { successor });
  state.selfPromiseUntilUs = nowUs;
  state.standNotBeforeUs = nowUs + RELEASE_WAIT_TOKENS * promiseTiming(state).tokenUs;
  return {
    code: "RELEASED",
    message: `Term ${term} is released${successor === null ? "" : ` in favour of node ${successor}`}. ${how}`,
    facts: { term, successor },
  };
}

/** Hand-overs that nobody asked for by name: a raised prio, or this node's inability. */
export function considerHandOver(state: QuorumState, nowUs: number, drainedUs: number): Reason | null {
  const { durable } = state;
  if (state.wonTerm !== durable.term || state.closing !== null || state.disarmed) return null;
  if (nowUs >= state.masterLeaseEndUs) return null;
  const raised = raisedAboveMaster(state);
  if (raised !== null && canTakeOver(state, raised, nowUs)) {
    const reason: Reason = {
      code: "PRIO_RAISED",
      message: `Node ${raised} was given a higher prio than this master.`,
      facts: { node: raised },
    };
    startClosing(state, raised, reason);
    return reason;
  }
  const ability = ownAbility(state, nowUs);
  if (ability.ok) {
    state.ableSinceUs ??= nowUs;
    if (nowUs - state.ableSinceUs >= FORGIVE_US) state.handedTo.clear();
    return null;
  }
  state.ableSinceUs = null;
  if (ability.code === "NO_ACTUATOR" && !isActuatorSilent(state, drainedUs)) return null;
  // A broken service is as broken elsewhere; a missing carrier or actuator is this node's own.
  const again = !isSoftInability(ability.code) && nowUs - state.wonAtUs >= TRY_AGAIN_US;
  const successor = bestSuccessor(state, nowUs, (node) => again || !state.handedTo.has(node));
  if (successor === null) return null;
  const reason: Reason = {
    code: ability.code,
    message: `This master hands over to node ${successor}: ${ability.message}`,
    facts: { node: successor },
  };
  remember(state, { tried: [...state.handedTo, durable.node].toSorted((left, right) => left - right) });
  startClosing(state, successor, reason);
  return reason;
}

/** An operator's order. Returns why it is refused, or null when it was taken. */
export function orderMove(state: QuorumState, target: NodeId, nowUs: number): Reason | null {
  if (state.wonTerm === null) return { code: "NOT_MASTER", message: "This node is not the master." };
  if (state.wonTerm !== state.durable.term) {
    return { code: "BUSY", message: "This master is lifting its term; ask again in a moment." };
  }
  if (votersEntry(state.durable.voters, target) === undefined)
    return { code: "NODE_UNKNOWN", message: `Node ${target} is not in the node list.` };
  if (target === state.durable.node)
    return { code: "ALREADY_MASTER", message: `Node ${target} is the master already.` };
  if (state.closing !== null) return { code: "BUSY", message: "A hand-over is under way." };
  if (!canTakeOver(state, target, nowUs)) {
    const able = state.peers.get(target)?.ballot.able;
    return {
      code: "UNSAFE",
      message: `Node ${target} cannot take over now${able !== undefined && !able.ok ? `: ${able.message}` : ": it is not joined, not in the view, not current, or has prio 0."}`,
    };
  }
  startClosing(state, target, {
    code: "MOVE_ORDERED",
    message: `An operator moves the mastership to node ${target}.`,
    facts: { node: target },
  });
  return null;
}

/** This node stops for good: first the mastership goes, then the node asks to leave the view. */
export function orderDrain(state: QuorumState, nowUs: number): Reason[] {
  state.leaving = true;
  state.preVote = null;
  return state.candidacy !== null && state.wonTerm === null ? [abandon(state, nowUs)] : [];
}

/** A leaving node that is master, whenever it became it, gives the mastership away. */
export function considerLeaving(state: QuorumState, nowUs: number): Reason | null {
  if (!state.leaving || state.wonTerm !== state.durable.term || state.closing !== null) return null;
  const reason: Reason = { code: "DRAINED", message: "This node was told to stop." };
  startClosing(
    state,
    bestSuccessor(state, nowUs, () => true),
    reason,
  );
  return reason;
}

/**
 * The kernel stood still for `jumpUs` while the monotonic clock did not see it: every lease is void, and a
 * mastership that lapsed a token ago by the real time is over.
 */
export function voidLeases(state: QuorumState, nowUs: number, jumpUs: number): void {
  const { wonTerm, masterLeaseEndUs } = state;
  state.voidBeforeUs = nowUs;
  state.receivedBy.clear();
  state.grantedBy.clear();
  state.nodeLeaseEndUs = 0;
  if (wonTerm === null) return;
  if (masterLeaseEndUs + promiseTiming(state).tokenUs < nowUs + jumpUs) endMastership(state);
  else state.masterLeaseEndUs = Math.min(masterLeaseEndUs, nowUs);
}
