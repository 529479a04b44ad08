/** The lab's cluster.conf: the original's three-node file with one or two cluster addresses and our service. */
import { join } from "node:path";
import { machinesSection } from "./guest/guests.ts";

export type LabTopology = {
  tokenMs: number;
  /** "file": as the original's file has it (multicast); "udpu": unicast. */
  transport: "file" | "udpu";
  /** 1 or 2 networks between the hosts. */
  rings: 1 | 2;
  ipv6: boolean;
  /** How many virtual machines; 0: none. */
  guests: number;
};

export const DEFAULT_TOPOLOGY: LabTopology = {
  tokenMs: 1000,
  transport: "file",
  rings: 1,
  ipv6: false,
  guests: 0,
};

export const SERVICE_PORT = 1500;
export const VIP = "172.31.223.100";
export const VIP_V6 = "fd51:223::100";

export type LabNode = { id: number; prio: number; address: string };

export const LAB_NODES: readonly LabNode[] = [
  { id: 2, prio: 99, address: "172.31.223.46" },
  { id: 4, prio: 100, address: "172.31.223.47" },
  { id: 8, prio: 98, address: "172.31.223.48" },
];

/** The same host number on the second network. */
export function ring1Address(address: string): string {
  return address.replace("172.31.223.", "172.31.224.");
}

/** The command that the failover-actuator starts on the master. */
export function serviceCommand(node: string): string {
  const script = join(import.meta.dirname, "../assets/service.mjs");
  // It is idle but for one line per request: a small heap keeps it near Node's floor.
  return `exec ${node} --max-old-space-size=24 --max-semi-space-size=1 ${script} --port ${SERVICE_PORT}`;
}

export function clusterConf(topology: LabTopology, service: string): string {
  const lines = ["totem {", `\ttoken: ${topology.tokenMs}`];
  if (topology.transport === "udpu") lines.push("\ttransport: udpu");
  lines.push(...interfaceSection("172.31.223.47", "239.255.1.1", 5405, null));
  if (topology.rings === 2) lines.push(...interfaceSection("172.31.224.47", "239.255.1.2", 5407, 1));
  lines.push("\tconfig_version: 1", "\tcluster_name: VMmanager", "}");
  lines.push("quorum {", "\texpected_votes: 3", "}");
  lines.push("ihttpd {", "\tcount: 1", `\tport0: ${SERVICE_PORT}`, "}");
  lines.push("cluster_ip {", `\taddress: ${VIP}`, "\tCloudIpDev: vmbr0", "\tCloudMask: 24", "}");
  if (topology.ipv6) {
    lines.push("cluster_ip {", `\taddress: ${VIP_V6}`, "\tCloudIpDev: vmbr0", "\tCloudMask: 64", "}");
  }
  lines.push("managed_service {", `\tcommand: ${service}`, "}");
  lines.push(...machinesSection(topology.guests));
  lines.push("nodelist {");
  for (const node of LAB_NODES) {
    lines.push("\tnode {", `\t\tring0_addr: ${node.address}`);
    if (topology.rings === 2) lines.push(`\t\tring1_addr: ${ring1Address(node.address)}`);
    lines.push(`\t\tnodeid: ${node.id}`, `\t\tprio: ${node.prio}`, "\t\treplication: on", "\t}");
  }
  lines.push("}");
  return `${lines.join("\n")}\n`;
}

function interfaceSection(network: string, group: string, port: number, ring: number | null): string[] {
  const lines = ["\tinterface {"];
  if (ring !== null) lines.push(`\t\tringnumber: ${ring}`);
  lines.push(
    `\t\tbindnetaddr: ${network}`,
    `\t\tmcastaddr: ${group}`,
    `\t\tmcastport: ${port}`,
    "\t\tttl: 1",
  );
  lines.push("\t}");
  return lines;
}
