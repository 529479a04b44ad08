import type { ClusterConfig, NodeId } from "@quorate/contracts";

/** Stands for the SHA-256 of a document; FNV-1a, so that the simulation stays quick. */
export function digestOf(salt: number, config: ClusterConfig): string {
  let hash = 0xcbf29ce484222325n;
  for (const char of `${salt}${JSON.stringify(config.nodes)}`)
    hash = ((hash ^ BigInt(char.codePointAt(0) ?? 0)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(64, "0");
}

/** A configuration of `nodes`, one vote each, everything else as by default. */
export function makeConfig(
  tokenMs: number,
  version: number,
  nodes: readonly { id: NodeId; prio: number }[],
): ClusterConfig {
  return {
    clusterName: "sim",
    configVersion: version,
    tokenMs,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: nodes.length,
    quorumVotes: Math.floor(nodes.length / 2) + 1,
    ihttpdPorts: [1500],
    nodes: nodes.map((node) => ({ ...node, addresses: [`10.0.0.${node.id}`], replication: true, votes: 1 })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 5407,
    notHonoured: [],
  };
}
