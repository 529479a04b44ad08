import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  type ClusterConfig,
  HEALTH_PORTS,
  type NodeConfig,
  type NodeId,
  QuorateError,
  SERVICES,
} from "@quorate/contracts";
import { decodeText, encodeText } from "@quorate/corosync-conf";
import {
  BusCredentialsSchema,
  DEFAULT_HEALTH_BASE,
  type NodeFile,
  type ProcessIdentity,
  pidFilePath,
  type RunningDocument,
  readPidFile,
  readRunFile,
  readRunningDocument,
  writeRunFileSync,
} from "@quorate/runtime";
import { findNode, loadConfiguration, parseConfiguration, refuseDangerous } from "../configuration-file.ts";
import { checkClusterKeys } from "../keys/cluster-keys.ts";
import { nodePrograms, type Program } from "./programs.ts";
import { findRunning } from "./supervised-process.ts";

export interface NodeRunOptions {
  config: string;
  nodeId: NodeId;
  stateDir: string;
  runDir: string;
  keysDir: string;
  busPort: number;
  healthBase: number;
}

export interface Preflight {
  config: ClusterConfig;
  programs: Program[];
  /** By name: what runs already, from a supervisor that was killed. */
  running: Map<string, ProcessIdentity>;
  /** What is wrong and did not keep the node from going on, because it runs already. */
  warnings: string[];
}

/**
 * Everything that can be known to be wrong before anything is started. When processes of this node run already
 * (their supervisor was killed), what concerns the start alone becomes a warning: what runs is not given up.
 */
export async function preflight(options: NodeRunOptions): Promise<Preflight> {
  if (process.getuid?.() !== 0) {
    throw new QuorateError(
      "NOT_ROOT",
      "`quorate node run` sets addresses and kernel filters and needs root.",
      "Run it as root, or by its systemd unit.",
    );
  }
  refuseSecond(options.runDir);
  const programs = nodePrograms(options);
  const running = findRunning(programs, options.runDir);
  const warnings: string[] = [];
  const attempt = async (check: () => void | Promise<void>) => {
    try {
      await check();
    } catch (error) {
      if (running.size === 0 || !(error instanceof QuorateError)) throw error;
      warnings.push(`${error.message} ${error.hint}`);
    }
  };
  await attempt(() => {
    const { config } = loadConfiguration(options.config);
    refuseDangerous(config, options.config);
    findNode(config, String(options.nodeId));
  });
  const runningConf = join(options.stateDir, "config", "running.conf");
  const document = readRunning(options);
  if (document.refused !== null) warnings.push(`${document.refused.message} ${document.refused.hint}`);
  if (!existsSync(join(options.stateDir, "evaluator.json"))) {
    warnings.push(
      "evaluator.json is missing: the node has no vote until a master elected without it re-admits it.",
    );
  }
  const { config } = parseConfiguration(decodeText(document.bytes), runningConf);
  await attempt(() => refuseDangerous(config, runningConf));
  const self = findNode(config, String(options.nodeId));
  await attempt(() => checkClusterKeys(options.keysDir));
  await attempt(() => refuseForeignAddress(self));
  if (!running.has("nats-server")) {
    await refuseTaken("127.0.0.1", options.busPort, "the local NATS server", "--bus-port");
    await attempt(() =>
      refuseTaken(self.addresses[0] ?? "", config.routePort, "the bus between nodes", "another route port"),
    );
  }
  for (const service of SERVICES) {
    if (running.has(service) || options.healthBase === 0) continue;
    const port = HEALTH_PORTS[service] - DEFAULT_HEALTH_BASE + options.healthBase;
    await refuseTaken("127.0.0.1", port, `${service}'s health port`, "--health-base");
  }
  return { config, programs, running, warnings };
}

function refuseSecond(runDir: string): void {
  const other = readPidFile(pidFilePath(runDir, "supervisor"));
  if (other === null) return;
  throw new QuorateError(
    "ALREADY_RUNNING",
    `Process ${other.pid} runs this node already (run directory ${runDir}).`,
    `Stop it first: kill ${other.pid}. A second node on one host needs --run-dir, --state-dir and ports of its own.`,
  );
}

function readRunning(options: NodeRunOptions): RunningDocument {
  try {
    return readRunningDocument({ stateDir: options.stateDir, configFile: options.config, encodeText });
  } catch (error) {
    throw error instanceof QuorateError && error.code === "STATE_MISSING" ? stateMissing(options) : error;
  }
}

function stateMissing(options: NodeRunOptions): QuorateError {
  return new QuorateError(
    "STATE_MISSING",
    `${options.stateDir} holds no state of a node; an empty folder is not a new node.`,
    `If the node is new: quorate init --config ${options.config} --node-id ${options.nodeId} ` +
      `--state-dir ${options.stateDir} --keys-dir ${options.keysDir}. If it had state, restore it.`,
  );
}

function refuseForeignAddress(self: NodeConfig): void {
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map((entry) => entry.address),
  );
  const ring0 = self.addresses[0] ?? "";
  if (own.includes(ring0)) return;
  throw new QuorateError(
    "ADDRESS_MISSING",
    `Node ${self.id} is to speak from ${ring0}, which no interface of this host has.`,
    `Set the address (ip address add ${ring0}/… dev …), or correct ring0_addr or --node-id. ` +
      `This host has: ${own.sort().join(", ")}.`,
  );
}

/** Throws QuorateError PORT_TAKEN. */
async function refuseTaken(host: string, port: number, what: string, option: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") resolve();
      else {
        reject(
          new QuorateError(
            "PORT_TAKEN",
            `Another program listens on ${host} port ${port}, which ${what} needs.`,
            `Find it: ss -ltnp 'sport = :${port}'. Stop it, or choose ${option}.`,
          ),
        );
      }
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

/** One file of the run directory and what has to stand in it. */
interface RunFile {
  path: string;
  content: object;
  mode: number;
}

/** What services and tools read to find the bus. Passwords stay the same while they are known. */
export function runFiles(options: NodeRunOptions, config: ClusterConfig): RunFile[] {
  const node: NodeFile = {
    nodeId: options.nodeId,
    clusterName: config.clusterName,
    stateDir: options.stateDir,
    runDir: options.runDir,
    keysDir: options.keysDir,
    configFile: options.config,
    busPort: options.busPort,
    healthBase: options.healthBase,
  };
  const url = `nats://127.0.0.1:${options.busPort}`;
  const credentials = (["service", "reader"] as const).map((user) => {
    const path = join(options.runDir, user === "service" ? "bus.json" : "reader.json");
    const password =
      knownPassword(path) ?? servedPassword(options.runDir, user) ?? randomBytes(24).toString("base64url");
    return { path, content: { url, user, password }, mode: 0o600 };
  });
  return [{ path: join(options.runDir, "node.json"), content: node, mode: 0o644 }, ...credentials];
}

/** Compares and repairs: what is as it has to be is left alone. Throws QuorateError DISK_FULL. */
export function writeRunFiles(options: NodeRunOptions, files: readonly RunFile[]): void {
  mkdirSync(join(options.runDir, "pids"), { recursive: true, mode: 0o755 });
  mkdirSync(join(options.stateDir, "log"), { recursive: true, mode: 0o750 });
  for (const { path, content, mode } of files) writeRunFileSync(path, content, mode);
}

function knownPassword(path: string): string | undefined {
  try {
    return readRunFile(path, BusCredentialsSchema).password;
  } catch {
    return undefined;
  }
}

/** From what the server was told: processes that run on know no other one. */
function servedPassword(runDir: string, user: string): string | undefined {
  try {
    const text = readFileSync(join(runDir, "nats-server.conf"), "utf8");
    return new RegExp(`user: "${user}", password: "([A-Za-z0-9_-]{32})"`).exec(text)?.[1];
  } catch {
    return undefined;
  }
}
