import { compareConfigRefs, type ConfigRef, type QuorumMessage, type Reason } from "@quorate/contracts";
import type { DocumentTools, StoredDocument } from "./documents.ts";
import type { ProposalResult, RegisterEffect, RegisterEvent, RegisterState } from "./state.ts";

/** One step in the making: the state to be, and what is to be done about it. */
export interface Draft {
  state: RegisterState;
  readonly effects: RegisterEffect[];
  readonly nowUs: number;
  readonly tools: DocumentTools;
}

export function change(draft: Draft, part: Partial<RegisterState>): void {
  draft.state = { ...draft.state, ...part };
}

export function tell(draft: Draft, event: RegisterEvent, reason: Reason): void {
  draft.effects.push({ kind: "event", event, reason });
}

export function answer(draft: Draft, id: number, result: ProposalResult): void {
  draft.effects.push({ kind: "answer", id, result });
}

/** The evaluator's judgement while it is fresh; null when it is unknown: old data is unknown. */
export function freshQuorum(state: RegisterState, nowUs: number): QuorumMessage | null {
  if (state.quorum === null) return null;
  const limitUs = Math.max(2_000_000, 2 * state.config.tokenMs * 1000);
  return nowUs - state.quorum.stampUs <= limitUs ? state.quorum : null;
}

/** What the leader of the evaluator's present term says to be committed; null: nothing counts yet. */
export function committedRef(quorum: QuorumMessage): ConfigRef | null {
  return quorum.committed !== null && quorum.committed.term === quorum.term ? quorum.committed : null;
}

/** The evaluator promised something newer than what lies here: this disk went back in time. */
export function isBehindEvaluator(state: RegisterState, quorum: QuorumMessage): boolean {
  return compareConfigRefs(quorum.stored, state.stored.ref) > 0;
}

export function startPersist(draft: Draft, document: StoredDocument): void {
  change(draft, { persisting: document, persistingMayExist: false });
  draft.effects.push({ kind: "persist", document });
}

/** Tries again what may lie on the disk already. */
export function persistAgain(draft: Draft, document: StoredDocument): void {
  change(draft, { persisting: document, persistingMayExist: true, persistAgain: null });
  draft.effects.push({ kind: "persist", document });
}

/** Whether a new document may go to the disk now: one at a time, and after a failure with a pause. */
export function canPersist(draft: Draft): boolean {
  const { persisting, persistAgain, persistNotBeforeUs } = draft.state;
  return persisting === null && persistAgain === null && draft.nowUs >= persistNotBeforeUs;
}

export function refuse(
  draft: Draft,
  ref: ConfigRef,
  from: number | null,
  reason: Reason,
  forUs: number,
): void {
  const known = draft.state.refused;
  const isNews = known === null || known.reason.code !== reason.code || known.ref.digest !== ref.digest;
  change(draft, { refused: { ref, reason, untilUs: draft.nowUs + forUs } });
  if (isNews) tell(draft, { type: "rejected", ref, from }, reason);
}

export function refFacts(ref: ConfigRef): { term: number; version: number; digest: string } {
  return { term: ref.term, version: ref.version, digest: ref.digest };
}
