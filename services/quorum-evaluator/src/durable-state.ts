import { renameSync } from "node:fs";
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
import { readStateFile } from "@quorate/runtime";

export const EVALUATOR_STATE_FILE = "evaluator.json";

/**
 * What this node remembers. Missing or corrupt state is not a new node: it starts without a vote, and says so.
 * A corrupt file is kept aside for whoever wants to know why.
 */
export function loadDurableState(
  stateDir: string,
  running: { config: ClusterConfig; text: string },
  node: number,
): { durable: EvaluatorState; lost: Reason | null } {
  const path = join(stateDir, EVALUATOR_STATE_FILE);
  const afresh = () =>
    amnesicState(
      running.config,
      {
        term: 0,
        version: running.config.configVersion,
        digest: documentDigest(running.text),
      },
      node,
    );
  try {
    const state = readStateFile(path, EvaluatorStateSchema);
    if (state === null) {
      const message = `${path} is missing. An empty state folder is not a new node: no vote until the master re-admits it.`;
      return { durable: afresh(), lost: { code: "STATE_MISSING", message } };
    }
    if (state.node !== node) {
      throw new QuorateError(
        "STATE_CORRUPT",
        `${path} belongs to node ${state.node}, this is node ${node}.`,
        "Give each node its own state folder; never copy one.",
      );
    }
    return { durable: state, lost: null };
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== "STATE_CORRUPT") throw error;
    renameSync(path, `${path}.corrupt`);
    return {
      durable: afresh(),
      lost: {
        code: "STATE_CORRUPT",
        message: `${error.message} Kept aside as ${EVALUATOR_STATE_FILE}.corrupt; no vote until the master re-admits this node.`,
      },
    };
  }
}
