import { promiseTiming, type QuorumState } from "./state.ts";

/**
 * Whether this node is master and may soon judge somebody by his silence. Its shell then makes sure of what has been
 * read (`drainedUs` of the next inputs): what was sent while this process was stopped lies unread in its inbox, and a
 * thawed master must judge nobody before it has read that.
 */
export function judgesBySilence(state: QuorumState, nowUs: number): boolean {
  if (state.wonTerm === null) return false;
  const isLong = (sinceUs: number) => nowUs - sinceUs > promiseTiming(state).tokenUs / 2;
  const unheard = state.peers.size < state.durable.voters.nodes.length - 1;
  return (
    unheard ||
    isLong(reportedAtUs(state)) ||
    [...state.peers.values()].some((peer) => isLong(peer.receivedAtUs)) ||
    [...state.peerStates.values()].some((peer) => peer.state === "one-way")
  );
}

/** Whether the actuator has been silent for a token, and nothing of it lies unread. */
export function isActuatorSilent(state: QuorumState, drainedUs: number): boolean {
  return drainedUs - reportedAtUs(state) > promiseTiming(state).tokenUs;
}

/**
 * When the silence of the actuator or of a peer reaches a token, if nothing more is read of him: the earliest instants
 * at which a master may judge it. Empty at everybody else.
 */
export function silencesEndUs(state: QuorumState): number[] {
  if (state.wonTerm === null) return [];
  const heardAtUs = [reportedAtUs(state), ...[...state.peers.values()].map((peer) => peer.receivedAtUs)];
  return heardAtUs.map((atUs) => atUs + promiseTiming(state).tokenUs + 1);
}

/** Whether somebody who has been read until `beforeUs` has reached a silence of a token by `untilUs`: no time to lose. */
export function isSilenceShown(state: QuorumState, beforeUs: number, untilUs: number): boolean {
  return silencesEndUs(state).some((endUs) => beforeUs < endUs && endUs <= untilUs);
}

/** A restarted process has not heard its actuator yet: unknown is not unable. */
function reportedAtUs(state: QuorumState): number {
  return state.report?.stampUs ?? state.startedAtUs;
}
