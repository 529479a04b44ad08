import type { Ballot, NodeId } from "@quorate/contracts";
import { electoratesOf, leaseTiming, type QuorumState } from "./state.ts";
import { quorumValue } from "./quorum.ts";
import { timingOf } from "./timing.ts";

/**
 * Takes the acknowledgements out of a voter's ballot. A lease counts from the moment the acknowledged ballot
 * was built, as echoed, and lasts no longer than the voter's own promise.
 */
export function takeAcknowledgements(state: QuorumState, ballot: Ballot): void {
  const echo = ballot.echoes.find((entry) => entry.node === state.durable.node);
  if (echo === undefined || ballot.amnesic) return;
  const leaseUs = Math.min(leaseTiming(state).leaseUs, timingOf(ballot.tokenMs).leaseUs);
  const follows = ballot.term === state.durable.term && ballot.follows === state.durable.node;
  // When resuming: the voter's clock tells what this host's may have slept through.
  const tooOld = state.resuming && (echo.received?.ageUs ?? 0) > 2 * leaseTiming(state).tokenUs;
  if (follows && !tooOld && isOwnName(state, echo.received)) {
    raise(state.receivedBy, ballot.node, echo.received.atUs + leaseUs);
  }
  if (isOwnName(state, echo.granted)) raise(state.grantedBy, ballot.node, echo.granted.atUs + leaseUs);
}

function isOwnName(
  state: QuorumState,
  name: { bootId: string; atUs: number } | null,
): name is { bootId: string; atUs: number } {
  return name !== null && name.bootId === state.bootId && name.atUs >= state.voidBeforeUs;
}

function raise(ends: Map<NodeId, number>, node: NodeId, endUs: number): void {
  const present = ends.get(node);
  if (present === undefined || endUs > present) ends.set(node, endUs);
}

/** Whether this node's adopted view has this boot of it as a member. */
export function isMember(state: QuorumState, node: NodeId, bootId: string): boolean {
  return state.durable.view.members.some((member) => member.node === node && member.bootId === bootId);
}

/** Recomputes both leases from the acknowledgements in hand. The node itself acknowledges its newest ballot. */
export function renewLeases(state: QuorumState): void {
  const { node, amnesic, out } = state.durable;
  const electorates = electoratesOf(state);
  const ownEndUs =
    amnesic || state.lastNameUs === 0 || state.lastNameUs < state.voidBeforeUs
      ? Number.NEGATIVE_INFINITY
      : state.lastNameUs + leaseTiming(state).leaseUs;
  if (state.wonTerm !== null && state.closing === null) {
    const endUs = quorumValue(electorates, (voter) =>
      voter === node ? ownEndUs : (state.receivedBy.get(voter) ?? Number.NEGATIVE_INFINITY),
    );
    if (endUs > state.masterLeaseEndUs) {
      state.masterLeaseEndUs = endUs;
      state.selfPromiseUntilUs = Math.max(state.selfPromiseUntilUs, endUs);
    }
  }
  if (out || amnesic) {
    state.nodeLeaseEndUs = 0;
    return;
  }
  const grantsSelf = isMember(state, node, state.bootId);
  const endUs = quorumValue(electorates, (voter) => {
    if (voter === node) return grantsSelf ? ownEndUs : Number.NEGATIVE_INFINITY;
    return state.grantedBy.get(voter) ?? Number.NEGATIVE_INFINITY;
  });
  if (endUs > state.nodeLeaseEndUs) state.nodeLeaseEndUs = endUs;
}

/** Whether any voter's word could still be an acknowledgement of a predecessor's ballot: used when resuming. */
export function leaseFromPredecessorUs(state: QuorumState): number {
  const { node } = state.durable;
  return quorumValue(electoratesOf(state), (voter) =>
    // The predecessor acknowledged itself at least as late as the others acknowledged it.
    voter === node ? Number.MAX_SAFE_INTEGER : (state.receivedBy.get(voter) ?? Number.NEGATIVE_INFINITY),
  );
}
