import type { ConfigRef, QuorumMessage } from "@quorate/contracts";
import { formatRef, sameContent, sameRef } from "./documents.ts";
import { answer, change, committedRef, type Draft, freshQuorum } from "./draft.ts";
import {
  type Proposal,
  PROPOSAL_LIMIT_US,
  PROPOSALS_MAX,
  type ProposalResult,
  type RegisterInput,
} from "./state.ts";

export function isMaster(quorum: QuorumMessage | null, self: number): boolean {
  return quorum !== null && quorum.role === "master" && quorum.leader === self;
}

/** Where a proposal goes that this node cannot decide. */
function notHere(draft: Draft, quorum: QuorumMessage | null): ProposalResult {
  if (quorum === null || quorum.quorate === "no") {
    return {
      ok: false,
      code: "NOT_QUORATE",
      message:
        quorum === null
          ? `Node ${draft.state.self} does not know who leads: its quorum-evaluator is silent.`
          : `Node ${draft.state.self} has no quorum, so nothing can be committed. Nothing was changed.`,
      hint: "Look at `quorate status` for the nodes that are missing, and at `quorate log` for why.",
    };
  }
  return {
    ok: false,
    code: "NOT_MASTER",
    message: `Node ${draft.state.self} is not the master${
      quorum.leader === null ? " and knows of none" : `; it follows node ${quorum.leader}`
    }. Nothing was changed.`,
    hint: "Wait for the election (`quorate status`), then try again.",
  };
}

export function onPropose(draft: Draft, input: Extract<RegisterInput, { kind: "propose" }>): void {
  const quorum = freshQuorum(draft.state, draft.nowUs);
  const proposal: Proposal = {
    id: input.id,
    base: input.base,
    text: input.text,
    reason: input.reason,
    forwarded: input.forwarded,
    deadlineUs: draft.nowUs + PROPOSAL_LIMIT_US,
  };
  if (!isMaster(quorum, draft.state.self)) {
    if (quorum !== null && quorum.leader !== null && quorum.leader !== draft.state.self && !input.forwarded) {
      draft.effects.push({ kind: "forward", id: input.id, to: quorum.leader, proposal });
    } else {
      answer(draft, input.id, notHere(draft, quorum));
    }
    return;
  }
  if (draft.state.proposals.length >= PROPOSALS_MAX) {
    answer(draft, input.id, {
      ok: false,
      code: "ALREADY_RUNNING",
      message: `${PROPOSALS_MAX} changes wait already. Nothing was changed.`,
      hint: "Try again in a few seconds.",
    });
    return;
  }
  change(draft, { proposals: [...draft.state.proposals, proposal] });
}

function unknownOutcome(ref: ConfigRef): ProposalResult {
  return {
    ok: false,
    code: "REQUEST_TIMEOUT",
    message: `No quorum has confirmed ${formatRef(ref)} in time; it may still be committed, or lost.`,
    hint: "Look at `quorate config log` and `quorate status` before trying again.",
  };
}

/** The document of a proposal surely never reached the disk: say so, and forget it. */
export function dropUnstored(draft: Draft, ref: ConfigRef, message: string): void {
  const { inFlight } = draft.state;
  // A new stamp on it that failed says nothing about the document itself, which is stored.
  if (inFlight === null || !sameRef(inFlight.ref, ref)) return;
  change(draft, { inFlight: null });
  answer(draft, inFlight.id, {
    ok: false,
    code: "DISK_FULL",
    message: `The master could not store the change: ${message} Nothing was changed.`,
    hint: `Make room on the state folder of node ${draft.state.self}, then try again.`,
  });
}

/** Answers what can be answered now: committed, overtaken, too late, no longer ours to decide. */
export function settleProposals(draft: Draft): void {
  const { state, nowUs } = draft;
  const quorum = freshQuorum(state, nowUs);
  const committed = quorum === null ? null : committedRef(quorum);
  const { inFlight } = state;
  if (inFlight !== null) {
    let result: ProposalResult | null = null;
    if (committed !== null && sameContent(committed, inFlight.ref)) {
      result = { ok: true, ref: committed };
    } else if (committed !== null && committed.version === inFlight.ref.version) {
      // Committed versions rise and have one content each, so ours never was and never will be.
      result = {
        ok: false,
        code: "CONFIG_STALE",
        message: `A new master committed another ${formatRef(committed)}. This change was not made.`,
        hint: "Look at the present one with `quorate config show`, make the change again on it, and apply that.",
      };
    } else if (nowUs >= inFlight.deadlineUs) {
      result = unknownOutcome(inFlight.ref);
    }
    if (result !== null) {
      change(draft, { inFlight: null });
      answer(draft, inFlight.id, result);
    }
  }
  const leads = isMaster(quorum, state.self);
  const waiting: Proposal[] = [];
  for (const proposal of state.proposals) {
    if (!leads) answer(draft, proposal.id, notHere(draft, quorum));
    else if (nowUs >= proposal.deadlineUs) {
      answer(draft, proposal.id, {
        ok: false,
        code: "REQUEST_TIMEOUT",
        message: "The document before it was not committed in time. Nothing was changed.",
        hint: "Look at `quorate status` for what keeps the quorum from it, then try again.",
      });
    } else waiting.push(proposal);
  }
  if (waiting.length !== state.proposals.length) change(draft, { proposals: waiting });
}
