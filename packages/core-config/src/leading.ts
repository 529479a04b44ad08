import { compareConfigRefs, type ConfigRef, type QuorumMessage } from "@quorate/contracts";
import { objectionToChange } from "./change-rules.ts";
import { formatRef, type StoredDocument, sameContent, sameRef } from "./documents.ts";
import {
  answer,
  canPersist,
  change,
  committedRef,
  type Draft,
  refFacts,
  refuse,
  startPersist,
  tell,
} from "./draft.ts";
import { type Proposal, type ProposalResult, READMISSION_PAUSE_US, REFUSED_FOR_US } from "./state.ts";

type Failed = Extract<ProposalResult, { ok: false }>;

function failure(code: Failed["code"], message: string, hint: string): Failed {
  return { ok: false, code, message, hint };
}

/**
 * The newest document of this node, elected because its register is as new as each voter's of a quorum,
 * with its own term. Only after that is committed may anything follow: a commit counts ballots of one term.
 */
function restamp(draft: Draft, quorum: QuorumMessage): void {
  const { stored, self, mastershipIsNew } = draft.state;
  const ref: ConfigRef = { ...stored.ref, term: quorum.term };
  // A master that lifts its term has won nothing anew: what an operator decided since must stay.
  const isContinuation = stored.from === self && !mastershipIsNew;
  change(draft, { mastershipIsNew: false });
  startPersist(draft, {
    ref,
    text: stored.text,
    from: self,
    stickinessDue: !isContinuation || stored.stickinessDue,
    reason: {
      code: "RESTAMPED",
      message: `This node, master of term ${quorum.term}, took version ${ref.version} over as it is.`,
      facts: refFacts(ref),
    },
  });
}

/** The next version: stored here first, then fetched by the others, committed when a quorum has it. */
function proposeDocument(draft: Draft, document: StoredDocument): void {
  tell(draft, { type: "proposed", old: draft.state.stored.ref, new: document.ref }, document.reason);
  startPersist(draft, document);
}

/**
 * Sticky mastership: a master that won while another ranked higher takes the highest priority itself.
 * False: there was nothing to do.
 */
function stick(draft: Draft, quorum: QuorumMessage): boolean {
  const { stored, self } = draft.state;
  const settled = () => {
    change(draft, { stored: { ...stored, stickinessDue: false } });
    return false;
  };
  const swapped = draft.tools.swapPrioWithHighest(stored.text, self);
  if (swapped.ok && swapped.text === stored.text) return settled();
  const version = stored.ref.version + 1;
  const edited = swapped.ok ? draft.tools.withVersion(swapped.text, version) : swapped;
  const verdict = edited.ok ? draft.tools.read(edited.text, `version ${version}`) : edited;
  if (!edited.ok || !verdict.ok) {
    const reason = verdict.ok
      ? { code: "STICKINESS_FAILED", message: "The priorities could not be swapped." }
      : verdict.reason;
    refuse(draft, { ...stored.ref, version }, self, reason, REFUSED_FOR_US);
    return settled();
  }
  const ref = { term: quorum.term, version, digest: draft.tools.digest(edited.text) };
  const before = draft.state.config.nodes.find((node) => node.id === self)?.prio ?? 0;
  const after = verdict.config.nodes.find((node) => node.id === self)?.prio ?? 0;
  proposeDocument(draft, {
    ref,
    text: edited.text,
    from: self,
    stickinessDue: false,
    reason: {
      code: "MASTERSHIP_STICKS",
      message: `Node ${self} became master and took the highest priority: ${after} instead of ${before}.`,
      facts: { ...refFacts(ref), node: self, prioBefore: before, prioAfter: after },
    },
  });
  return true;
}

/**
 * A node that lost its state may vote again once a version newer than the one it woke up to is committed: the
 * same document with the next number. With growing pauses, so that a node that never recovers does not fill
 * the history.
 */
function readmit(draft: Draft, quorum: QuorumMessage): boolean {
  const { stored, readmissions } = draft.state;
  if (quorum.readmit.length === 0) {
    if (readmissions.inARow > 0) change(draft, { readmissions: { inARow: 0, notBeforeUs: draft.nowUs } });
    return false;
  }
  if (draft.nowUs < readmissions.notBeforeUs) return false;
  const inARow = readmissions.inARow + 1;
  const pauseUs = READMISSION_PAUSE_US * 2 ** Math.min(inARow - 1, 8);
  change(draft, { readmissions: { inARow, notBeforeUs: draft.nowUs + pauseUs } });
  const version = stored.ref.version + 1;
  const edited = draft.tools.withVersion(stored.text, version);
  if (!edited.ok) return false;
  const ref = { term: quorum.term, version, digest: draft.tools.digest(edited.text) };
  const who = quorum.readmit.join(", ");
  proposeDocument(draft, {
    ref,
    text: edited.text,
    from: draft.state.self,
    stickinessDue: false,
    reason: {
      code: "READMISSION",
      message: `A new version with nothing else changed lets nodes vote again that lost their state: ${who}.`,
      facts: { ...refFacts(ref), nodes: who },
    },
  });
  return true;
}

/** Turns the oldest waiting proposal into a document, or answers why not. */
function takeProposal(draft: Draft, quorum: QuorumMessage, proposal: Proposal): void {
  const { stored, config } = draft.state;
  change(draft, { proposals: draft.state.proposals.slice(1) });
  const reply = (result: ProposalResult) => answer(draft, proposal.id, result);
  // By content, not by stamp: a new master's stamp changes nothing that the proposer looked at.
  if (!sameContent(proposal.base, stored.ref)) {
    return reply(
      failure(
        "CONFIG_STALE",
        `The change was made against ${formatRef(proposal.base)}, but ${formatRef(stored.ref)} is committed.`,
        "Look at the present one with `quorate config show`, make the change again on it, and apply that.",
      ),
    );
  }
  const asIs = draft.tools.withVersion(proposal.text, stored.ref.version);
  if (asIs.ok && asIs.text === stored.text) return reply({ ok: true, ref: stored.ref });
  const verdict = draft.tools.read(proposal.text, "proposal");
  if (!verdict.ok) {
    const code = verdict.reason.code === "CONFIG_SYNTAX" ? "CONFIG_SYNTAX" : "CONFIG_INVALID";
    return reply(
      failure(code, verdict.reason.message, "Repair the document at the place named; the running one stays."),
    );
  }
  const objection = objectionToChange(config, verdict.config, quorum);
  if (objection !== null) return reply(failure(objection.code, objection.message, objection.hint));
  const version = stored.ref.version + 1;
  const edited = draft.tools.withVersion(proposal.text, version);
  if (!edited.ok) {
    return reply(
      failure("CONFIG_INVALID", edited.reason.message, "Set config_version in the totem section."),
    );
  }
  const ref = { term: quorum.term, version, digest: draft.tools.digest(edited.text) };
  change(draft, { inFlight: { id: proposal.id, ref, deadlineUs: proposal.deadlineUs } });
  proposeDocument(draft, {
    ref,
    text: edited.text,
    from: draft.state.self,
    reason: proposal.reason,
    stickinessDue: false,
  });
}

/** The master's next move: stamp, wait for the commit, make it stick, then one change after the other. */
export function lead(draft: Draft, quorum: QuorumMessage): void {
  if (!canPersist(draft)) return;
  const { stored } = draft.state;
  // A later master's document is here: this mastership is over, the evaluator has not said so yet.
  if (stored.ref.term > quorum.term) return;
  if (stored.ref.term < quorum.term) {
    if (draft.nowUs >= draft.state.stampNotBeforeUs) restamp(draft, quorum);
    return;
  }
  const committed = committedRef(quorum);
  if (committed === null || compareConfigRefs(committed, stored.ref) !== 0) return;
  if (!sameRef(committed, stored.ref)) return;
  // Until both quorums have had their time, nothing follows a change of nodes or votes.
  if (quorum.joint) return;
  if (stored.stickinessDue && stick(draft, quorum)) return;
  if (readmit(draft, quorum)) return;
  const [proposal] = draft.state.proposals;
  if (proposal !== undefined) takeProposal(draft, quorum, proposal);
}
