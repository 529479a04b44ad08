/** What every driver shares: how to start tools, and the clock. All instants are CLOCK_MONOTONIC microseconds. */
export interface HostContext {
  /** Integer microseconds on CLOCK_MONOTONIC. */
  nowUs(): number;
  /**
   * Put in front of every tool's command line: `["nsenter", "--net=/run/netns/a"]` makes a driver act in another
   * network namespace. Empty in production.
   */
  readonly commandPrefix?: readonly string[];
}
