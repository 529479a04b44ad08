import { join } from "node:path";
import { parseArgs } from "node:util";
import { HEALTH_PORTS, type NodeId, NodeIdSchema, QuorateError, type ServiceName } from "@quorate/contracts";
import { z } from "zod";
import { bootId } from "./clock.ts";
import { DecisionRecorder } from "./decision-recorder.ts";
import { createLogger, LOG_LEVELS, type Logger } from "./logger.ts";
import { readRunFile } from "./run-file.ts";
import { readRunningDocument } from "./running-document.ts";

/** `<run-dir>/bus.json` and `<run-dir>/reader.json`: how to reach the node's own nats-server. Mode 0600. */
export const BusCredentialsSchema = z.object({ url: z.string(), user: z.string(), password: z.string() });
export type BusCredentials = z.infer<typeof BusCredentialsSchema>;

/** `<run-dir>/node.json`, written by `quorate node run`: how this node was started. */
export const NodeFileSchema = z.object({
  nodeId: NodeIdSchema,
  clusterName: z.string(),
  stateDir: z.string(),
  runDir: z.string(),
  keysDir: z.string(),
  /** The operator's file. What runs is `<state-dir>/config/running.conf`. */
  configFile: z.string(),
  busPort: z.int(),
  healthBase: z.int(),
});
export type NodeFile = z.infer<typeof NodeFileSchema>;

/** Everything a service is given from outside. */
export interface ServiceContext {
  service: ServiceName;
  nodeId: NodeId;
  bootId: string;
  stateDir: string;
  runDir: string;
  keysDir: string;
  configFile: string;
  /** `<state-dir>/config/running.conf`. */
  runningConfFile: string;
  /** `<keys-dir>/authkey`. */
  authkeyFile: string;
  healthPort: number;
  credentials: BusCredentials;
  logger: Logger;
  /** For the node's journal; without it nothing is kept. */
  decisions?: DecisionRecorder;
}

export const DEFAULT_STATE_DIR = "/var/lib/quorate";
export const DEFAULT_RUN_DIR = "/run/quorate";
export const DEFAULT_KEYS_DIR = "/etc/quorate";
export const DEFAULT_CONFIG_FILE = "/etc/quorate/cluster.conf";
export const DEFAULT_HEALTH_BASE = 7400;

/** Throws QuorateError BUS_UNREACHABLE when the node was never started here, and as `readRunFile`. */
export function readBusCredentials(runDir: string, file = "bus.json"): BusCredentials {
  return readRunFile(join(runDir, file), BusCredentialsSchema);
}

/** Throws QuorateError BUS_UNREACHABLE when the node was never started here, and as `readRunFile`. */
export function readNodeFile(runDir: string): NodeFile {
  return readRunFile(join(runDir, "node.json"), NodeFileSchema);
}

/**
 * The document this node runs on, as bytes: `decodeText` of corosync-conf makes the text of them that has the
 * right digest. What `readRunningDocument` had to refuse is logged. Throws QuorateError STATE_MISSING (an empty folder
 * is not a new node) or STATE_CORRUPT.
 */
export function readRunningConf(
  context: Pick<ServiceContext, "stateDir" | "configFile" | "logger">,
  encodeText: (text: string) => Uint8Array,
): Uint8Array {
  const { stateDir, configFile, logger } = context;
  const { bytes, witness, refused } = readRunningDocument({ stateDir, configFile, encodeText });
  if (refused !== null) logger.warn({ code: refused.code, hint: refused.hint, witness }, refused.message);
  return bytes;
}

/**
 * Reads what the supervisor passes: `--node-id N --state-dir DIR --run-dir DIR`, `QUORATE_LOG_LEVEL`, and the
 * files of the run directory. Throws QuorateError with a remedy.
 */
export function loadServiceContext(
  service: ServiceName,
  argv: readonly string[] = process.argv.slice(2),
  env: NodeJS.ProcessEnv = process.env,
): ServiceContext {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      "node-id": { type: "string" },
      "state-dir": { type: "string", default: DEFAULT_STATE_DIR },
      "run-dir": { type: "string", default: DEFAULT_RUN_DIR },
    },
    strict: true,
  });
  const nodeId = NodeIdSchema.safeParse(Number(values["node-id"]));
  if (!nodeId.success) {
    throw new QuorateError(
      "USAGE",
      `${service}: --node-id must be a whole number from 1 to 4294967295.`,
      "Services are started by `quorate node run`; by hand: main.js --node-id N --state-dir DIR --run-dir DIR.",
    );
  }
  const stateDir = values["state-dir"];
  const runDir = values["run-dir"];
  const node = readNodeFile(runDir);
  const level = LOG_LEVELS.find((name) => name === env["QUORATE_LOG_LEVEL"]) ?? "info";
  return {
    service,
    nodeId: nodeId.data,
    bootId: bootId(),
    stateDir,
    runDir,
    keysDir: node.keysDir,
    configFile: node.configFile,
    runningConfFile: join(stateDir, "config", "running.conf"),
    authkeyFile: join(node.keysDir, "authkey"),
    healthPort: node.healthBase === 0 ? 0 : HEALTH_PORTS[service] - DEFAULT_HEALTH_BASE + node.healthBase,
    credentials: readBusCredentials(runDir),
    logger: createLogger({ service, node: nodeId.data, level }),
    decisions: new DecisionRecorder({ service, node: nodeId.data, runDir }),
  };
}
