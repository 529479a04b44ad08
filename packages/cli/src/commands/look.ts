import { EXIT_CODES } from "@quorate/contracts";
import { membershipInformation, nodeList, quorumInformation } from "../layouts.ts";
import { type Output, paintFor, type Shown } from "../output.ts";
import { type Places, takeSnapshot } from "../snapshot.ts";
import { statusOf } from "../status.ts";
import { statusText } from "../status-text.ts";

export async function lookAtStatus(places: Places, output: Output): Promise<Shown> {
  const status = statusOf(await takeSnapshot(places));
  return { json: status, text: statusText(status, paintFor(output)) };
}

export async function lookAtNodes(places: Places): Promise<Shown> {
  const status = statusOf(await takeSnapshot(places));
  return {
    json: { cluster: status.cluster, leader: status.leader, nodes: status.nodes, ages: status.ages },
    text: nodeList(status.cluster, status.nodes),
  };
}

/** As corosync-quorumtool: `-l` only lists, `-s` says in its exit code too whether there is quorum. */
export async function lookAtQuorum(places: Places, listOnly: boolean): Promise<Shown> {
  const snapshot = await takeSnapshot(places);
  const status = statusOf(snapshot);
  const json = {
    quorate: status.quorate,
    votes: status.votes,
    view: status.view,
    nodes: status.nodes.filter((node) => node.isMember),
    ages: status.ages,
  };
  if (listOnly) return { json, text: membershipInformation(status.nodes) };
  const text = quorumInformation({
    wallClock: snapshot.wallClock,
    nodeId: snapshot.nodeId,
    view: status.view,
    quorate: status.quorate === "yes",
    config: snapshot.config ?? { totalVotes: 0, quorumVotes: 0 },
    nodes: status.nodes,
  });
  return { json, text, exit: status.quorate === "yes" ? EXIT_CODES.ok : EXIT_CODES.notQuorate };
}
