import type { ClusterIp } from "@quorate/contracts";

export interface AddressInspection {
  /** On the right device with the right prefix length, and usable (not tentative, not a duplicate). */
  readonly present: boolean;
  /** Every device that carries the address, sorted; more than the configured one is somebody else's doing. */
  readonly devices: readonly string[];
  /** Seconds until the kernel removes it by itself; null when absent, or when it never will. */
  readonly validSeconds: number | null;
}

/** Puts cluster addresses on a device and takes them away. */
export interface Address {
  /**
   * Does now what the first `add` on this device would have to do besides, so that taking the address over is not
   * held up by starting a process (some 10 ms). Changes nothing that anybody sees; without it `add` does it itself.
   * Throws as `add` does.
   */
  prepare(ip: ClusterIp): Promise<void>;
  /**
   * Adds the address, or corrects its lifetime when it is there. IPv6 comes without duplicate detection (`nodad`), as
   * deprecated (the host does not use it for connections of its own), and without a route of its own where the device
   * has one for that prefix. IPv4 tells the kernel to keep the host's own address when this one goes.
   * `validSeconds` is clean-up, not a belt: the kernel removes the address that long after the last `add` or `refresh`.
   * Throws QuorateError INTERFACE_MISSING, NOT_ROOT, TOOL_MISSING, TOOL_FAILED.
   */
  add(ip: ClusterIp, validSeconds: number): Promise<void>;
  /** Sets the lifetime again; adds the address when it has gone. Cheap (0.1 ms): through a tool that is kept open. */
  refresh(ip: ClusterIp, validSeconds: number): Promise<void>;
  /** Removes the address from every device that carries it. Removing what is absent, or from no device, is success. */
  remove(ip: ClusterIp): Promise<void>;
  inspect(ip: ClusterIp): Promise<AddressInspection>;
  /** Ends the tool that is kept open; leaves addresses as they are. */
  close(): Promise<void>;
}
