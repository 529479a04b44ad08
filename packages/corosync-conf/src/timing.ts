import { CLOCK_RATE_ERROR, HEARTBEATS_PER_TOKEN, KERNEL_TICK_US, permitUsOf } from "@quorate/contracts";

/** What follows from the token. All in milliseconds. */
export interface Timing {
  readonly tokenMs: number;
  /** One heartbeat, and with it one ballot, in this time. */
  readonly heartbeatMs: number;
  /** How long a lease runs from the moment its ballot was sent, clock error taken off. */
  readonly leaseMs: number;
  /** How late a command to the gate may take effect; taken off the gate's own timeout. */
  readonly permitMs: number;
  /** How much of the lease a renewal may use up in the worst allowed case; see `leaseNeedMs`. */
  readonly leaseNeedMs: number;
}

/** What the gate subtracts for the kernel's ticks. */
const KERNEL_TICKS_MS = (2 * KERNEL_TICK_US) / 1000;
/** Ballots in a row that may be lost without costing the lease. */
const LOST_HEARTBEATS = 2;
/** One heartbeat until the next ballot is sent, one until its answer is. */
const RENEWAL_HEARTBEATS = 2;
/** A process of ours that crashed is back within this time. */
const RESTART_MS = 300;

/** The condition on T, in the words of the error message and of the manual. */
export const TIMING_INEQUALITY =
  "T * (1 - 0.01) >= 2 * T/10 (two lost heartbeats) + 2 * T/10 (the next ballot and its answer)" +
  " + M (the gate's renewal) + M (its permit) + 20 ms (two kernel ticks), where M = max(20 ms, T/20)";

export function timingOf(tokenMs: number): Timing {
  const heartbeatMs = tokenMs / HEARTBEATS_PER_TOKEN;
  const permitMs = permitUsOf(tokenMs * 1000) / 1000;
  return {
    tokenMs,
    heartbeatMs,
    permitMs,
    leaseMs: tokenMs * (1 - CLOCK_RATE_ERROR),
    leaseNeedMs: (LOST_HEARTBEATS + RENEWAL_HEARTBEATS) * heartbeatMs + 2 * permitMs + KERNEL_TICKS_MS,
  };
}

/** Whether a lease outlives two lost heartbeats and the renewal that follows: `TIMING_INEQUALITY`. */
export function isSafeToken(tokenMs: number): boolean {
  const { leaseMs, leaseNeedMs } = timingOf(tokenMs);
  return leaseMs >= leaseNeedMs;
}

/** Whether a lease also outlives the crash and restart of one of our own processes. */
export function outlivesRestart(tokenMs: number): boolean {
  const { leaseMs, leaseNeedMs } = timingOf(tokenMs);
  return leaseMs >= leaseNeedMs + RESTART_MS;
}

/** The smallest token that satisfies `holds`, which must be monotonic. */
function smallest(holds: (tokenMs: number) => boolean): number {
  let tokenMs = 1;
  while (!holds(tokenMs)) tokenMs += 1;
  return tokenMs;
}

/** 102: the smallest `totem.token` that is accepted. */
export const TOKEN_MINIMUM_MS = smallest(isSafeToken);
/** 654: from here on the restart of one of our processes costs no lease. */
export const TOKEN_RESTART_MS = smallest(outlivesRestart);
/** Above it a file is more likely wrong than patient. */
export const TOKEN_MAXIMUM_MS = 600_000;
