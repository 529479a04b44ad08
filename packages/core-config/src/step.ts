import { assertNever, compareConfigRefs, type PeersMessage, type QuorumMessage } from "@quorate/contracts";
import { type DocumentTools, formatRef, sameContent, sameRef } from "./documents.ts";
import {
  change,
  committedRef,
  type Draft,
  freshQuorum,
  isBehindEvaluator,
  refFacts,
  persistAgain,
  tell,
} from "./draft.ts";
import { canCatchUp, follow, onFetched, onFetchFailed, repair } from "./following.ts";
import { lead } from "./leading.ts";
import { dropUnstored, isMaster, onPropose, settleProposals } from "./proposals.ts";
import {
  ANNOUNCE_EVERY_US,
  type Hint,
  PERSIST_RETRY_US,
  type RegisterEffect,
  type RegisterInput,
  type RegisterState,
} from "./state.ts";

/**
 * A third of a token. A fresh master has an address to put up, which clients wait for; documents, with their
 * writes to every disk of the cluster, come after it.
 */
const STAMP_WAIT_US_PER_TOKEN_MS = 333;

function onQuorum(draft: Draft, message: QuorumMessage): void {
  const before = draft.state.quorum;
  // Both clocks are this host's: a message that was overtaken on the way is old data.
  if (before !== null && message.stampUs < before.stampUs) return;
  const { self } = draft.state;
  const leads = isMaster(message, self);
  const hasWon = leads && before !== null && !isMaster(before, self);
  const isOtherLeader = before === null || before.leader !== message.leader || before.term !== message.term;
  change(draft, {
    quorum: message,
    leaderlessSinceUs: message.leader === null ? (draft.state.leaderlessSinceUs ?? draft.nowUs) : null,
    mastershipIsNew: leads && (hasWon || draft.state.mastershipIsNew),
    ...(hasWon
      ? { stampNotBeforeUs: draft.nowUs + draft.state.config.tokenMs * STAMP_WAIT_US_PER_TOKEN_MS }
      : {}),
    ...(isOtherLeader ? { fetching: null, fetchFailures: 0, fetchNotBeforeUs: draft.nowUs } : {}),
  });
}

function onPeers(draft: Draft, message: PeersMessage): void {
  const hints: Hint[] = [];
  for (const peer of message.peers)
    if (peer.config !== null) hints.push({ node: peer.node, ref: peer.config });
  change(draft, { hints: hints.sort((left, right) => left.node - right.node) });
}

function announce(draft: Draft): void {
  change(draft, { announcedAtUs: draft.nowUs });
  draft.effects.push({ kind: "announce", document: draft.state.stored });
}

function onPersisted(draft: Draft, input: Extract<RegisterInput, { kind: "persisted" }>): void {
  const { persisting, stored, storeProblem } = draft.state;
  if (persisting === null || !sameRef(persisting.ref, input.ref)) return;
  const verdict = draft.tools.read(persisting.text, `version ${persisting.ref.version}`);
  change(draft, {
    persisting: null,
    stored: persisting,
    storeProblem: null,
    refused: null,
    ...(verdict.ok ? { config: verdict.config } : {}),
  });
  announce(draft);
  tell(
    draft,
    { type: "stored", old: stored.ref, new: persisting.ref, from: persisting.from },
    persisting.reason,
  );
  if (storeProblem !== null) {
    const message = "The state folder takes documents again.";
    tell(draft, { type: "store-recovered", ref: persisting.ref }, { code: "STORE_RECOVERED", message });
  }
}

function onPersistFailed(draft: Draft, input: Extract<RegisterInput, { kind: "persist-failed" }>): void {
  const { persisting, persistingMayExist, storeProblem } = draft.state;
  if (persisting === null || !sameRef(persisting.ref, input.ref)) return;
  const isAbsent = input.surelyAbsent && !persistingMayExist;
  change(draft, {
    persisting: null,
    // What may lie on the disk keeps its place in the order: another content there would fork the register.
    persistAgain: isAbsent ? null : persisting,
    persistNotBeforeUs: draft.nowUs + PERSIST_RETRY_US,
    storeProblem: input.reason,
  });
  if (storeProblem === null) tell(draft, { type: "store-failed", ref: input.ref }, input.reason);
  if (isAbsent) dropUnstored(draft, input.ref, input.reason.message);
}

function tellCommitted(draft: Draft, quorum: QuorumMessage): void {
  const committed = committedRef(quorum);
  const { committedTold } = draft.state;
  if (committed === null || (committedTold !== null && compareConfigRefs(committed, committedTold) <= 0))
    return;
  change(draft, { committedTold: committed });
  // A new master's stamp on the same content is told once as stored, not as another commit.
  if (committedTold !== null && sameContent(committed, committedTold)) return;
  const message = `A quorum has stored ${formatRef(committed)}.`;
  tell(
    draft,
    { type: "committed", old: committedTold, new: committed },
    { code: "COMMITTED", message, facts: refFacts(committed) },
  );
}

/** Compare desired with actual, make one move: what every input ends with. */
function converge(draft: Draft): void {
  const { state, nowUs } = draft;
  if (nowUs - state.announcedAtUs >= ANNOUNCE_EVERY_US) announce(draft);
  settleProposals(draft);
  if (state.persistAgain !== null && state.persisting === null && nowUs >= state.persistNotBeforeUs) {
    persistAgain(draft, state.persistAgain);
  }
  const quorum = freshQuorum(draft.state, nowUs);
  if (quorum === null) return;
  tellCommitted(draft, quorum);
  if (isBehindEvaluator(draft.state, quorum) && !canCatchUp(draft, quorum)) repair(draft, quorum);
  else if (isMaster(quorum, draft.state.self)) lead(draft, quorum);
  else follow(draft, quorum);
}

/**
 * One step of the register. Promises: nothing is announced or served as stored before `persisted`; one
 * `persist` runs at a time; every proposal is answered exactly once, or forwarded.
 */
export function stepRegister(
  state: RegisterState,
  input: RegisterInput,
  tools: DocumentTools,
): { state: RegisterState; effects: readonly RegisterEffect[] } {
  const draft: Draft = { state, effects: [], nowUs: input.nowUs, tools };
  switch (input.kind) {
    case "tick":
      break;
    case "quorum":
      onQuorum(draft, input.message);
      break;
    case "peers":
      onPeers(draft, input.message);
      break;
    case "fetched":
      onFetched(draft, input);
      break;
    case "fetch-failed":
      onFetchFailed(draft, input);
      break;
    case "persisted":
      onPersisted(draft, input);
      break;
    case "persist-failed":
      onPersistFailed(draft, input);
      break;
    case "propose":
      onPropose(draft, input);
      break;
    default:
      assertNever(input);
  }
  converge(draft);
  return { state: draft.state, effects: draft.effects };
}
