import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ConfigRef, type NodeId, QuorateError } from "@quorate/contracts";
import { initialState } from "@quorate/core-quorum";
import { documentDigest, encodeText } from "@quorate/corosync-conf";
import { writeFileDurablySync, writeStateFileSync } from "@quorate/runtime";
import { findNode, loadConfiguration, refuseDangerous } from "../configuration-file.ts";
import { createClusterKeys } from "../keys/cluster-keys.ts";

export interface InitOptions {
  config: string;
  nodeId: NodeId;
  stateDir: string;
  keysDir: string;
  force: boolean;
}

/** Writes keys that are missing and this node's first state. Answers what it did, one line each. */
export function initNode(options: InitOptions): string[] {
  const { text, config } = loadConfiguration(options.config);
  refuseDangerous(config, options.config);
  findNode(config, String(options.nodeId));
  const stateDir = resolve(options.stateDir);
  const configDir = join(stateDir, "config");
  const runningConf = join(configDir, "running.conf");
  const evaluatorFile = join(stateDir, "evaluator.json");
  const existing = [evaluatorFile, runningConf].filter((path) => existsSync(path));
  if (existing.length > 0 && !options.force) {
    throw new QuorateError(
      "UNSAFE",
      `${existing.join(" and ")} already there: this node may have voted, and must not forget it.`,
      "Nothing was changed. Only for a node that never runs in this cluster again as it was: add --force.",
    );
  }
  const made = createClusterKeys(resolve(options.keysDir), config);
  // With --force: the history of documents would else be newer than the first one.
  rmSync(configDir, { recursive: true, force: true });
  mkdirSync(configDir, { recursive: true, mode: 0o700 });
  const ref: ConfigRef = { term: 0, version: config.configVersion, digest: documentDigest(text) };
  // The document first: state without a document would be a node that cannot start and cannot be made again.
  writeFileDurablySync(runningConf, encodeText(text), { mode: 0o600 });
  writeStateFileSync(join(configDir, "running.json"), ref);
  writeStateFileSync(evaluatorFile, initialState(config, ref, options.nodeId));
  return [
    ...made.map((name) => `made ${join(resolve(options.keysDir), name)}`),
    ...(made.length === 0 ? [] : [`copy all of ${resolve(options.keysDir)} to every other node, mode kept`]),
    `node ${options.nodeId} of ${config.clusterName} has its first state in ${stateDir}`,
  ];
}
