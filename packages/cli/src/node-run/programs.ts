import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { type NodeId, QuorateError, SERVICES, type ServiceName } from "@quorate/contracts";

/** One process of a node. `args` are exact: a process without pid file is known again by them. */
export interface Program {
  name: string;
  command: string;
  args: string[];
  environment: Record<string, string>;
  /** Leases and gates wait for it: before others when the cores are busy. */
  urgent: boolean;
}

/** Nobody's lease waits for a stored document or for the journal. */
const UNHURRIED: readonly ServiceName[] = ["config-distributor", "journal"];

export interface NodePlaces {
  nodeId: NodeId;
  stateDir: string;
  runDir: string;
}

/** Found like a shell finds it, and in the folders that a shell of root searches. */
export function findTool(name: string): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  throw new QuorateError(
    "TOOL_MISSING",
    `${name} is not installed: it is in none of the folders of PATH.`,
    `Install it: apt-get install ${name}`,
  );
}

/** The bundle of a service, beside the one that runs now; its source in a checkout that is not built. */
export function serviceEntry(service: ServiceName, from: string = import.meta.dirname): string {
  const root = servicesRoot(from);
  const entries = [join(root, service, "dist", "main.js"), join(root, service, "src", "main.ts")];
  const entry = entries.find((path) => existsSync(path));
  if (entry !== undefined) return entry;
  throw new QuorateError(
    "TOOL_MISSING",
    `The program of ${service} is not there: ${entries[0]} does not exist.`,
    "In a checkout: npm run setup. Else install the package again.",
  );
}

function servicesRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "services", "membership"))) return join(folder, "services");
    if (folder === dirname(folder)) return join(from, "services");
  }
}

/** nats-server and the services, in the order in which they are started. */
export function nodePrograms(places: NodePlaces): Program[] {
  const { nodeId, stateDir, runDir } = places;
  const nats: Program = {
    name: "nats-server",
    command: findTool("nats-server"),
    args: ["-c", join(runDir, "nats-server.conf")],
    environment: { GOMAXPROCS: "1", GOMEMLIMIT: "64MiB" },
    urgent: true,
  };
  const services = SERVICES.map(
    (service): Program => ({
      name: service,
      command: process.execPath,
      args: [
        "--disable-warning=ExperimentalWarning",
        // Little is kept alive: a small nursery costs nothing and saves 20 MB in every process.
        "--max-semi-space-size=2",
        serviceEntry(service),
        "--node-id",
        String(nodeId),
        "--state-dir",
        stateDir,
        "--run-dir",
        runDir,
      ],
      environment: { NODE_COMPILE_CACHE: join(stateDir, "compile-cache"), UV_THREADPOOL_SIZE: "2" },
      urgent: !UNHURRIED.includes(service),
    }),
  );
  return [nats, ...services];
}
