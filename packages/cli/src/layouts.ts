import type { ClusterConfig, NodeId } from "@quorate/contracts";
import type { NodeLine } from "./status.ts";

/** Right aligned; what is too long for the column is set off by a blank and moves the rest of its line. */
function cell(text: string, width: number): string {
  return text.length < width ? text.padStart(width) : ` ${text}`;
}

/** `corolistener -l`: columns of 11, 17, 10, 14 and 10, right aligned; a blank and 61 `=`. */
export function nodeList(clusterName: string, nodes: readonly NodeLine[]): string {
  const row = (id: string, address: string, status: string, role: string, prio: string) =>
    cell(id, 11) + cell(address, 17) + cell(status, 10) + cell(role, 14) + cell(prio, 10);
  const title = clusterName.endsWith("-cloud") ? clusterName : `${clusterName}-cloud`;
  return [
    ` ${title} node list`,
    ` ${"=".repeat(61)}`,
    row("Id", "Ip", "Status", "Master/Slave", "Priority"),
    ...nodes.map((node) => row(String(node.id), node.address, node.state, node.letter, String(node.prio))),
    "",
  ].join("\n");
}

/** `corosync-quorumtool -l`. */
export function membershipInformation(nodes: readonly NodeLine[]): string {
  const row = (id: string, votes: string, name: string) => `${id.padStart(10)} ${votes.padStart(10)} ${name}`;
  return [
    "",
    "Membership information",
    "----------------------",
    row("Nodeid", "Votes", "Name"),
    ...nodes
      .filter((node) => node.isMember)
      .map((node) =>
        row(String(node.id), String(node.votes), node.isLocal ? `${node.address} (local)` : node.address),
      ),
    "",
  ].join("\n");
}

export interface QuorumInformation {
  wallClock: Date;
  nodeId: NodeId;
  view: { term: number; number: number } | null;
  quorate: boolean;
  config: Pick<ClusterConfig, "totalVotes" | "quorumVotes">;
  nodes: readonly NodeLine[];
}

/** `corosync-quorumtool -s`. The ring's id is the lowest member and our view, term and number in one. */
export function quorumInformation(information: QuorumInformation): string {
  const { wallClock, nodeId, view, quorate, config, nodes } = information;
  const members = nodes.filter((node) => node.isMember);
  const ring = view === null ? 0 : view.term * 0x1_0000 + view.number;
  const present = members.reduce((sum, node) => sum + node.votes, 0);
  return [
    "Quorum information",
    "------------------",
    `Date:             ${ctime(wallClock)}`,
    "Quorum provider:  corosync_votequorum",
    `Nodes:            ${members.length}`,
    `Node ID:          ${nodeId}`,
    `Ring ID:          ${(members[0]?.id ?? nodeId).toString(16)}.${ring.toString(16)}`,
    `Quorate:          ${quorate ? "Yes" : "No"}`,
    "",
    "Votequorum information",
    "----------------------",
    `Expected votes:   ${config.totalVotes}`,
    `Highest expected: ${config.totalVotes}`,
    `Total votes:      ${present}`,
    `Quorum:           ${config.quorumVotes} ${quorate ? " " : "Activity blocked"}`,
    `Flags:            ${quorate ? "Quorate " : ""}`,
    membershipInformation(nodes),
  ].join("\n");
}

/** `Fri Nov 22 16:37:13 2026`, local time, as C's ctime writes it. */
function ctime(date: Date): string {
  const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = String(date.getDate()).padStart(2);
  return `${days[date.getDay()]} ${months[date.getMonth()]} ${day} ${clock} ${date.getFullYear()}`;
}
