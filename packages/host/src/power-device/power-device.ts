/** What switches one host off, and knows whether it is. */
export interface PowerDevice {
  /** Throws QuorateError where the device does not say. */
  isOff(signal: AbortSignal): Promise<boolean>;
  /** Resolves when the device has taken the order; whether the host is off, `isOff` says. */
  switchOff(signal: AbortSignal): Promise<void>;
}
