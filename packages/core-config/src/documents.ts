import type { ClusterConfig, ConfigRef, NodeId, Reason } from "@quorate/contracts";

/** Reading a document: its meaning, or why it cannot be used (`file:line:column: what; what to do`). */
export type DocumentVerdict = { ok: true; config: ClusterConfig } | { ok: false; reason: Reason };

export type EditedText = { ok: true; text: string } | { ok: false; reason: Reason };

/**
 * The grammar and the hash, given from outside because this core imports neither. All pure: the same
 * arguments give the same answer for ever.
 */
export interface DocumentTools {
  /** SHA-256 of the text's bytes, hex. */
  digest(text: string): string;
  /** `fileName` stands in the messages only. */
  read(text: string, fileName: string): DocumentVerdict;
  withVersion(text: string, version: number): EditedText;
  /** The node ranks first by (prio, lowest id) afterwards; the same text when it does already. */
  swapPrioWithHighest(text: string, node: NodeId): EditedText;
}

/** One content of the register, as it lies on the disk. */
export interface StoredDocument {
  readonly ref: ConfigRef;
  readonly text: string;
  /** The master that it came from under ref.term; this node itself when it proposed it; null: `quorate init`. */
  readonly from: NodeId | null;
  readonly reason: Reason;
  /**
   * This node stamped it as the first document of a mastership that it won, and has not yet made the
   * mastership stick. Kept with the document so that a restart neither forgets it nor does it twice: doing
   * it twice would undo what an operator decided in between.
   */
  readonly stickinessDue: boolean;
}

/** True when both name one content, whatever term they are stamped with. */
export function sameContent(left: ConfigRef, right: ConfigRef): boolean {
  return left.version === right.version && left.digest === right.digest;
}

export function sameRef(left: ConfigRef, right: ConfigRef): boolean {
  return left.term === right.term && sameContent(left, right);
}

/** How a ref is written for people. */
export function formatRef(ref: ConfigRef): string {
  return `version ${ref.version} of term ${ref.term} (${ref.digest.slice(0, 12)})`;
}
