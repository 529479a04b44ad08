import type { ClusterConfig, NodeConfig, QuorumMessage } from "@quorate/contracts";

export interface Objection {
  readonly code: "CONFIG_INVALID" | "UNSAFE";
  readonly message: string;
  readonly hint: string;
}

const WIRE_HINT =
  "Nodes take a configuration one after the other, and over the wire that this would change: those that " +
  "have it would not hear those that have not. Stop Quorate on every node and give every node the new file.";

function unsafe(message: string, hint: string): Objection {
  return { code: "UNSAFE", message, hint };
}

/** What every node must agree on at every instant, as heartbeats and the bus depend on it. */
function wireObjection(before: ClusterConfig, after: ClusterConfig): Objection | null {
  if (before.clusterName !== after.clusterName) {
    return {
      code: "CONFIG_INVALID",
      message: `cluster_name would change from ${before.clusterName} to ${after.clusterName}.`,
      hint: "Keep the cluster's name: it tells its messages from those of other clusters.",
    };
  }
  if (before.transport !== after.transport) {
    return unsafe(`totem.transport would change from ${before.transport} to ${after.transport}.`, WIRE_HINT);
  }
  if (before.routePort !== after.routePort) {
    return unsafe(
      `The port of the bus would change from ${before.routePort} to ${after.routePort}.`,
      WIRE_HINT,
    );
  }
  for (const ring of before.rings) {
    const next = after.rings.find((candidate) => candidate.ring === ring.ring);
    if (next === undefined) return unsafe(`Ring ${ring.ring} would go.`, WIRE_HINT);
    if (next.mcastaddr !== ring.mcastaddr || next.mcastport !== ring.mcastport) {
      return unsafe(`The multicast address or port of ring ${ring.ring} would change.`, WIRE_HINT);
    }
  }
  return null;
}

/** Each change of who votes with how much, and of how long a vote binds, in words: the joint ones. */
function jointChanges(before: ClusterConfig, after: ClusterConfig): string[] {
  const changes: string[] = [];
  for (const node of before.nodes) {
    const next = after.nodes.find((candidate) => candidate.id === node.id);
    if (next === undefined) changes.push(`node ${node.id} leaves`);
    else if (next.votes !== node.votes)
      changes.push(`votes of node ${node.id} ${node.votes} to ${next.votes}`);
  }
  for (const node of after.nodes) {
    if (!before.nodes.some((candidate) => candidate.id === node.id)) changes.push(`node ${node.id} joins`);
  }
  // expected_votes moving along with a node is part of that one change.
  if (changes.length === 0 && before.totalVotes !== after.totalVotes) {
    changes.push(`expected_votes ${before.totalVotes} to ${after.totalVotes}`);
  }
  if (before.tokenMs !== after.tokenMs) changes.push(`totem.token ${before.tokenMs} to ${after.tokenMs}`);
  return changes;
}

function isOutAndFenced(node: number, quorum: QuorumMessage): boolean {
  const inView = quorum.view.members.some((member) => member.node === node);
  return !inView && quorum.fences.some((fence) => fence.node === node && fence.verdict === "yes");
}

/** An address that others know the node by changes or goes; a further ring harms nobody. */
function isReaddressed(node: NodeConfig, next: NodeConfig): boolean {
  return node.addresses.some((address, ring) => next.addresses[ring] !== address);
}

/** Why `after` must not follow `before` in a running cluster; null when it may. */
export function objectionToChange(
  before: ClusterConfig,
  after: ClusterConfig,
  quorum: QuorumMessage,
): Objection | null {
  const wire = wireObjection(before, after);
  if (wire !== null) return wire;
  for (const entry of after.notHonoured) {
    if (entry.dangerous) {
      return {
        code: "CONFIG_INVALID",
        message: `line ${entry.line}, column ${entry.column}: ${entry.message}`,
        hint: entry.hint,
      };
    }
  }
  const changes = jointChanges(before, after);
  if (changes.length > 1) {
    return {
      code: "CONFIG_INVALID",
      message: `Nodes, votes and the token change one at a time; this changes ${changes.length}: ${changes.join(", ")}.`,
      hint: "Apply the first, wait until `quorate status` shows it committed, then the next.",
    };
  }
  for (const node of before.nodes) {
    const next = after.nodes.find((candidate) => candidate.id === node.id);
    if (next !== undefined && !isReaddressed(node, next)) continue;
    if (isOutAndFenced(node.id, quorum)) continue;
    const what = next === undefined ? "leave the node list" : "get another address";
    return unsafe(
      `Node ${node.id} would ${what} while it is in the view, or before it is fenced.`,
      `Stop Quorate on node ${node.id} (or switch the host off), wait until \`quorate status\` shows it fenced, ` +
        "then apply this again.",
    );
  }
  return null;
}
