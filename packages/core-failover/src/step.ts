import type { ClusterIp } from "@quorate/contracts";

/** Names one state of the evaluator's will; never goes back. */
export interface GrantName {
  term: number;
  generation: number;
}

export function compareGrantNames(left: GrantName | null, right: GrantName | null): number {
  if (left === null || right === null) return (left === null ? 0 : 1) - (right === null ? 0 : 1);
  return left.term - right.term || left.generation - right.generation;
}

/** The two small files: the service's lock and the `relocated` marker. */
export type FileName = "lock" | "marker";

/** One thing for the shell to do. It answers each with one outcome, in any order. */
export type Step =
  | { kind: "load-gate"; ips: ClusterIp[] }
  | { kind: "renew-gate"; addresses: string[]; leaseEndUs: number; permitUs: number }
  | { kind: "shut-gate" }
  | { kind: "inspect-gate" }
  /** So that a restarted actuator keeps a close. */
  | { kind: "persist-closed"; closed: GrantName }
  | { kind: "inspect-address"; ip: ClusterIp }
  | { kind: "probe-address"; ip: ClusterIp; waitUs: number }
  | { kind: "add-address"; ip: ClusterIp; validSeconds: number }
  | { kind: "refresh-address"; ip: ClusterIp; validSeconds: number }
  | { kind: "remove-address"; ip: ClusterIp }
  | { kind: "announce"; ip: ClusterIp }
  | { kind: "watch-claims"; ips: ClusterIp[] }
  | { kind: "inspect-carrier"; device: string }
  | { kind: "inspect-file"; file: FileName }
  | { kind: "write-file"; file: FileName; term: number; node: number }
  | { kind: "remove-file"; file: FileName }
  /** The place of a move of what the dead ran; this version moves nothing, and only the marker follows. */
  | { kind: "relocate"; term: number }
  | { kind: "inspect-service" }
  | { kind: "start-service" }
  | { kind: "stop-service"; graceUs: number }
  | { kind: "check-readiness"; targets: { address: string; port: number }[]; timeoutUs: number };

export interface IssuedStep {
  id: number;
  /** Steps of one key are never under way together; different keys may run side by side. */
  key: string;
  step: Step;
}

/** A QuorateError as data. */
export interface StepError {
  code: string;
  message: string;
  hint: string;
}

export type Carrier = "up" | "down" | "missing";

export type FileState =
  | { kind: "absent" }
  | { kind: "foreign" }
  | { kind: "ours"; term: number; node: number };

export type GateRefusal =
  | "permit-expired"
  | "lease-too-short"
  | "lease-passed"
  | "not-loaded"
  | "overtaken"
  | "timed-out"
  | "tool-failed";

export type StepOutcome =
  | { kind: "done" }
  | { kind: "failed"; error: StepError }
  | { kind: "renewed"; leaseEndUs: number }
  | { kind: "refused"; refusal: GateRefusal; message: string }
  | { kind: "shut-confirmed" }
  | { kind: "shut-unconfirmed"; message: string }
  | {
      kind: "gate-seen";
      intact: boolean;
      differences: string[];
      open: { address: string; remainingUs: number }[];
      holdsRawFrames: boolean;
    }
  | { kind: "address-seen"; present: boolean; devices: string[]; validSeconds: number | null }
  /** The MAC of whoever answered; null when nobody did. */
  | { kind: "probed"; foreignMac: string | null }
  | { kind: "carrier-seen"; carrier: Carrier }
  | { kind: "file-seen"; state: FileState }
  | { kind: "service-seen"; state: "stopped" | "running" | "failed"; message: string }
  | { kind: "readiness-seen"; ready: boolean; message: string };
