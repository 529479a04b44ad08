export type CarrierState =
  /** The device can carry frames. */
  | "up"
  /** The device is there, and has no carrier or is set down. */
  | "down"
  | "missing";

/** Whether a device can carry frames. For changes listen to the LinkMonitor, then inspect. */
export interface Carrier {
  inspect(device: string): Promise<CarrierState>;
}
