import type { GrantMessage, Reason } from "@quorate/contracts";
import { timingOf } from "./config.ts";
import { compareGrantNames } from "./step.ts";
import { count, type FailoverState, note, type Turn } from "./state.ts";

/**
 * What the newest grant asks for at this instant.
 * `pending`: we have just started and do not know yet; a lease given before may still run, so nothing is
 * opened, renewed or taken down.
 */
export type Verdict =
  | { kind: "hold"; term: number; leaseEndUs: number; armed: boolean }
  | { kind: "pending" }
  | { kind: "release"; armed: boolean; reason: Reason };

/**
 * Whether a grant says nothing that a turn would act upon: the same will again, while nothing is under way or due.
 * Most grants are like that, and most of an idle node's CPU would go into turns for them.
 */
export function isUneventful(state: FailoverState, grant: GrantMessage, nowUs: number): boolean {
  const { grant: known, last, gate, config } = state;
  if (state.stopping || known === null || last === null || nowUs >= last.rideAtUs) return false;
  for (const key in state.flights) if (state.flights[key] !== undefined) return false;
  const { messageAgeLimitUs, renewGainUs } = timingOf(config.tokenUs);
  const fresh =
    grant.stampUs >= known.stampUs && grant.stampUs <= nowUs && nowUs - grant.stampUs <= messageAgeLimitUs;
  const same =
    compareGrantNames(grant, known) === 0 &&
    grant.role === known.role &&
    grant.close === known.close &&
    grant.disarmed === known.disarmed;
  if (!fresh || !same) return false;
  if (state.holding === null) return grant.role !== "master";
  const leaseEndUs = leaseEndOf(grant, config.tokenUs);
  const leaseRuns = leaseEndUs > nowUs && leaseEndOf(known, config.tokenUs) > nowUs;
  return (
    leaseRuns &&
    gate.open === "open" &&
    gate.openUntilUs > nowUs &&
    leaseEndUs - gate.openUntilUs < renewGainUs
  );
}

/** The lease a grant gives, never longer than one token from its stamp: more cannot be meant. */
function leaseEndOf(grant: GrantMessage, tokenUs: number): number {
  return Math.min(grant.masterLeaseEndUs, grant.stampUs + tokenUs);
}

export function judge(state: FailoverState, nowUs: number): Verdict {
  const { grant, config } = state;
  if (state.stopping) {
    const armed = grant === null ? !config.disarmed : !grant.disarmed;
    const message = "The failover-actuator is being stopped; what it holds is taken down.";
    return { kind: "release", armed, reason: { code: "STOPPING", message } };
  }
  if (grant === null) {
    if (nowUs < state.startedAtUs + config.tokenUs && state.voidUntilUs <= state.startedAtUs) {
      return { kind: "pending" };
    }
    const message = "The quorum-evaluator has granted nothing since this process started.";
    return { kind: "release", armed: !config.disarmed, reason: { code: "NO_GRANT", message } };
  }
  const armed = !grant.disarmed;
  const release = (code: string, message: string): Verdict => ({
    kind: "release",
    armed,
    reason: { code, message, facts: { term: grant.term, generation: grant.generation } },
  });
  if (grant.stampUs <= state.voidUntilUs) {
    return release("LEASE_VOID", "The kernel was paused: every lease given before that is void.");
  }
  if (grant.close || compareGrantNames(grant, state.closed) <= 0) {
    return release("CLOSED", `The quorum-evaluator closed this mastership: ${grant.reason.message}`);
  }
  if (grant.role !== "master")
    return release("NOT_MASTER", `This node is ${grant.role}: ${grant.reason.message}`);
  const leaseEndUs = leaseEndOf(grant, config.tokenUs);
  if (leaseEndUs <= nowUs) {
    return release("LEASE_LAPSED", "The master lease ran out and was not renewed.");
  }
  return { kind: "hold", term: grant.term, leaseEndUs, armed };
}

/** Takes a grant from the bus, or drops it: too old, replayed, or of an earlier (term, generation). */
export function takeGrant(turn: Turn, grant: GrantMessage): void {
  const { state, nowUs, timing } = turn;
  if (nowUs - grant.stampUs > timing.messageAgeLimitUs || grant.stampUs <= state.voidUntilUs) {
    count(turn, "grants_dropped_old");
    return;
  }
  // A stamp of the future is another boot's, or not ours: the clock is shared by all services of the host.
  if (grant.stampUs > nowUs) {
    count(turn, "grants_dropped_future");
    return;
  }
  const known = state.grant;
  const name = { term: grant.term, generation: grant.generation };
  const closedAlready = compareGrantNames(name, state.closed) <= 0;
  const backwards = known !== null && compareGrantNames(name, known) < 0;
  const beforeClosed = known === null && compareGrantNames(name, state.closed) < 0;
  if (backwards || beforeClosed) {
    count(turn, "grants_refused_backwards");
    state.refusedGrant = { name, atUs: nowUs };
    return;
  }
  if (known !== null && compareGrantNames(name, known) === 0 && grant.stampUs < known.stampUs) {
    count(turn, "grants_dropped_reordered");
    return;
  }
  state.refusedGrant = null;
  state.grant = grant;
  if (grant.close && !closedAlready) {
    state.closed = name;
    note(turn, { code: "CLOSE_ORDERED", message: grant.reason.message, facts: name });
  }
}
