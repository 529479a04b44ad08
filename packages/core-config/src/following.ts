import {
  type ClusterConfig,
  compareConfigRefs,
  type ConfigRef,
  type QuorumMessage,
  type Reason,
} from "@quorate/contracts";
import { formatRef, sameContent } from "./documents.ts";
import {
  canPersist,
  change,
  committedRef,
  type Draft,
  freshQuorum,
  isBehindEvaluator,
  refFacts,
  refuse,
  startPersist,
} from "./draft.ts";
import {
  FETCH_LIMIT_US,
  type Fetching,
  fetchRetryUs,
  type Hint,
  LEADERLESS_LEAST_US,
  LEADERLESS_TOKENS,
  REFUSED_FOR_US,
  type RegisterInput,
} from "./state.ts";

/** The newest document that the leader has under the term in which it is followed. */
function wantedFromLeader(draft: Draft, quorum: QuorumMessage): ConfigRef | null {
  const hint = draft.state.hints.find((candidate) => candidate.node === quorum.leader)?.ref ?? null;
  const committed = committedRef(quorum);
  // A stamp of an older term is left alone: the leader is about to stamp its document anew, and only that
  // one counts.
  const candidates = [hint, committed].filter((ref) => ref !== null && ref.term === quorum.term);
  return candidates.reduce<ConfigRef | null>(
    (newest, ref) => (ref !== null && (newest === null || compareConfigRefs(ref, newest) > 0) ? ref : newest),
    null,
  );
}

function startFetch(
  draft: Draft,
  from: number,
  term: number,
  ref: ConfigRef,
  why: { repairing: ConfigRef | null; leaderless: boolean } = { repairing: null, leaderless: false },
): void {
  const attempt = draft.state.nextAttempt;
  change(draft, {
    nextAttempt: attempt + 1,
    fetching: { attempt, from, term, sinceUs: draft.nowUs, ...why },
  });
  draft.effects.push({ kind: "fetch", attempt, from, term, ref });
}

function mayFetch(draft: Draft, ref: ConfigRef): boolean {
  const { state, nowUs } = draft;
  if (state.fetching !== null && nowUs - state.fetching.sinceUs <= FETCH_LIMIT_US) return false;
  if (nowUs < state.fetchNotBeforeUs) return false;
  const { refused } = state;
  return refused === null || nowUs >= refused.untilUs || compareConfigRefs(refused.ref, ref) !== 0;
}

/** Compares what the leader has with what is here, and goes for it. */
export function follow(draft: Draft, quorum: QuorumMessage): void {
  if (!canPersist(draft)) return;
  const { leader } = quorum;
  if (leader === null) return followAnybody(draft, quorum);
  if (leader === draft.state.self) return;
  const wanted = wantedFromLeader(draft, quorum);
  if (wanted === null) return;
  const { stored } = draft.state;
  const order = compareConfigRefs(wanted, stored.ref);
  if (order < 0) return;
  if (order === 0) {
    if (wanted.digest !== stored.ref.digest) {
      refuse(draft, wanted, leader, forked(stored.ref, wanted), REFUSED_FOR_US);
    } else if (stored.from !== leader && compareConfigRefs(quorum.stored, stored.ref) < 0) {
      // It came from somebody else while nobody led; the evaluator counts it only as the leader's own.
      startPersist(draft, { ...stored, from: leader });
    }
    return;
  }
  if (sameContent(wanted, stored.ref)) {
    const reason = {
      code: "RESTAMPED",
      message: `Node ${leader}, master of term ${wanted.term}, took version ${wanted.version} over as it is.`,
      facts: refFacts(wanted),
    };
    startPersist(draft, { ref: wanted, text: stored.text, from: leader, reason, stickinessDue: false });
    return;
  }
  if (mayFetch(draft, wanted)) startFetch(draft, leader, quorum.term, wanted);
}

/**
 * While this node was away the list of nodes may have changed, and somebody may lead whom the list here does not
 * name: then he is never heard, and nothing would ever be fetched from him. Any node with a newer document will do
 * to learn the list from. It is run on, as every document is before it is committed; the evaluator counts it only
 * when the leader himself turns out to have it.
 */
function followAnybody(draft: Draft, quorum: QuorumMessage): void {
  const { state, nowUs } = draft;
  const waitUs = Math.max(LEADERLESS_LEAST_US, LEADERLESS_TOKENS * state.config.tokenMs * 1000);
  if (state.leaderlessSinceUs === null || nowUs - state.leaderlessSinceUs < waitUs) return;
  const newest = state.hints.reduce<Hint | null>(
    (best, hint) => (best === null || compareConfigRefs(hint.ref, best.ref) > 0 ? hint : best),
    null,
  );
  if (newest === null || compareConfigRefs(newest.ref, state.stored.ref) <= 0) return;
  // Never back behind what the evaluator has promised.
  if (compareConfigRefs(newest.ref, quorum.stored) < 0 || !mayFetch(draft, newest.ref)) return;
  startFetch(draft, newest.node, quorum.term, newest.ref, { repairing: null, leaderless: true });
}

/** Whether following the leader leads past what the evaluator has promised. */
export function canCatchUp(draft: Draft, quorum: QuorumMessage): boolean {
  if (quorum.leader === null || quorum.leader === draft.state.self) return false;
  const wanted = wantedFromLeader(draft, quorum);
  return wanted !== null && compareConfigRefs(wanted, quorum.stored) >= 0;
}

/**
 * The disk went back in time (restored from a backup, say) behind what the evaluator has promised. Whoever
 * has that very content will do as a source: the evaluator's digest vouches for it. Until it is here this
 * node makes no document, even as master.
 */
export function repair(draft: Draft, quorum: QuorumMessage): void {
  if (!canPersist(draft)) return;
  const { stored } = draft.state;
  if (sameContent(stored.ref, quorum.stored)) {
    const message = `The stamp of ${formatRef(quorum.stored)} was promised and no longer on the disk.`;
    startPersist(draft, { ...stored, ref: quorum.stored, reason: { code: "REPAIRED", message } });
    return;
  }
  const source = draft.state.hints.find((hint) => sameContent(hint.ref, quorum.stored));
  // The cluster has gone on, perhaps under a master whom the list here does not name: then nobody has that any more.
  if (source === undefined) return followAnybody(draft, quorum);
  if (!mayFetch(draft, quorum.stored)) return;
  startFetch(draft, source.node, quorum.term, quorum.stored, { repairing: quorum.stored, leaderless: false });
}

function forked(ours: ConfigRef, theirs: ConfigRef): Reason {
  return {
    code: "CONFIG_FORKED",
    message: `Two contents claim to be version ${theirs.version} of term ${theirs.term}; ours stays.`,
    facts: { ours: ours.digest, theirs: theirs.digest, term: theirs.term, version: theirs.version },
  };
}

function failed(draft: Draft): void {
  const fetchFailures = draft.state.fetchFailures + 1;
  change(draft, {
    fetching: null,
    fetchFailures,
    fetchNotBeforeUs: draft.nowUs + fetchRetryUs(fetchFailures),
  });
}

export function onFetchFailed(draft: Draft, input: Extract<RegisterInput, { kind: "fetch-failed" }>): void {
  if (draft.state.fetching?.attempt === input.attempt) failed(draft);
}

/** Why a fetched document is not taken; null when it is. */
function objectionToFetched(
  draft: Draft,
  fetching: Fetching,
  ref: ConfigRef,
  text: string,
): { reason: Reason; forUs: number } | null {
  const facts = { ...refFacts(ref), from: fetching.from };
  const digest = draft.tools.digest(text);
  if (digest !== ref.digest) {
    const message = `Node ${fetching.from} sent a document whose digest is not the one it announced.`;
    return { reason: { code: "DIGEST_MISMATCH", message, facts: { ...facts, actual: digest } }, forUs: 0 };
  }
  const verdict = draft.tools.read(text, `node ${fetching.from}, version ${ref.version}`);
  if (!verdict.ok) return { reason: { ...verdict.reason, facts }, forUs: REFUSED_FOR_US };
  const { config } = verdict;
  if (config.clusterName !== draft.state.config.clusterName) {
    const message = `The document is of cluster ${config.clusterName}, this node of ${draft.state.config.clusterName}.`;
    return { reason: { code: "FOREIGN_CLUSTER", message, facts }, forUs: REFUSED_FOR_US };
  }
  if (config.configVersion !== ref.version) {
    const message = `The document says config_version ${config.configVersion}, its stamp version ${ref.version}.`;
    return { reason: { code: "VERSION_MISMATCH", message, facts }, forUs: REFUSED_FOR_US };
  }
  const missing = objectionToMissingFrom(config, draft, fetching, ref);
  if (missing !== null)
    return { reason: { code: "NOT_LISTED", message: missing, facts }, forUs: REFUSED_FOR_US };
  const dangerous = config.notHonoured.find((entry) => entry.dangerous);
  if (dangerous !== undefined) {
    const message = `line ${dangerous.line}: ${dangerous.message} ${dangerous.hint}`;
    return { reason: { code: "NOT_HONOURED", message, facts }, forUs: REFUSED_FOR_US };
  }
  return null;
}

/**
 * A list without this node may be older than its own admission. Run on, it would make the node deaf to whoever admits
 * it (ADR 14). Only a master's word that is not older than the list with this node in it means that it was taken off.
 */
function objectionToMissingFrom(
  config: ClusterConfig,
  { state }: Draft,
  { from, leaderless }: Fetching,
  ref: ConfigRef,
): string | null {
  const isListedIn = ({ nodes }: ClusterConfig): boolean => nodes.some(({ id }) => id === state.self);
  if (isListedIn(config)) return null;
  if (leaderless)
    return `Node ${from} has version ${ref.version}, which does not list this node; without a master to vouch for it this node goes on with its own.`;
  const own = state.stored.ref.version;
  if (ref.version >= own || !isListedIn(state.config)) return null;
  return `Master ${from} has version ${ref.version}, which does not list this node; version ${own}, which does, is newer, and this node goes on with it.`;
}

/** What was asked for under one mastership must not arrive under the next as if it were its own. */
function isStillWanted(
  draft: Draft,
  quorum: QuorumMessage,
  { from, term, repairing, leaderless }: Fetching,
  ref: ConfigRef,
): boolean {
  if (repairing !== null) return isBehindEvaluator(draft.state, quorum) && sameContent(ref, repairing);
  if (leaderless) return quorum.leader === null;
  return quorum.leader === from && quorum.term === term && ref.term === term;
}

function reasonToTake({ from, leaderless }: Fetching, ref: ConfigRef): Reason {
  return leaderless
    ? {
        code: "CAUGHT_UP",
        message: `Nobody is known to lead; node ${from} had ${formatRef(ref)}, which may name who does.`,
        facts: { ...refFacts(ref), from },
      }
    : {
        code: "REPAIRED",
        message: `${formatRef(ref)} was promised by this node and no longer on its disk; node ${from} had it.`,
      };
}

export function onFetched(draft: Draft, input: Extract<RegisterInput, { kind: "fetched" }>): void {
  const { fetching, stored } = draft.state;
  if (fetching === null || fetching.attempt !== input.attempt) return;
  const quorum = freshQuorum(draft.state, draft.nowUs);
  if (quorum === null || !canPersist(draft)) return failed(draft);
  const ref = fetching.repairing ?? input.ref;
  const isCurrent = isStillWanted(draft, quorum, fetching, input.ref);
  if (!isCurrent || compareConfigRefs(ref, stored.ref) <= 0) return failed(draft);
  const objection = objectionToFetched(draft, fetching, ref, input.text);
  if (objection !== null) {
    failed(draft);
    refuse(draft, ref, fetching.from, objection.reason, objection.forUs);
    return;
  }
  change(draft, { fetching: null, fetchFailures: 0, refused: null });
  const isLeaders = fetching.repairing === null && !fetching.leaderless;
  const reason = isLeaders ? input.reason : reasonToTake(fetching, ref);
  const from = isLeaders ? fetching.from : null;
  startPersist(draft, { ref, text: input.text, from, reason, stickinessDue: false });
}
