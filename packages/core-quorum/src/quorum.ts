import { type NodeId, quorumOf, type Voters } from "@quorate/contracts";

/**
 * The configurations whose quorum must be had: the stored one first, then those of a change in flight.
 * Any two strict majorities of one configuration share a voter; while a change is in flight both count.
 */
export type Electorates = readonly [Voters, ...Voters[]];

function votesOf(voters: Voters, has: (node: NodeId) => boolean): number {
  let votes = 0;
  for (const node of voters.nodes) if (has(node.id)) votes += node.votes;
  return votes;
}

/** Whether the nodes that `has` accepts are a quorum in every electorate. */
export function isQuorum(electorates: Electorates, has: (node: NodeId) => boolean): boolean {
  return electorates.every((voters) => votesOf(voters, has) >= quorumOf(voters.totalVotes));
}

/** Votes present, of how many, and how many are needed, in the stored configuration. */
export function countVotes(
  electorates: Electorates,
  has: (node: NodeId) => boolean,
): { present: number; total: number; quorum: number } {
  const [voters] = electorates;
  return {
    present: votesOf(voters, has),
    total: voters.totalVotes,
    quorum: quorumOf(voters.totalVotes),
  };
}

/**
 * The latest instant at which a quorum's values are all at least that: the weighted k-th largest, and the
 * smallest of these over the electorates. -Infinity when no quorum has a value.
 */
export function quorumValue(electorates: Electorates, valueOf: (node: NodeId) => number): number {
  let result = Number.POSITIVE_INFINITY;
  for (const voters of electorates) {
    const quorum = quorumOf(voters.totalVotes);
    const values = voters.nodes
      .map((node) => ({ value: valueOf(node.id), votes: node.votes }))
      .sort((left, right) => right.value - left.value);
    let votes = 0;
    let reached = Number.NEGATIVE_INFINITY;
    for (const entry of values) {
      votes += entry.votes;
      if (votes >= quorum) {
        reached = entry.value;
        break;
      }
    }
    result = Math.min(result, reached);
  }
  return result;
}

/** Every node that any electorate names, sorted. */
export function electorateNodes(electorates: Electorates): NodeId[] {
  const nodes: NodeId[] = [];
  for (const voters of electorates)
    for (const { id } of voters.nodes) if (!nodes.includes(id)) nodes.push(id);
  return nodes.sort((left, right) => left - right);
}

export function sameElectorate(left: Voters, right: Voters): boolean {
  return (
    left.tokenMs === right.tokenMs &&
    left.totalVotes === right.totalVotes &&
    left.nodes.length === right.nodes.length &&
    left.nodes.every((node, index) => {
      const other = right.nodes[index];
      return other !== undefined && other.id === node.id && other.votes === node.votes;
    })
  );
}

/** Orders nodes as leaders: highest prio first, then lowest id. */
export function compareRank(left: { id: NodeId; prio: number }, right: { id: NodeId; prio: number }): number {
  return right.prio - left.prio || left.id - right.id;
}
