import {
  type Ballot,
  type ClusterConfig,
  type ConfigRef,
  compareConfigRefs,
  type NodeId,
  type Reason,
  votersOf,
} from "@quorate/contracts";
import { compareRank, isQuorum, sameElectorate } from "./quorum.ts";
import { electoratesOf, promiseTiming, type QuorumState, remember, votersEntry } from "./state.ts";

/**
 * Takes a document that config-distributor has made durable. Counts only when it came from the master that
 * this node follows, under the term it follows it in. Any change of who votes with how much, or of the token,
 * is joint: both quorums count from here on.
 */
export function takeStored(
  state: QuorumState,
  stored: { ref: ConfigRef; from: NodeId | null; config: ClusterConfig },
): Reason | null {
  const { durable } = state;
  if (compareConfigRefs(stored.ref, durable.stored) <= 0) return null;
  const isMaster = state.wonTerm === durable.term && stored.from === durable.node;
  const followsSource = durable.follows === stored.from && stored.from !== durable.node;
  if (stored.ref.term !== durable.term || !(isMaster || followsSource)) return null;
  const voters = votersOf(stored.config);
  const before = durable.voters;
  const changed = !sameElectorate(voters, before);
  const jointWith = changed
    ? [durable.voters, ...durable.jointWith.filter((other) => !sameElectorate(other, voters))]
    : durable.jointWith;
  const electorateRef = changed ? stored.ref : durable.electorateRef;
  remember(state, { stored: stored.ref, voters, jointWith, electorateRef });
  if (changed) state.jointCommittedAtUs = null;
  const what = voters.tokenMs === before.tokenMs ? "votes" : "token";
  const joint = changed ? `; it changes the ${what}, so the old quorum counts too until it is committed` : "";
  return {
    code: "CONFIG_STORED",
    message: `Version ${stored.ref.version} of the configuration is stored${joint}.`,
    facts: { version: stored.ref.version, term: stored.ref.term, joint: changed },
  };
}

/** Learns what is committed: the master counts its followers' ballots, the others believe their master. */
export function learnCommitted(state: QuorumState, nowUs: number): Reason | null {
  const { durable } = state;
  const before = state.committed;
  let committed = before !== null && before.term === durable.term ? before : null;
  if (state.wonTerm === durable.term) {
    const stored = durable.stored;
    const has = (node: NodeId) =>
      node === durable.node || ballotShows(state.peers.get(node)?.ballot, state, stored);
    if (stored.term === durable.term && isQuorum(electoratesOf(state), has)) committed = stored;
  } else if (durable.follows !== null) {
    const ballot = state.peers.get(durable.follows)?.ballot;
    if (ballot?.master === true && ballot.term === durable.term && ballot.committed !== null) {
      committed = ballot.committed;
    }
  }
  state.committed = committed;
  settleJoint(state, nowUs);
  if (committed === null || (before !== null && compareConfigRefs(committed, before) === 0)) return null;
  noteSticky(state, committed);
  return {
    code: "CONFIG_COMMITTED",
    message: `Version ${committed.version} of the configuration is committed in term ${committed.term}.`,
    facts: { version: committed.version, term: committed.term },
  };
}

function ballotShows(ballot: Ballot | undefined, state: QuorumState, ref: ConfigRef): boolean {
  return (
    ballot !== undefined &&
    !ballot.amnesic &&
    ballot.term === state.durable.term &&
    ballot.follows === state.durable.node &&
    ballot.stored.digest === ref.digest &&
    compareConfigRefs(ballot.stored, ref) === 0
  );
}

/** The old electorate stops counting T(1 + rho) after the change was seen committed: no older promise runs then. */
function settleJoint(state: QuorumState, nowUs: number): void {
  const { durable } = state;
  if (durable.jointWith.length === 0) return;
  const settled = state.committed !== null && compareConfigRefs(state.committed, durable.stored) === 0;
  if (!settled) {
    state.jointCommittedAtUs = null;
    return;
  }
  state.jointCommittedAtUs ??= nowUs;
  if (nowUs >= state.jointCommittedAtUs + promiseTiming(state).promiseUs) {
    remember(state, { jointWith: [] });
    state.jointCommittedAtUs = null;
  }
}

function noteSticky(state: QuorumState, committed: ConfigRef): void {
  const { durable } = state;
  if (state.wonTerm !== durable.term || durable.stickyVersion !== null) return;
  const own = votersEntry(durable.voters, durable.node);
  const first = durable.voters.nodes.toSorted(compareRank)[0];
  if (own !== undefined && first?.id === own.id) remember(state, { stickyVersion: committed.version });
}

/** The node that an operator has raised above this master since its own first commit; null when none. */
export function raisedAboveMaster(state: QuorumState): NodeId | null {
  const { durable, committed } = state;
  const { stickyVersion } = durable;
  if (stickyVersion === null || committed === null || committed.version <= stickyVersion) return null;
  if (compareConfigRefs(committed, durable.stored) !== 0) return null;
  const first = durable.voters.nodes.filter((node) => node.prio > 0).toSorted(compareRank)[0];
  return first === undefined || first.id === durable.node ? null : first.id;
}
