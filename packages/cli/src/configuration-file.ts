import { readFileSync } from "node:fs";
import { type ClusterConfig, type NodeConfig, QuorateError } from "@quorate/contracts";
import {
  type ConfDocument,
  dangerousEntries,
  decodeText,
  readHostConfig,
  refusalError,
} from "@quorate/corosync-conf";

export interface LoadedConfiguration {
  text: string;
  config: ClusterConfig;
  document: ConfDocument;
}

/** The text of a file, not looked at. Throws QuorateError CONFIG_UNREADABLE. */
export function readConfigurationFile(path: string): string {
  try {
    return decodeText(readFileSync(path));
  } catch (error) {
    throw new QuorateError(
      "CONFIG_UNREADABLE",
      `Cannot read ${path}: ${(error as Error).message}.`,
      "Name the cluster's file with --config FILE; it has corosync.conf's grammar.",
      { cause: error },
    );
  }
}

/** Reads and checks a file. Throws QuorateError CONFIG_UNREADABLE, CONFIG_SYNTAX or CONFIG_INVALID. */
export function loadConfiguration(path: string): LoadedConfiguration {
  return parseConfiguration(readConfigurationFile(path), path);
}

/** As `loadConfiguration` for a text at hand; `fileName` stands in the messages. */
export function parseConfiguration(text: string, fileName: string): LoadedConfiguration {
  const result = readHostConfig(text, fileName);
  if (!result.ok) throw refusalError(result);
  return {
    text,
    config: result.config,
    document: result.document,
  };
}

/** A node by id, name or any of its addresses. Throws QuorateError NODE_UNKNOWN. */
export function findNode(config: ClusterConfig, wanted: string): NodeConfig {
  const node = config.nodes.find(
    ({ id, name, addresses }) => String(id) === wanted || name === wanted || addresses.includes(wanted),
  );
  if (node === undefined) {
    const known = config.nodes.map(({ id, addresses }) => `${id} (${addresses[0]})`).join(", ");
    throw new QuorateError(
      "NODE_UNKNOWN",
      `No node ${wanted} is in the node list.`,
      `The list has: ${known}. Name a node by its id, name or address.`,
    );
  }
  return node;
}

/** Throws QuorateError CONFIG_INVALID when the file asks for what would be dangerous to ignore. */
export function refuseDangerous(config: ClusterConfig, fileName: string): void {
  const dangerous = dangerousEntries(config);
  if (dangerous.length === 0) return;
  throw new QuorateError(
    "CONFIG_INVALID",
    dangerous.map((entry) => `${fileName}:${entry.line}:${entry.column}: ${entry.message}`).join("\n"),
    dangerous.map((entry) => entry.hint).join("\n"),
  );
}
