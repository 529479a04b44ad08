import {
  type Ballot,
  compareViews,
  type NodeId,
  type QuorumMessage,
  type Reason,
  type View,
  type ViewMember,
} from "@quorate/contracts";
import { electorateNodes } from "./quorum.ts";
import { electoratesOf, promiseTiming, type QuorumState, remember } from "./state.ts";

/** 32 T, half of what is remembered: whoever is quarantined is forgiven only after it has come back. */
const MAX_FLAP_DOUBLINGS = 5;
/** A node that stayed this many tokens is forgiven its flapping. */
const FLAP_MEMORY_TOKENS = 60;

/** Adopts a newer view of the master that this node follows; learns from it whether it is out. */
export function adoptView(state: QuorumState, ballot: Ballot): Reason | null {
  const { durable } = state;
  if (!ballot.master || ballot.node !== durable.follows || ballot.term !== durable.term) return null;
  return takeView(state, ballot.view);
}

function takeView(state: QuorumState, view: View): Reason | null {
  const { durable } = state;
  if (compareViews(view, durable.view) <= 0) return null;
  const entry = view.members.find((member) => member.node === durable.node);
  // A member not yet seen under any boot is not out: nothing was ever granted to it.
  const out = entry === undefined || (entry.bootId !== null && entry.bootId !== state.bootId);
  // A new generation, so that the actuator's next report is known to have been made without a lease.
  remember(state, { view, out, generation: out ? durable.generation + 1 : durable.generation });
  if (out) {
    // What was granted to the removed boot is void, whatever the clock says.
    state.nodeLeaseEndUs = 0;
    state.grantedBy.clear();
  }
  const count = view.members.length === 1 ? "1 member" : `${view.members.length} members`;
  const isRebooted = out && entry !== undefined;
  const without = isRebooted ? "; this node has rebooted since it was one" : "; this node is not one of them";
  return {
    code: out ? "VIEW_ADOPTED_OUT" : "VIEW_ADOPTED",
    message: `View ${view.term}.${view.number} has ${count}${out ? without : ""}.`,
    facts: { term: view.term, number: view.number, members: view.members.map(({ node }) => node).join(" ") },
  };
}

/** The winner's first view: the newest that its voters have adopted, removing nobody. */
export function publishFirstView(state: QuorumState, votes: readonly Ballot[]): Reason | null {
  const { durable } = state;
  if (durable.view.term === durable.term) return null;
  let newest = durable.view;
  for (const ballot of votes) if (compareViews(ballot.view, newest) > 0) newest = ballot.view;
  return takeView(state, { term: durable.term, number: 1, members: newest.members });
}

/**
 * At the master with a valid lease: the next view, when somebody has to go or may come in. Whom this node did
 * not hear counts as silent only up to the instant until which all input has been read.
 */
export function reviseView(state: QuorumState, nowUs: number, drainedUs: number): Reason[] {
  const { durable } = state;
  if (state.wonTerm !== durable.term || durable.view.term !== durable.term) return [];
  if (nowUs >= state.masterLeaseEndUs || state.closing !== null) return [];
  const readUntilUs = Math.min(drainedUs, state.peersStampUs);
  const nodes = electorateNodes(electoratesOf(state));
  const reasons: Reason[] = [];
  const members: ViewMember[] = [];
  for (const member of durable.view.members) {
    if (!nodes.includes(member.node)) {
      reasons.push({
        code: "NODE_UNLISTED",
        message: `Node ${member.node} left the node list.`,
        facts: { node: member.node },
      });
      continue;
    }
    const removal = removalReason(state, member, readUntilUs);
    if (removal === null) members.push(fillBoot(state, member, nowUs));
    else {
      reasons.push(removal);
      noteFlap(state, member.node, nowUs);
    }
  }
  for (const node of nodes) {
    if (durable.view.members.some((member) => member.node === node)) continue;
    const bootId = readmissibleBoot(state, node, nowUs);
    if (bootId === null) continue;
    members.push({ node, bootId });
    reasons.push({
      code: "NODE_READMITTED",
      message: `Node ${node} is back: out and clean under this term, joined long enough.`,
      facts: { node },
    });
  }
  members.sort((left, right) => left.node - right.node);
  if (isSame(members, durable.view.members)) return [];
  const view: View = { term: durable.term, number: durable.view.number + 1, members };
  const adopted = takeView(state, view);
  for (const member of members) state.fencing.delete(member.node);
  return adopted === null ? reasons : [...reasons, adopted];
}

function isSame(left: readonly ViewMember[], right: readonly ViewMember[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ node, bootId }, index) => node === right[index]?.node && bootId === right[index]?.bootId)
  );
}

function fillBoot(state: QuorumState, member: ViewMember, nowUs: number): ViewMember {
  if (member.bootId !== null) return member;
  if (member.node === state.durable.node) return { ...member, bootId: state.bootId };
  const peer = state.peers.get(member.node);
  const fresh = peer !== undefined && nowUs - peer.receivedAtUs < promiseTiming(state).tokenUs;
  return fresh && !peer.ballot.amnesic ? { ...member, bootId: peer.ballot.name.bootId } : member;
}

function removalReason(state: QuorumState, member: ViewMember, readUntilUs: number): Reason | null {
  const { node } = member;
  const { tokenUs } = promiseTiming(state);
  const facts = { node };
  if (node === state.durable.node) {
    return member.bootId === null || member.bootId === state.bootId
      ? null
      : {
          code: "NODE_REBOOTED",
          message: `Node ${node} (this one) has rebooted since it was a member.`,
          facts,
        };
  }
  const peer = state.peers.get(node);
  if (peer !== undefined && member.bootId !== null && peer.ballot.name.bootId !== member.bootId) {
    return { code: "NODE_REBOOTED", message: `Node ${node} has rebooted since it was a member.`, facts };
  }
  if (peer?.ballot.leaving === true)
    return { code: "NODE_LEAVES", message: `Node ${node} says goodbye.`, facts };
  if (peer?.ballot.amnesic === true)
    return { code: "NODE_AMNESIC", message: `Node ${node} lost its state.`, facts };
  // A node whose own loop was late lately blames itself first; it costs time, never safety.
  const patientUs = tokenUs * state.patience;
  const silentSinceUs = peer?.receivedAtUs ?? state.startedAtUs;
  if (readUntilUs - silentSinceUs >= patientUs) {
    return {
      code: "NODE_SILENT",
      message: `Node ${node} has not been heard for a token.`,
      facts: { node, silentUs: readUntilUs - silentSinceUs },
    };
  }
  const membership = state.peerStates.get(node);
  if (membership?.state === "one-way" && readUntilUs - membership.sinceUs >= patientUs) {
    return { code: "NODE_ONE_WAY", message: `Node ${node} is heard, but does not hear this node.`, facts };
  }
  if (membership?.state === "left") return { code: "NODE_LEFT", message: `Node ${node} has left.`, facts };
  return null;
}

/** At the master: what each absent node still has to wait before it may come back. */
export function quarantines(state: QuorumState, nowUs: number): NonNullable<QuorumMessage["quarantines"]> {
  const { durable, peerStates } = state;
  const present = durable.view.members.map(({ node }) => node);
  return electorateNodes(electoratesOf(state))
    .filter((node) => node !== durable.node && !present.includes(node))
    .map((node) => {
      const membership = peerStates.get(node);
      const waitUs = readmissionDelayUs(state, node, nowUs);
      return {
        node,
        waitUs,
        removals: state.flaps.get(node)?.count ?? 1,
        untilUs: membership?.state === "joined" ? membership.sinceUs + waitUs : null,
      };
    });
}

/** The boot under which an absent node may come back, or null while it may not. */
function readmissibleBoot(state: QuorumState, node: NodeId, nowUs: number): string | null {
  const { durable } = state;
  if (node === durable.node) {
    return isClean(state) && nowUs - state.startedAtUs >= promiseTiming(state).tokenUs ? state.bootId : null;
  }
  const ballot = state.peers.get(node)?.ballot;
  if (ballot === undefined || ballot.amnesic || ballot.leaving || !ballot.out || ballot.clean === null)
    return null;
  if (ballot.term !== durable.term || ballot.clean.term !== durable.term) return null;
  if (compareViews({ term: ballot.clean.viewTerm, number: ballot.clean.viewNumber }, durable.view) < 0)
    return null;
  if (state.report?.strays?.includes(node) === true) return null;
  const membership = state.peerStates.get(node);
  if (membership?.state !== "joined") return null;
  return nowUs - membership.sinceUs >= readmissionDelayUs(state, node, nowUs) ? ballot.name.bootId : null;
}

/** Whether this node is out and its actuator, without a lease since, holds nothing under this term. */
export function isClean(state: QuorumState): boolean {
  const { durable, report } = state;
  return (
    durable.out &&
    report !== null &&
    report.generation === durable.generation &&
    // The gate of the cluster address is the master's by another right than its membership.
    (report.gate === "shut" || state.wonTerm === durable.term) &&
    report.cleanUnderTerm === durable.term
  );
}

/** One token for the first return, doubled for each removal that followed soon after another. */
export function readmissionDelayUs(state: QuorumState, node: NodeId, nowUs: number): number {
  const { tokenUs } = promiseTiming(state);
  const flap = state.flaps.get(node);
  if (flap === undefined || nowUs - flap.lastUs > FLAP_MEMORY_TOKENS * tokenUs) return tokenUs;
  return tokenUs * 2 ** Math.min(flap.count - 1, MAX_FLAP_DOUBLINGS);
}

function noteFlap(state: QuorumState, node: NodeId, nowUs: number): void {
  const { tokenUs } = promiseTiming(state);
  const flap = state.flaps.get(node);
  const recent = flap !== undefined && nowUs - flap.lastUs <= FLAP_MEMORY_TOKENS * tokenUs;
  state.flaps.set(node, { count: recent ? flap.count + 1 : 1, lastUs: nowUs });
}
