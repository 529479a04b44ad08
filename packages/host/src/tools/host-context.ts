/** What every driver shares: the clock, and how to start tools. All instants are CLOCK_MONOTONIC microseconds. */
export interface HostContext {
  /** Integer microseconds on CLOCK_MONOTONIC. */
  nowUs(): number;
  /**
   * Put in front of every tool's command line: `["nsenter", "--net=/run/netns/a"]` makes a driver act in another
   * network namespace. Empty in production.
   */
  readonly commandPrefix?: readonly string[];
}

/** Integer microseconds on CLOCK_MONOTONIC, as every driver wants them. */
export function monotonicNowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
