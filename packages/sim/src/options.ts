import type { NodeId } from "@quorate/contracts";
import type { FaultAction, Schedule } from "./schedule.ts";

/** What a cluster is made of. Nodes beyond the list may be added by the schedule. */
export type ClusterSetup = {
  tokenMs: number;
  nodes: readonly { id: NodeId; prio: number; votes: number }[];
  rings: number;
  /** `udp` is multicast: one loss may hit every receiver. */
  transport: "udp" | "udpu";
};

export type RunOptions = {
  seed: number;
  /** How many nodes, 3 to 9; `cluster` says more exactly what they are. Default 3. */
  nodes?: number;
  tokenMs?: number;
  /** The safety phase and what follows it. Default 45 and 15 tokens' worth of seconds at token 1000. */
  faultUs?: number;
  healUs?: number;
  /** Which generator makes the schedule; default: the seed decides. */
  generator?: string;
  /** Instead of one made by a generator. */
  schedule?: Schedule;
  cluster?: ClusterSetup;
  /** Keep every line of the story, not only the last ones before a violation. */
  trace?: boolean;
  /** Freeze every message, so that one changed after it was sent throws. Slow. */
  freeze?: boolean;
};

export type Invariant =
  | "INV-1"
  | "INV-2"
  | "INV-3"
  | "INV-4"
  | "INV-5"
  | "INV-6"
  | "INV-7"
  | "LIVENESS"
  /** A core threw. */
  | "CRASH";

export type Violation = {
  invariant: Invariant;
  /** Real time since the start of the run. */
  atUs: number;
  message: string;
  /** What every host looked like at that instant. */
  world: string[];
};

export type RunResult = {
  seed: number;
  generator: string;
  cluster: ClusterSetup;
  schedule: Schedule;
  /** The run ends with the first one. */
  violations: Violation[];
  /** Known holes that opened (docs/manual/safety.md): counted, not violations. */
  holes: Record<string, number>;
  /** Faults that truly struck, by kind. */
  faults: Record<string, number>;
  skipped: FaultAction[];
  simulatedUs: number;
  events: number;
  elections: number;
  /** From the end of the faults until one held the address, and until all was well; null: never. */
  holderAfterUs: number | null;
  settledAfterUs: number | null;
  /** Equal for equal runs, with or without a trace. */
  digest: string;
  trace: string[];
};
