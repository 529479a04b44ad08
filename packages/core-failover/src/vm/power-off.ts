import type { NodeId } from "@quorate/contracts";
import type { OffProof, RelocatorState, RelocatorTurn } from "./relocator-state.ts";

/**
 * Proofs that a host is off, for machines that a lapsed lease alone does not fence (INV-3 beyond the gates). A proof
 * lives in the reign and nowhere else: whoever leads next has to be told anew, because a host that was off may have been
 * switched on where nobody saw it. It dies with the host's return, or with any sign of life. See ADR 18.
 */

/** What speaks against taking this host for off; null when nothing is known to. */
export function whyNotOff(state: RelocatorState, node: NodeId, nowUs: number): string | null {
  const { config, judgement, reign } = state;
  if (judgement === null || reign === null || nowUs >= judgement.masterLeaseEndUs)
    return "This node does not lead at this moment.";
  if (node === config.node) return `Node ${node} is the master, which answers you.`;
  if (judgement.members.includes(node)) return `Node ${node} is a member of the view: it is on.`;
  const fence = judgement.fences.find((each) => each.node === node);
  if (fence === undefined) return `Node ${node} is not among the hosts that are out of the view.`;
  if (fence.verdict !== "yes" || fence.atUs === null)
    return `Node ${node} is not fenced yet: its last lease may still run.`;
  const heardAtUs = state.heardAtUs[node];
  if (heardAtUs === undefined || nowUs - heardAtUs >= config.tokenUs) return null;
  return `Node ${node} was heard ${Math.round((nowUs - heardAtUs) / 1000)} ms ago: it is on.`;
}

/** Takes an operator's word. */
export function confirmOff(turn: RelocatorTurn, node: NodeId): void {
  const { state, reign, nowUs, reasons } = turn;
  if (whyNotOff(state, node, nowUs) !== null) return;
  prove(turn, node, "operator");
  const message = `Node ${node} is taken for off on an operator's word: what no gate holds may be started elsewhere.`;
  reasons.push({ code: "HOST_OFF_CONFIRMED", message, facts: { node, term: reign.term } });
}

/** From now on what no gate holds is over there as well. */
export function prove(turn: RelocatorTurn, node: NodeId, witness: OffProof["witness"]): void {
  const fencedAtUs = fenceOf(turn, node);
  if (fencedAtUs !== null) turn.reign.proofs[node] = { witness, atUs: turn.nowUs, fencedAtUs };
}

/** Drops what is proved no longer, before anything is decided. A new mastership has none to begin with. */
export function reviewProofs(turn: RelocatorTurn): void {
  const { reign, reasons } = turn;
  for (const [name, proof] of Object.entries(reign.proofs)) {
    const node = Number(name);
    const why = whyVoid(turn, node, proof);
    if (why === null) continue;
    delete reign.proofs[node];
    const message = `That node ${node} is off counts no longer: ${why}.`;
    reasons.push({ code: "HOST_OFF_VOID", message, facts: { node } });
  }
}

function whyVoid(turn: RelocatorTurn, node: NodeId, proof: OffProof): string | null {
  if (turn.judgement.members.includes(node)) return "it is a member again";
  if (fenceOf(turn, node) !== proof.fencedAtUs) return "it was back in between";
  return (turn.state.heardAtUs[node] ?? 0) > proof.atUs ? "it was heard" : null;
}

/** When the host was fenced; null while it isn't. */
function fenceOf(turn: RelocatorTurn, node: NodeId): number | null {
  const fence = turn.judgement.fences.find((each) => each.node === node);
  return fence?.verdict === "yes" ? fence.atUs : null;
}
