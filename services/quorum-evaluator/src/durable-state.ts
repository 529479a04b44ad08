import { join } from "node:path";
import {
  type ClusterConfig,
  type EvaluatorState,
  EvaluatorStateSchema,
  QuorateError,
  type Reason,
} from "@quorate/contracts";
import { amnesicState } from "@quorate/core-quorum";
import { documentDigest } from "@quorate/corosync-conf";
import { setAside, takeStateFile } from "@quorate/runtime";

export const EVALUATOR_STATE_FILE = "evaluator.json";

/**
 * What this node remembers. Missing or refused state is not a new node: it starts without a vote, and says so.
 * A refused file is kept aside for whoever wants to know why.
 */
export function loadDurableState(
  stateDir: string,
  running: { config: ClusterConfig; text: string },
  node: number,
): { durable: EvaluatorState; lost: Reason | null } {
  const path = join(stateDir, EVALUATOR_STATE_FILE);
  let { state, refused } = takeStateFile(path, EvaluatorStateSchema);
  if (state !== null && state.node !== node) {
    const error = new QuorateError(
      "STATE_FOREIGN",
      `${path} belongs to node ${state.node}, this is node ${node}.`,
      "Give each node its own state folder; never copy one.",
    );
    refused = setAside(path, error);
    state = null;
  }
  if (state !== null) return { durable: state, lost: null };
  const { config, text } = running;
  const ref = { term: 0, version: config.configVersion, digest: documentDigest(text) };
  const durable = amnesicState(config, ref, node);
  const noVote = "No vote until a master elected without this node re-admits it.";
  if (refused === null) {
    const message = `${path} is missing. An empty state folder is not a new node. ${noVote}`;
    return { durable, lost: { code: "STATE_MISSING", message } };
  }
  const message = `${refused.message} ${noVote}`;
  return { durable, lost: { code: refused.code, message, facts: { remedy: refused.hint } } };
}
