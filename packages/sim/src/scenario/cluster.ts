import { type ClusterConfig, QuorateError } from "@quorate/contracts";
import { readClusterConfig, refusalError } from "@quorate/corosync-conf";
import { CLUSTER_IP } from "../documents.ts";
import type { ClusterSetup } from "../options.ts";

/**
 * The cluster of a scenario, read from a file as administrators write it. Throws QuorateError: what the grammar
 * refuses, as `quorate config check` says it, and what the simulated hosts do not have.
 */
export function readCluster(text: string, file: string): ClusterSetup {
  const read = readClusterConfig(text, file);
  if (!read.ok) throw refusalError(read);
  const { config } = read;
  for (const [wrong, message, hint] of unsimulated(config))
    if (wrong) throw new QuorateError("SCENARIO_INVALID", `${file}: ${message}`, hint);
  return {
    tokenMs: config.tokenMs,
    nodes: config.nodes.map(({ id, prio, votes }) => ({ id, prio, votes })),
    rings: config.rings.length,
    transport: config.transport === "udp" ? "udp" : "udpu",
  };
}

function unsimulated(config: ClusterConfig): [boolean, string, string][] {
  const { address, device, prefixLength } = CLUSTER_IP;
  const [ip, ...others] = config.clusterIps;
  const isOurs = ip?.address === address && ip.device === device && ip.prefixLength === prefixLength;
  return [
    [
      !isOurs || others.length > 0,
      `simulated hosts have one cluster address, ${address}/${prefixLength} on ${device}`,
      "Let cluster_ip say that.",
    ],
    [config.managedService.kind === "none", "simulated hosts have a managed service", "Name one."],
    [
      config.nodes.length < 3 || config.nodes.length > 9,
      `${config.nodes.length} nodes`,
      "The simulator takes 3 to 9.",
    ],
  ];
}
