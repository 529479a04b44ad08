import type { EvaluatorState, NodeId } from "@quorate/contracts";
import type { FileName, FileState, GrantName, VmRecord } from "@quorate/core-failover";
import type { StoredDocument } from "@quorate/core-config";
import type { Random } from "./random.ts";

const WRITE_LEAST_US = 500;
const WRITE_MOST_US = 3000;

/** What is durably in the state folder of a host: every file is replaced as a whole, with fsync, or not at all. */
export class Disk {
  /** Null: missing or corrupt; the evaluator starts as amnesic. */
  evaluator: EvaluatorState | null;
  incarnation: number | null = null;
  document: StoredDocument;
  /** This host's inventory of machines, what it has of the others', and the lives of the process that keeps them. */
  vmRecords: readonly VmRecord[] = [];
  readonly vmReplica = new Map<NodeId, readonly VmRecord[]>();
  vmIncarnation = 0;
  isFull = false;
  /** A write may take up to this much longer. */
  slowUpToUs = 0;
  private readonly random: Random;

  constructor(random: Random, evaluator: EvaluatorState, document: StoredDocument) {
    this.random = random;
    this.evaluator = evaluator;
    this.document = document;
  }

  writeCostUs(): number {
    const slowUs = this.slowUpToUs > 0 ? this.random.between(0, this.slowUpToUs) : 0;
    return this.random.between(WRITE_LEAST_US, WRITE_MOST_US) + slowUs;
  }

  chance(probability: number): boolean {
    return this.random.chance(probability);
  }
}

/** The run directory: gone with a boot. */
export class RunDirectory {
  closed: GrantName | null = null;
  readonly files = new Map<FileName, FileState>();
}
