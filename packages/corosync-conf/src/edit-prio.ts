import type { ConfDocument } from "./document.ts";
import { setValue } from "./edit.ts";

/** Sets a node's `prio`. Throws QuorateError NODE_UNKNOWN. */
export function setNodePrio(document: ConfDocument, nodeId: number, prio: number): ConfDocument {
  const node = { section: "node", key: "nodeid", value: String(nodeId) };
  return setValue(document, ["nodelist", node, "prio"], String(prio));
}

/**
 * Sticky mastership: the node swaps its `prio` with the highest. Afterwards it ranks first by (prio, then
 * lowest id), equal prios or not. Throws QuorateError NODE_UNKNOWN, or UNSAFE for a node of `prio: 0`.
 */
export function swapPrioWithHighest(document: ConfDocument, nodeId: number): ConfDocument {
  return setNodePrio(document, nodeId, 0);
}
