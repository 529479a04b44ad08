import type {
  ClusterConfig,
  ConfigRef,
  ErrorCode,
  NodeId,
  PeersMessage,
  QuorumMessage,
  Reason,
} from "@quorate/contracts";
import type { StoredDocument } from "./documents.ts";

/** What one peer's heartbeats say it has stored. */
export interface Hint {
  readonly node: NodeId;
  readonly ref: ConfigRef;
}

export interface Proposal {
  /** Names the request towards the shell; unique per process. */
  readonly id: number;
  readonly base: ConfigRef;
  readonly text: string;
  readonly reason: Reason;
  /** Passed on by another node's distributor: never passed on again. */
  readonly forwarded: boolean;
  readonly deadlineUs: number;
}

/** A proposal whose document was made; `version` and `digest` name it through every re-stamp. */
export interface ProposalInFlight {
  readonly id: number;
  readonly ref: ConfigRef;
  readonly deadlineUs: number;
}

export interface Fetching {
  readonly attempt: number;
  readonly from: NodeId;
  readonly term: number;
  /** The term and leader under which it was asked; the answer counts only under the same. */
  readonly sinceUs: number;
  /** Asked to repair a register older than what the evaluator promised: exactly this content will do. */
  readonly repairing: ConfigRef | null;
  /** Asked of any node, as none is known to lead: the list here may not name the one that does. */
  readonly leaderless: boolean;
}

export interface RegisterState {
  readonly self: NodeId;
  /** The newest document that is durably here. */
  readonly stored: StoredDocument;
  readonly config: ClusterConfig;
  /** The newest judgement of this node's evaluator; unknown when its stamp is old. */
  readonly quorum: QuorumMessage | null;
  /** Sorted by node. */
  readonly hints: readonly Hint[];
  /** Since when nobody is known to lead; null while somebody is. */
  readonly leaderlessSinceUs: number | null;
  /** The mastership in force began while we watched; false for one that only lifted its term, or at our start. */
  readonly mastershipIsNew: boolean;
  /** A fresh master's first stamp waits until then. */
  readonly stampNotBeforeUs: number;
  readonly persisting: StoredDocument | null;
  /** An earlier attempt at `persisting` may have left it on the disk. */
  readonly persistingMayExist: boolean;
  /** A document that may or may not have reached the disk: it alone may take its (term, version). */
  readonly persistAgain: StoredDocument | null;
  readonly persistNotBeforeUs: number;
  readonly storeProblem: Reason | null;
  readonly fetching: Fetching | null;
  readonly fetchFailures: number;
  readonly fetchNotBeforeUs: number;
  readonly nextAttempt: number;
  /** The newest document that was refused, and why. */
  readonly refused: { readonly ref: ConfigRef; readonly reason: Reason; readonly untilUs: number } | null;
  /** Waiting, oldest first; at most PROPOSALS_MAX. */
  readonly proposals: readonly Proposal[];
  readonly inFlight: ProposalInFlight | null;
  readonly readmissions: { readonly inARow: number; readonly notBeforeUs: number };
  /** The newest committed ref that was told as an event. */
  readonly committedTold: ConfigRef | null;
  readonly announcedAtUs: number;
}

export type RegisterInput =
  | { readonly kind: "tick"; readonly nowUs: number }
  | { readonly kind: "quorum"; readonly nowUs: number; readonly message: QuorumMessage }
  | { readonly kind: "peers"; readonly nowUs: number; readonly message: PeersMessage }
  | {
      readonly kind: "fetched";
      readonly nowUs: number;
      readonly attempt: number;
      readonly ref: ConfigRef;
      readonly text: string;
      readonly reason: Reason;
    }
  | {
      readonly kind: "fetch-failed";
      readonly nowUs: number;
      readonly attempt: number;
      readonly reason: Reason;
    }
  | { readonly kind: "persisted"; readonly nowUs: number; readonly ref: ConfigRef }
  | {
      readonly kind: "persist-failed";
      readonly nowUs: number;
      readonly ref: ConfigRef;
      /** False when a part of it may lie on the disk and be read after a restart. */
      readonly surelyAbsent: boolean;
      readonly reason: Reason;
    }
  | {
      readonly kind: "propose";
      readonly nowUs: number;
      readonly id: number;
      readonly base: ConfigRef;
      readonly text: string;
      readonly reason: Reason;
      readonly forwarded: boolean;
    };

export type ProposalResult =
  | { readonly ok: true; readonly ref: ConfigRef }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly hint: string };

export type RegisterEffect =
  /** Make it durable, then say `persisted`; until then nothing may tell anybody of it. One at a time. */
  | { readonly kind: "persist"; readonly document: StoredDocument }
  /** Publish `local.stored` and `local.config`. */
  | { readonly kind: "announce"; readonly document: StoredDocument }
  | {
      readonly kind: "fetch";
      readonly attempt: number;
      readonly from: NodeId;
      readonly term: number;
      readonly ref: ConfigRef;
    }
  | { readonly kind: "forward"; readonly id: number; readonly to: NodeId; readonly proposal: Proposal }
  | { readonly kind: "answer"; readonly id: number; readonly result: ProposalResult }
  | { readonly kind: "event"; readonly event: RegisterEvent; readonly reason: Reason };

export type RegisterEvent =
  | { readonly type: "proposed"; readonly old: ConfigRef; readonly new: ConfigRef }
  | {
      readonly type: "stored";
      readonly old: ConfigRef;
      readonly new: ConfigRef;
      readonly from: NodeId | null;
    }
  | { readonly type: "committed"; readonly old: ConfigRef | null; readonly new: ConfigRef }
  | { readonly type: "rejected"; readonly ref: ConfigRef; readonly from: NodeId | null }
  | { readonly type: "store-failed"; readonly ref: ConfigRef }
  | { readonly type: "store-recovered"; readonly ref: ConfigRef };

export const PROPOSALS_MAX = 16;
/** A proposal is answered within this, committed or not. */
export const PROPOSAL_LIMIT_US = 5_000_000;
/** A new document, and a bus that is back, are announced at once; this heals what was lost in spite of it. */
export const ANNOUNCE_EVERY_US = 3_000_000;
export const PERSIST_RETRY_US = 1_000_000;
/** A refused document is looked at again after this: its reader may have been repaired. */
export const REFUSED_FOR_US = 30_000_000;
/** The shell gives every fetch up earlier; this only heals a lost answer. */
export const FETCH_LIMIT_US = 5_000_000;
export const READMISSION_PAUSE_US = 5_000_000;
/** So long nobody must lead before a document is taken from whoever has a newer one; in tokens, and at least. */
export const LEADERLESS_TOKENS = 3;
export const LEADERLESS_LEAST_US = 3_000_000;
const FETCH_RETRY_MIN_US = 200_000;
const FETCH_RETRY_MAX_US = 1_000_000;

export function fetchRetryUs(failures: number): number {
  return Math.min(FETCH_RETRY_MAX_US, FETCH_RETRY_MIN_US * 2 ** Math.min(failures, 8));
}

export function createRegister(self: NodeId, stored: StoredDocument, config: ClusterConfig): RegisterState {
  return {
    self,
    stored,
    config,
    quorum: null,
    hints: [],
    leaderlessSinceUs: null,
    mastershipIsNew: false,
    stampNotBeforeUs: 0,
    persisting: null,
    persistingMayExist: false,
    persistAgain: null,
    persistNotBeforeUs: Number.NEGATIVE_INFINITY,
    storeProblem: null,
    fetching: null,
    fetchFailures: 0,
    fetchNotBeforeUs: Number.NEGATIVE_INFINITY,
    nextAttempt: 1,
    refused: null,
    proposals: [],
    inFlight: null,
    readmissions: { inARow: 0, notBeforeUs: Number.NEGATIVE_INFINITY },
    committedTold: null,
    announcedAtUs: Number.NEGATIVE_INFINITY,
  };
}
