import type { QuorateError } from "@quorate/contracts";

/**
 * What resets this host when nobody has fed it for as long as its timeout. While it is armed it goes on whatever becomes of
 * this process; the end of the process that holds it feeds it once more, for the kernel closes the device.
 */
export interface Watchdog {
  /** What speaks against arming it, as far as the kernel tells without its being opened; null: nothing is known to. */
  problem(): QuorateError | null;
  /**
   * Takes over one that runs and that nobody holds, as it is, and feeds it. Resolves with its timeout in milliseconds; null
   * when none runs. Throws WATCHDOG_UNUSABLE when it is held by another process, or is not to be fed.
   */
  adopt(): Promise<number | null>;
  /**
   * Arms it, or takes it over. Feeds it. Resolves with its timeout, never more than asked for, in milliseconds. Throws
   * WATCHDOG_MISSING, or WATCHDOG_UNUSABLE when it can't be relied upon.
   */
  arm(timeoutMs: number): Promise<number>;
  /** Written before it returns. Throws WATCHDOG_MISSING when it isn't armed by this process. */
  feed(): void;
  /**
   * The kernel says that it has stopped. Nothing to do when it isn't armed by this process. Throws WATCHDOG_UNUSABLE when it
   * runs on; then it is still held, and fed.
   */
  disarm(): void;
  /** As the end of the process: what is armed stays armed. */
  close(): void;
}
