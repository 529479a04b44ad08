import type { Ballot, NodeId } from "@quorate/contracts";
import { promiseTiming, type QuorumState } from "./state.ts";

/**
 * Whether nothing is owed to `node` any more: it said that its mastership or candidacy of `term` is over, or it
 * follows somebody else, which it may do only once its own lease has ended and its gate is shut.
 */
function hasReleased(state: QuorumState, node: NodeId, term: number): boolean {
  const ballot = state.peers.get(node)?.ballot;
  if (ballot === undefined) return false;
  if (ballot.released !== null && ballot.released.term >= term) return true;
  return !ballot.amnesic && ballot.term >= term && ballot.follows !== null && ballot.follows !== node;
}

/** Whom this node must not vote against, and until when; null when it is free. */
export function runningPromise(state: QuorumState, nowUs: number): { to: NodeId; untilUs: number } | null {
  const { follows, node, term } = state.durable;
  if (follows === null) return null;
  if (follows === node) {
    // An unfinished mastership or candidacy of one's own; over, it still binds while its lease could run.
    if (state.durable.overTerm < term) return { to: node, untilUs: Number.POSITIVE_INFINITY };
    return nowUs < state.selfPromiseUntilUs ? { to: node, untilUs: state.selfPromiseUntilUs } : null;
  }
  if (hasReleased(state, follows, term)) return null;
  return nowUs < state.promiseUntilUs ? { to: follows, untilUs: state.promiseUntilUs } : null;
}

/** Whether a vote for (or following) `candidate` breaks no promise. The promise is to the node, not to its term. */
export function isFreeFor(state: QuorumState, candidate: NodeId, nowUs: number): boolean {
  const promise = runningPromise(state, nowUs);
  return promise === null || promise.to === candidate;
}

/** Promises `node` T(1 + rho) from `fromUs`. Never shortens one that runs: leases were counted on it. */
export function promise(state: QuorumState, fromUs: number): void {
  state.promiseUntilUs = Math.max(state.promiseUntilUs, fromUs + promiseTiming(state).promiseUs);
}

/** A new ballot of the one this node follows renews the promise; one that lost its state holds no lease on it. */
export function renewPromise(state: QuorumState, ballot: Ballot, receivedAtUs: number): void {
  if (ballot.amnesic || ballot.follows !== ballot.node) return;
  if (ballot.node === state.durable.follows && ballot.node !== state.durable.node)
    promise(state, receivedAtUs);
}
