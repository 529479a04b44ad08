import type { ClusterIp } from "@quorate/contracts";

export interface ForeignClaim {
  readonly address: string;
  /** Lower-case, with colons. */
  readonly mac: string;
}

export type ProbeResult = { readonly foreign: false } | ({ readonly foreign: true } & ForeignClaim);

/**
 * Tells the link who has the address, asks whether another has it, and hears others claim it.
 * Frames pass the gate: announcing through a shut gate sends nothing.
 */
export interface Announcer {
  /**
   * Sends one round of announcements (gratuitous ARP as request and as reply; unsolicited NA with override).
   * The caller repeats. Resolves when the frames were handed to the kernel.
   * Throws QuorateError INTERFACE_MISSING, NOT_ROOT, TOOL_MISSING, TOOL_FAILED.
   */
  announce(ip: ClusterIp): Promise<void>;
  /**
   * Asks once (ARP probe with sender 0.0.0.0, or NS from ::) and waits at most `waitUs` for another's answer.
   * Silence is `foreign: false`: nobody answered, not nobody is there. Throws as `announce`.
   */
  probe(ip: ClusterIp, waitUs: number): Promise<ProbeResult>;
  /** From now on listens for others' ARP and NDP claims of exactly these addresses; replaces the earlier list. */
  watch(ips: readonly ClusterIp[]): Promise<void>;
  /** Calls the listener for every foreign claim of a watched address until the returned function is called. */
  listen(listener: (claim: ForeignClaim) => void): () => void;
  close(): Promise<void>;
}
