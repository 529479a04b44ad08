import type { ConfigRef, EvaluatorState, GrantMessage, NodeId, QuorumMessage } from "@quorate/contracts";
import type { QuorumInput, QuorumState } from "@quorate/core-quorum";

/** An input without the instants, which the host's clock adds when the process takes it in. */
export type InputKind = QuorumInput extends infer Input
  ? Input extends { nowUs: number }
    ? Omit<Input, "nowUs" | "drainedUs">
    : never
  : never;

/** One simulated host: its clock, its disk, its evaluator process and what stands between it and the kernel. */
export type Host = {
  id: NodeId;
  boot: number;
  up: boolean;
  /** local = real * rate + offset */
  rate: number;
  offsetUs: number;
  durable: EvaluatorState;
  process: QuorumState | null;
  /** Counts the process's lives, so that what an earlier one scheduled is void. */
  life: number;
  pausedUntilUs: number;
  inbox: InputKind[];
  lastWakeUs: number;
  gate: { endLocalUs: number; term: number };
  closed: { term: number; generation: number };
  lastGrant: GrantMessage | null;
  shutConfirmed: { term: number; generation: number } | null;
  nodeGateEndLocalUs: number;
  heardUs: Map<NodeId, number>;
  heardBy: Map<NodeId, number>;
  joinedSinceUs: Map<NodeId, number | null>;
  able: boolean;
  /** What the model of config-distributor has on disk. */
  document: ConfigRef;
  quorum: QuorumMessage | null;
};

export function newHost(
  id: NodeId,
  clock: { rate: number; offsetUs: number },
  durable: EvaluatorState,
): Host {
  return {
    id,
    boot: 1,
    up: true,
    ...clock,
    durable,
    process: null,
    life: 0,
    pausedUntilUs: 0,
    inbox: [],
    lastWakeUs: Number.POSITIVE_INFINITY,
    gate: { endLocalUs: 0, term: 0 },
    closed: { term: 0, generation: 0 },
    lastGrant: null,
    shutConfirmed: null,
    nodeGateEndLocalUs: 0,
    heardUs: new Map(),
    heardBy: new Map(),
    joinedSinceUs: new Map(),
    able: true,
    document: durable.stored,
    quorum: null,
  };
}

/** The kernel of the host starts anew: all that only memory held is gone. */
export function rebootHost(host: Host, offsetUs: number): void {
  const fresh = newHost(host.id, { rate: host.rate, offsetUs }, host.durable);
  Object.assign(host, fresh, {
    boot: host.boot + 1,
    life: host.life + 1,
    able: host.able,
    document: host.document,
  });
}

export function bootIdOf(host: Host): string {
  return (host.id * 1_000_000 + host.boot).toString(16).padStart(16, "0");
}
