import { quorumOf } from "@quorate/contracts";
import type { Place } from "./diagnostic.ts";
import type { ConfSection } from "./document.ts";
import { sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import type { PlacedNode } from "./meaning-nodes.ts";
import { TypedSection } from "./typed-section.ts";

export interface Votes {
  readonly totalVotes: number;
  readonly quorumVotes: number;
}

export function quorumSection(root: ConfSection, findings: Findings): TypedSection {
  return new TypedSection("quorum", sectionsNamed(root, "quorum"), findings, { line: 1, column: 1 });
}

/** Reckons the votes. Warns where the death of one node stops all; that is safe, but it isn't what HA is for. */
export function readVotes(quorum: TypedSection, nodes: readonly PlacedNode[], findings: Findings): Votes {
  const sum = nodes.reduce((total, { config }) => total + config.votes, 0);
  const expected = quorum.integer("expected_votes");
  const totalVotes = Math.max(1, sum, expected?.value ?? 0);
  const votes = { totalVotes, quorumVotes: quorumOf(totalVotes) };
  const [first] = nodes;
  if (first === undefined) return votes;
  if (expected?.place !== undefined && expected.value < sum) {
    findings.note(
      expected.place,
      `"expected_votes" ${expected.value} is below the sum of the nodes' votes`,
      `${sum} is used: two sides could each have a quorum of fewer`,
    );
  }
  if (sum < votes.quorumVotes) {
    const place = expected?.place ?? first.place;
    const what = `all nodes together have ${sum} of ${totalVotes} votes, and the quorum is ${votes.quorumVotes}`;
    findings.error(
      place,
      what,
      sum === 0
        ? "give the nodes votes with quorum_votes"
        : `write expected_votes: ${sum}, or give the nodes more votes`,
    );
    return votes;
  }
  if (!survivesAnyLoss(votes, nodes)) reportFragile(votes, nodes, first.place, findings);
  return votes;
}

/** Whether whichever single node dies, the others still have a quorum. */
function survivesAnyLoss(votes: Votes, nodes: readonly PlacedNode[]): boolean {
  const sum = nodes.reduce((total, { config }) => total + config.votes, 0);
  const most = Math.max(0, ...nodes.map(({ config }) => config.votes));
  return sum - most >= votes.quorumVotes;
}

function reportFragile(votes: Votes, nodes: readonly PlacedNode[], place: Place, findings: Findings): void {
  if (nodes.length === 1) {
    findings.warning(
      place,
      "there is one node, so nothing can fail over",
      "add nodes; three is the least that survives the death of one",
    );
    return;
  }
  if (nodes.length === 2) {
    findings.warning(
      place,
      "there are two nodes and no third voter: the death of one stops the other too",
      "add a third voter; a node with prio: 0 on any small machine votes and never leads",
    );
    return;
  }
  const sum = nodes.reduce((total, { config }) => total + config.votes, 0);
  const heavy = nodes.filter(({ config }) => sum - config.votes < votes.quorumVotes);
  for (const { config, place: nodePlace } of heavy) {
    const what = `without node ${config.id} the others have ${sum - config.votes} of ${votes.totalVotes} votes, and the quorum is ${votes.quorumVotes}: its death stops all`;
    findings.warning(
      nodePlace,
      what,
      "spread the votes so that any one node may die, or lower expected_votes",
    );
  }
}

/**
 * What the file asks of quorum and we don't do. Ignoring is never a danger to safety here: our quorum is a
 * strict majority of all votes, which is at least as strict as each of these. It is dangerous where it turns a
 * failure that the file means to survive into a stop of everything: then the node must not start in silence.
 */
export function reportNotHonoured(
  root: ConfSection,
  quorum: TypedSection,
  votes: Votes,
  nodes: readonly PlacedNode[],
  findings: Findings,
): void {
  const isFragile = nodes.length > 1 && !survivesAnyLoss(votes, nodes);
  const third = "add a third voter; a node with prio: 0 on any small machine votes and never leads";
  const isSet = (key: string): Place | undefined => {
    const given = quorum.boolean(key);
    return given?.value === true ? given.place : undefined;
  };
  const twoNode = isSet("two_node");
  if (twoNode !== undefined) {
    const isDangerous = isFragile && nodes.length === 2;
    const message = isDangerous
      ? "two_node is not honoured: it lets one of two nodes go on alone, here the death of either stops both"
      : "two_node is not honoured; it has a meaning with two nodes only";
    findings.notHonoured(
      twoNode,
      "quorum.two_node",
      isDangerous,
      message,
      isDangerous ? `${third}; then delete two_node, or delete it to accept that` : "delete it",
    );
  }
  const waitForAll = isSet("wait_for_all");
  if (waitForAll !== undefined) {
    findings.notHonoured(
      waitForAll,
      "quorum.wait_for_all",
      false,
      "wait_for_all is not honoured: after a cold start a majority begins without waiting for all nodes",
      "delete it; a machine starts only when every other node has answered or is fenced",
    );
  }
  const tieBreaker = isSet("auto_tie_breaker");
  if (tieBreaker !== undefined) {
    const message = isFragile
      ? "auto_tie_breaker is not honoured: it lets one half go on, here the death of one node may stop all"
      : "auto_tie_breaker is not honoured: after a split into equal halves both stop";
    findings.notHonoured(
      tieBreaker,
      "quorum.auto_tie_breaker",
      isFragile,
      message,
      isFragile
        ? `${third}; then delete auto_tie_breaker, or delete it to accept that`
        : "delete it, or make the number of votes odd",
    );
  }
  const lastMan = isSet("last_man_standing");
  if (lastMan !== undefined) {
    findings.notHonoured(
      lastMan,
      "quorum.last_man_standing",
      false,
      "last_man_standing is not honoured: the quorum stays the majority of all votes as nodes die",
      "delete it; take dead nodes out of the nodelist to go on with fewer",
    );
  }
  for (const key of ["allow_downscale", "expected_votes_tracking"]) {
    const place = isSet(key);
    if (place === undefined) continue;
    findings.notHonoured(
      place,
      `quorum.${key}`,
      false,
      `${key} is not honoured: votes change only with the configuration`,
      "delete it",
    );
  }
  for (const device of sectionsNamed(root, "quorum").flatMap((section) => sectionsNamed(section, "device"))) {
    const message = isFragile
      ? "the quorum device is not honoured: its vote does not count, and without it the death of one node stops all"
      : "the quorum device is not honoured: its vote does not count";
    findings.notHonoured(
      device,
      "quorum.device",
      isFragile,
      message,
      isFragile
        ? `${third}; then delete the device section, or delete it to accept that`
        : "delete the section; a node with prio: 0 can give the vote",
    );
  }
}
