import { sendDueUs } from "./send.ts";
import type { Instant, MembershipState } from "./state.ts";

/**
 * When the shell shall give the next tick: at the next instant at which silence would pass a limit or a heartbeat is
 * due by our own clock, at the latest T/5 from now. What comes in meanwhile only moves limits away.
 */
export function nextTickUs(state: MembershipState, nowUs: number): number {
  const { timing } = state.config;
  const { blindUs, patience } = state.health;
  const limitsUs = [timing.suspectUs * patience, timing.deadUs * patience];
  let nextUs = nowUs + timing.lookUs;
  const consider = (atUs: number): void => {
    if (atUs > nowUs && atUs < nextUs) nextUs = atUs;
  };
  const considerSilence = (since: Instant | null): void => {
    if (since === null) return;
    for (const limitUs of limitsUs) consider(Math.ceil(since.atUs + (blindUs - since.blindUs) + limitUs) + 1);
  };
  if (!state.leaving) consider(Math.ceil(sendDueUs(state)));
  if (state.waitingBallot !== null) consider(state.budget.filledAtUs + timing.refillUs);
  for (const peer of state.peers) {
    considerSilence(peer.watched);
    for (const link of peer.links) {
      considerSilence(link.heard);
      considerSilence(link.confirmed);
    }
  }
  return Math.max(nextUs, nowUs + timing.tickUs);
}
