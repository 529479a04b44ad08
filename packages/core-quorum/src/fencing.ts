import { type Ballot, compareViews, type NodeId, type Reason } from "@quorate/contracts";
import { electorateNodes, quorumValue } from "./quorum.ts";
import { electoratesOf, promiseTiming, type QuorumState } from "./state.ts";

/**
 * At the master: collects, for every node outside the view, when each adopter of this view granted it for the
 * last time. `fence(X) = max over the adopters of this view, a quorum, of (receipt of the report - reported
 * age) + T(1 + 2 rho)`: any quorum that could have renewed X's lease shares a voter with the adopters, and an
 * adopter grants X nothing more.
 */
export function collectFenceReports(state: QuorumState, ballot: Ballot, receivedAtUs: number): void {
  const { durable } = state;
  if (state.wonTerm !== durable.term || ballot.term !== durable.term) return;
  if (ballot.amnesic || compareViews(ballot.view, durable.view) !== 0) return;
  for (const node of absentNodes(state)) {
    const fencing = fencingOf(state, node);
    if (ballot.node === node) {
      // The node itself says that it is out, and its actuator that it holds nothing.
      const clean = ballot.clean;
      fencing.ownReport ||=
        ballot.out &&
        clean !== null &&
        clean.term === durable.term &&
        compareViews({ term: clean.viewTerm, number: clean.viewNumber }, durable.view) === 0;
    }
    const echo = ballot.echoes.find((entry) => entry.node === node);
    // Without an echo the adopter has never heard of the node: nothing granted since it started.
    if (echo === undefined || fencing.reports.has(ballot.node)) continue;
    fencing.reports.set(ballot.node, receivedAtUs - echo.sinceLastGrantUs);
  }
}

/** Judges which absent nodes are fenced. A verdict stands until the node is a member again. */
export function judgeFences(state: QuorumState, nowUs: number): Reason[] {
  const { durable } = state;
  if (state.wonTerm !== durable.term) {
    state.fencing.clear();
    return [];
  }
  // A thawed master whose lease has lapsed judges nobody.
  if (nowUs >= state.masterLeaseEndUs) return [];
  const reasons: Reason[] = [];
  for (const node of absentNodes(state)) {
    const fencing = fencingOf(state, node);
    if (fencing.fencedAtUs !== null) continue;
    const own = state.lastGrants.get(node)?.atUs ?? state.startedAtUs;
    const lastGrantUs = -quorumValue(electoratesOf(state), (voter) => {
      if (voter === durable.node) return -own;
      const report = fencing.reports.get(voter);
      return report === undefined ? Number.NEGATIVE_INFINITY : -report;
    });
    const fenceUs = lastGrantUs + promiseTiming(state).fenceUs;
    if (!fencing.ownReport && nowUs < fenceUs) continue;
    fencing.fencedAtUs = nowUs;
    reasons.push({
      code: "NODE_FENCED",
      message: fencing.ownReport
        ? `Node ${node} reported that it is out with its gates shut.`
        : `Node ${node} is fenced: the last lease that a quorum could have granted it is over.`,
      facts: { node, ownReport: fencing.ownReport },
    });
  }
  return reasons;
}

/** When the next verdict may fall, for the clock. */
export function nextFenceUs(state: QuorumState): number {
  return [...state.fencing.values()].some((fencing) => fencing.fencedAtUs === null)
    ? promiseTiming(state).heartbeatUs
    : Number.POSITIVE_INFINITY;
}

export function absentNodes(state: QuorumState): NodeId[] {
  const members = state.durable.view.members;
  return electorateNodes(electoratesOf(state)).filter(
    (node) => !members.some((member) => member.node === node),
  );
}

function fencingOf(state: QuorumState, node: NodeId) {
  let fencing = state.fencing.get(node);
  if (fencing === undefined) {
    fencing = { reports: new Map<NodeId, number>(), fencedAtUs: null, ownReport: false };
    state.fencing.set(node, fencing);
  }
  return fencing;
}
