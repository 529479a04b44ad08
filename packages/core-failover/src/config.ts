import {
  type ClusterConfig,
  type ClusterIp,
  heartbeatUsOf,
  KERNEL_TICK_US,
  type NodeId,
  permitUsOf,
  staleUsOf,
} from "@quorate/contracts";

/** What the actuator needs of the cluster's configuration. */
export interface FailoverConfig {
  nodeId: NodeId;
  /** T, in microseconds. */
  tokenUs: number;
  /** Sorted by address. */
  clusterIps: ClusterIp[];
  ports: number[];
  /** Null: nothing is managed here. */
  service: { startTimeoutUs: number; stopTimeoutUs: number } | null;
  /** Whether automation was off when this was read; counts only until the first grant says it better. */
  disarmed: boolean;
}

export function failoverConfigOf(config: ClusterConfig, nodeId: NodeId, disarmed: boolean): FailoverConfig {
  const managed = config.managedService;
  return {
    nodeId,
    tokenUs: config.tokenMs * 1000,
    clusterIps: [...config.clusterIps].sort((left, right) => (left.address < right.address ? -1 : 1)),
    ports: [...config.ihttpdPorts],
    service:
      managed.kind === "none"
        ? null
        : { startTimeoutUs: managed.startTimeoutMs * 1000, stopTimeoutUs: managed.stopTimeoutMs * 1000 },
    disarmed,
  };
}

/** Every duration that follows from the token, in microseconds. */
export interface Timing {
  tokenUs: number;
  /** M: how late a frozen command may open the gate at most; already subtracted from every opening. */
  permitUs: number;
  /** A grant or any other local message older than this is dropped. */
  messageAgeLimitUs: number;
  /**
   * A renewal is worth its cost when it moves the closing time by this much: T/6, so with every grant of a calm
   * master (T/5 apart). What is left then is what a killed process has to be back in (docs/adr/0015).
   */
  renewGainUs: number;
  /** With less than this left, even a small gain is taken: the evaluator may be restarting. */
  renewUrgentBelowUs: number;
  /** Shorter leases cannot be opened: the permit and the kernel's ticks use them up. */
  leaseMinimumUs: number;
  /** The most that the duplicate probe may delay taking the address. */
  probeWaitUs: number;
  /** How often an address that another machine answers for is asked for again. */
  probeAgainUs: number;
  /** Announcements after the gate opened, counted from that moment. */
  announceAtUs: number[];
  /** `valid_lft`: whole seconds, so it can only be clean-up. */
  validSeconds: number;
  refreshBelowUs: number;
  /** How often the tables are read back. That they were flushed shows with the next renewal already. */
  inspectGateUs: number;
  /** Addresses are told of by the kernel; this is the fallback. */
  inspectLinkUs: number;
  /** The kernel tells of a lost carrier up to a second late; while the address is ours it is asked. */
  inspectCarrierHeldUs: number;
  inspectFileUs: number;
  inspectServiceUs: number;
  readinessHeldUs: number;
  readinessTimeoutUs: number;
  retryFirstUs: number;
  retryMostUs: number;
}

/** The gate subtracts two kernel ticks, opens for less than one never, and needs time itself: another one. */
const OPENING_COST_US = 4 * KERNEL_TICK_US;
const SECOND_US = 1_000_000;

export function timingOf(tokenUs: number): Timing {
  const permitUs = permitUsOf(tokenUs);
  const validSeconds = Math.max(10, Math.ceil((tokenUs * 5) / SECOND_US));
  return {
    tokenUs,
    permitUs,
    messageAgeLimitUs: staleUsOf(tokenUs),
    renewGainUs: Math.round(tokenUs / 6),
    renewUrgentBelowUs: Math.round(tokenUs / 2),
    leaseMinimumUs: permitUs + OPENING_COST_US,
    // A neighbour answers within a millisecond or two; T/20 is what the protocol allows.
    probeWaitUs: Math.min(20_000, Math.max(5_000, Math.round(tokenUs / 100))),
    probeAgainUs: Math.round(tokenUs / 5),
    announceAtUs: [0, heartbeatUsOf(tokenUs), Math.round(tokenUs / 4), SECOND_US, 3 * SECOND_US],
    validSeconds,
    refreshBelowUs: Math.round((validSeconds * SECOND_US * 3) / 5),
    inspectGateUs: Math.max(5 * tokenUs, 5 * SECOND_US),
    inspectLinkUs: Math.max(5 * tokenUs, 5 * SECOND_US),
    inspectCarrierHeldUs: Math.round(tokenUs / 2),
    inspectFileUs: Math.max(3 * tokenUs, 3 * SECOND_US),
    inspectServiceUs: Math.max(3 * tokenUs, 3 * SECOND_US),
    readinessHeldUs: Math.max(tokenUs, SECOND_US),
    readinessTimeoutUs: Math.max(tokenUs, SECOND_US),
    retryFirstUs: Math.round(tokenUs / 50),
    retryMostUs: SECOND_US,
  };
}

/** After this long without an answer, a service that once was ready is taken for hung and started anew. */
export function hungAfterUs(tokenUs: number): number {
  return Math.max(10 * SECOND_US, 10 * tokenUs);
}

/** A service that failed this often within the window cannot serve here: hand over if anybody else can. */
export const SERVICE_FAILURES_LIMIT = 3;
export const SERVICE_FAILURES_WINDOW_US = 60 * SECOND_US;

/** How long to wait before the start that follows the nth failure in a row. */
export function serviceBackOffUs(streak: number): number {
  if (streak <= 1) return 0;
  return Math.min(30 * SECOND_US, (SECOND_US / 2) * 2 ** Math.min(streak - 2, 10));
}

/** How long another machine's claim on the address is remembered. */
export const CLAIM_MEMORY_US = 10 * SECOND_US;
