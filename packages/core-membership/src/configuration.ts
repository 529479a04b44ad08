import type { ClusterConfig, NodeId } from "@quorate/contracts";
import { type Timing, timingOf } from "./timing.ts";

/** What membership needs of the cluster's configuration. */
export interface MembershipConfig {
  readonly clusterName: string;
  readonly timing: Timing;
  /** Every other node of the node list, sorted by node. */
  readonly peers: readonly { readonly node: NodeId; readonly rings: readonly number[] }[];
}

/**
 * A peer is looked for on every ring that the configuration has and on which both ends have an address.
 * A node that is not in its own list listens to nobody: it has no peers.
 */
export function membershipConfigOf(config: ClusterConfig, self: NodeId): MembershipConfig {
  const own = config.nodes.find((node) => node.id === self);
  const rings = config.rings.map((ring) => ring.ring);
  const peers = config.nodes
    .filter((node) => own !== undefined && node.id !== self)
    .map((node) => ({
      node: node.id,
      rings: rings
        .filter((ring) => node.addresses[ring] !== undefined && own?.addresses[ring] !== undefined)
        .sort((left, right) => left - right),
    }))
    .sort((left, right) => left.node - right.node);
  return { clusterName: config.clusterName, timing: timingOf(config.tokenMs), peers };
}
