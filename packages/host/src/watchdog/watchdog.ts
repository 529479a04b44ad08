/**
 * What resets this host when nobody has fed it for as long as its timeout. While it is armed it goes on whatever becomes of
 * this process; the end of the process that holds it feeds it once more, for the kernel closes the device.
 */
export interface Watchdog {
  /**
   * Arms it, or takes over one that a former process left armed, as that is. Feeds it. Resolves with its timeout, never
   * more than asked for, in milliseconds. Throws WATCHDOG_MISSING, or WATCHDOG_UNUSABLE when it can't be relied upon.
   */
  arm(timeoutMs: number): Promise<number>;
  /** Written before it returns. Throws WATCHDOG_MISSING when it isn't armed by this process. */
  feed(): void;
  /** Resolves when the kernel says that it has stopped. Nothing to do when it isn't armed by this process. */
  disarm(): void;
  /** As the end of the process: what is armed stays armed. */
  close(): void;
}
