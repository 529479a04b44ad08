/** An address the gate holds: default drop, opened for one lease at a time. */
export interface GateVip {
  readonly address: string;
  readonly family: 4 | 6;
  /** The device on which the address is announced; also raw frames leaving there are held back. */
  readonly device: string;
}

export interface GateRenewRequest {
  /** The addresses to leave open; all others of the loaded ones are shut by the same transaction. */
  readonly addresses: readonly string[];
  /** When the lease ends, CLOCK_MONOTONIC microseconds. The kernel will have shut by then, whatever happens to us. */
  readonly leaseEndUs: number;
  /** M: for how long the permit lives, so the most a freeze can delay the opening. max(20 ms, T/20). */
  readonly permitUs: number;
}

export type GateRefusal =
  /** We came too late for the permit: nothing changed, what was open runs out. Try again with a new one. */
  | "permit-expired"
  /** What is left of the lease is not worth opening (less than one kernel tick after all deductions). */
  | "lease-too-short"
  /** The lease had passed when the acknowledgement came; the gate was shut at once and it was counted. */
  | "lease-passed"
  /** The tables are not there, or not the ones that `load` made: `load` again. */
  | "not-loaded"
  /** `shut` or another `load` came in between. */
  | "overtaken"
  /**
   * nft did not answer in time; it was ended and will be started anew. The renewal may have been committed before: the
   * gate may be open, until the lease's end at most.
   */
  | "timed-out"
  /** nft is missing or said no; `message` holds its words. */
  | "tool-failed";

export type GateRenewal =
  | {
      readonly outcome: "open";
      /** The kernel shuts no later than this, and no earlier than this minus M, two ticks and one more for rounding. */
      readonly leaseEndUs: number;
      /** From the call to the last acknowledgement. */
      readonly tookUs: number;
    }
  | { readonly outcome: "refused"; readonly refusal: GateRefusal; readonly message: string };

export type GateShut =
  | { readonly outcome: "confirmed" }
  /** Not read back as shut: take the gate as open until the lease has run out. */
  | { readonly outcome: "unconfirmed"; readonly message: string };

export interface GateInspection {
  /** Whether every table is in the kernel exactly as `load` wrote it. False means: take it as unguarded, `load` again. */
  readonly intact: boolean;
  /** What differs, one sentence each; empty when intact. */
  readonly differences: readonly string[];
  /** Addresses that the kernel lets through now, sorted by address, and for how much longer at most. */
  readonly open: readonly { readonly address: string; readonly remainingUs: number }[];
  /** Whether raw frames (gratuitous ARP made by a process) are held back too: needs Linux 5.16 and the device. */
  readonly holdsRawFrames: boolean;
}

export interface GateStats {
  readonly renewals: number;
  readonly refusals: number;
  /** Times the lease had already passed when an acknowledgement came. */
  readonly lateAcknowledgements: number;
  /** Times nft had to be started. */
  readonly toolStarts: number;
}

/**
 * The kernel's filter that closes by itself when its lease runs out. Every method may be called at any time; they are
 * carried out one after the other, but `shut` voids a renewal that has not been committed yet.
 *
 * Not promised: forwarded answers of destination-NAT already under way (published container ports), and frames of
 * devices that bypass the host's network stack.
 */
export interface Gate {
  /**
   * Makes sure the tables stand and hold exactly these addresses. Never opens anything. Tables found as they must be
   * are adopted with what is open in them; found otherwise, they are replaced in one transaction, shut.
   * Throws QuorateError NOT_ROOT, TOOL_MISSING, TOOL_FAILED.
   */
  load(vips: readonly GateVip[]): Promise<void>;
  /** Opens, or keeps open, for one lease (the permit rule). Expected failures are results, never thrown. */
  renew(request: GateRenewRequest): Promise<GateRenewal>;
  /** Shuts all addresses and reads the kernel back. */
  shut(): Promise<GateShut>;
  /** Reads the kernel. Throws QuorateError when it cannot. */
  inspect(): Promise<GateInspection>;
  stats(): GateStats;
  /** Ends the tool that is kept open. Leaves the tables as they are: what is open runs out. */
  close(): Promise<void>;
  /** Removes our tables altogether, for an uninstall or a lab's end. Afterwards nothing is held. */
  unload(): Promise<void>;
}
