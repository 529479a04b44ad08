/**
 * The words that a master and the hosts of virtual machines exchange. Every message is a complete statement of the
 * sender's present knowledge: a lost one heals by the next. See docs/adr/0013-placements-live-with-the-owner.md.
 */
import type { NodeId } from "@quorate/contracts";

export type VmId = string;

/**
 * Names one placement for ever: one machine, one owner, one start. What was given up under it is never started under
 * it again. {0, 0} is the placement of a machine that was found on its host before any master spoke.
 */
export interface PlacementName {
  term: number;
  /** Rises within the term with every decision of its master, over restarts of its process too. */
  number: number;
}

export const FIRST_PLACEMENT: PlacementName = { term: 0, number: 0 };

export function comparePlacements(left: PlacementName, right: PlacementName): number {
  return left.term - right.term || left.number - right.number;
}

export interface ViewName {
  term: number;
  number: number;
}

/** One machine as its owner's inventory has it. The owner is its only writer. */
export interface VmRecord {
  vm: VmId;
  /** Under which the writer owns, or owned, the machine. */
  placement: PlacementName;
  /** Rises with every change that the writer makes under one placement. */
  revision: number;
  /** Names the definition (the domain's XML) among the documents. */
  definition: string;
  memoryMib: number;
  vcpus: number;
  /** Higher is placed first. */
  prio: number;
  wanted: "running" | "stopped" | "undefined";
  /** `local`: its disks lie on the writer's host only. */
  storage: "shared" | "local";
  /** The storages that its disks need, by name, sorted. */
  storages: string[];
  /** False when something of it passes by the gates (macvtap, hostdev …): a lease alone does not fence it. */
  gated: boolean;
  /**
   * The placement is over on the writer's host: nothing is left of it and nothing will be started under it. Written
   * before it is said. `to` is the placement that a live migration went to.
   */
  released: { to: PlacementName | null } | null;
}

/** Newest of two records of one machine: by placement, then by revision. */
export function compareRecords(left: VmRecord, right: VmRecord): number {
  return comparePlacements(left.placement, right.placement) || left.revision - right.revision;
}

/**
 * `incoming`: a live migration's target, paused, its memory not yet complete; `incoming-complete`: complete, paused;
 * `moved-out`: its source after it, stopped for good; `ended`: there, and will never run again.
 */
export type CopyState =
  | "starting"
  | "running"
  | "paused"
  | "incoming"
  | "incoming-complete"
  | "migrating"
  | "moved-out"
  | "ended";

/** A copy of a machine on a host, in whatever state. None in a report means that there is none. */
export interface CopyReport {
  vm: VmId;
  state: CopyState;
  /** The placement that it was started under; null for one that nobody here ordered. */
  placement: PlacementName | null;
  /** Its owner still has the word of a master on it and the lease has not lapsed since. */
  confirmed: boolean;
  /** Its host was out of the view since its last confirmation: it may have been relocated meanwhile. */
  wasOut: boolean;
}

/** Why a placement came to nothing on a host. */
export interface CopyFailure {
  vm: VmId;
  placement: PlacementName;
  code: string;
  message: string;
}

/** A host to everybody: what it has. Sent only after it has looked. */
export interface VmReport {
  node: NodeId;
  /** Rises with every life of the process; a statement to an earlier life counts for nothing. */
  incarnation: number;
  sequence: number;
  /** The newest statement carried in; nothing older will ever be obeyed by this life or a later one. */
  adopted: PlacementName;
  view: ViewName;
  /** Sorted by machine. */
  copies: CopyReport[];
  records: VmRecord[];
  failures: CopyFailure[];
  memoryMib: number;
  vcpus: number;
  /** Names of storages that this host cannot reach. */
  storageGone: string[];
}

/** What a master wants of one machine on one host. A machine that no order names is left as it is, gates shut. */
export type VmOrder =
  | {
      kind: "run";
      vm: VmId;
      /** Yours under this name. A copy of another one is destroyed first. */
      placement: PlacementName;
      /** For a start: everything a host needs to become the machine's writer. */
      record: VmRecord;
      /** A start waits this long from the receipt: what the fenced owner sent may still be on its way. */
      waitUs: number;
    }
  /** Yours, and must not run. */
  | { kind: "stop"; vm: VmId; placement: PlacementName }
  /** Not yours. `forget`: its record here is outdated, and the newer one is known to be kept by its owner. */
  | { kind: "destroy"; vm: VmId; owner: NodeId | null; forget: boolean }
  /** A live migration will come; start it paused and gated under this name. It is not yours until a `run`. */
  | { kind: "incoming"; vm: VmId; placement: PlacementName; from: NodeId; record: VmRecord }
  /** Yours; move it live. Without success it stays yours. */
  | { kind: "migrate"; vm: VmId; placement: PlacementName; to: NodeId; target: PlacementName };

/** The master of `term` to one life of one host. Without orders it only asks. */
export interface VmStatement {
  term: number;
  view: ViewName;
  /** Rises with every change of the orders to this host. */
  number: number;
  from: NodeId;
  to: NodeId;
  incarnation: number;
  /** Sorted by machine, one for each at most. */
  orders: VmOrder[];
}

export function sortedKeys(record: Record<string, unknown>): string[] {
  return Object.keys(record).sort();
}
