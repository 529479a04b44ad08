/** What several parts derive from the token T and must derive alike. protocol.md, "Timing". Microseconds. */

/** rho: how much the clock rates of two hosts may differ, a fraction. */
export const CLOCK_RATE_ERROR = 0.01;

/** One heartbeat, and with it one ballot, in T/10. */
export const HEARTBEATS_PER_TOKEN = 10;

/** While everybody hears everybody and nothing is under way, one in this many heartbeats: T/5. docs/adr/0010. */
export const CALM_HEARTBEATS = 2;

/**
 * A kernel tick, as coarse as any we support (CONFIG_HZ=100; Debian's is 250). A timeout of the kernel may begin
 * up to one late and end up to one late: the gate subtracts two.
 */
export const KERNEL_TICK_US = 10_000;

const PERMIT_MINIMUM_US = 20_000;

export function heartbeatUsOf(tokenUs: number): number {
  return Math.round(tokenUs / HEARTBEATS_PER_TOKEN);
}

/** A local message older than this is dropped: T/5. */
export function staleUsOf(tokenUs: number): number {
  return Math.round(tokenUs / 5);
}

/** M: how late a frozen command may open the gate at most; subtracted from every opening. */
export function permitUsOf(tokenUs: number): number {
  return Math.max(PERMIT_MINIMUM_US, Math.round(tokenUs / 20));
}
