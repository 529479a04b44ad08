import {
  type ClusterConfig,
  compareConfigRefs,
  type ConfigRef,
  type NodeConfig,
  type NodeId,
  type QuorumMessage,
} from "@quorate/contracts";
import { compareRank } from "@quorate/core-quorum";
import { digestOf } from "./documents.ts";
import type { Host } from "./host.ts";

/** What a node's config-distributor wants durable next, after a look at the evaluator's word. */
export type Wish = { ref: ConfigRef; from: NodeId; config: ClusterConfig };

/** A model of config-distributor: re-stamp, make mastership stick, re-admit, fetch from the leader. */
export function nextDocument(
  host: Host,
  message: QuorumMessage,
  documents: ReadonlyMap<string, ClusterConfig>,
  /** The leader's document, when it can be reached. */
  leaders: ConfigRef | null,
): Wish | null {
  const wish = (ref: ConfigRef, from: NodeId): Wish | null => {
    const config = documents.get(ref.digest);
    return config === undefined ? null : { ref, from, config };
  };
  if (message.role !== "master") {
    if (message.leader === null) return null;
    if (leaders?.term === message.term && compareConfigRefs(leaders, host.document) > 0)
      return wish(leaders, message.leader);
    return compareConfigRefs(host.document, message.stored) > 0 ? wish(host.document, message.leader) : null;
  }
  const { stored, committed, term } = message;
  if (stored.term < term) return wish({ ...stored, term }, host.id);
  const config = documents.get(stored.digest);
  if (config === undefined || committed === null || compareConfigRefs(committed, stored) !== 0) return null;
  const nodes = swapWithHighest(config.nodes, host.id);
  if (nodes === null && message.readmit.length === 0) return null;
  const version = stored.version + 1;
  const next = { ...config, nodes: nodes ?? config.nodes, configVersion: version };
  return {
    ref: { term, version, digest: digestOf(term * 1_000_000 + version, next) },
    from: host.id,
    config: next,
  };
}

/** The list with this node's prio swapped with the highest; null when it is the highest already. */
function swapWithHighest(nodes: readonly NodeConfig[], id: NodeId): NodeConfig[] | null {
  const highest = nodes.toSorted(compareRank)[0];
  const own = nodes.find((node) => node.id === id);
  if (highest === undefined || own === undefined || highest.id === id) return null;
  return nodes.map((node) => {
    if (node.id === id) return { ...node, prio: highest.prio };
    return node.id === highest.id ? { ...node, prio: own.prio } : node;
  });
}
