import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  BUS_CLIENT_PORT,
  type ClusterConfig,
  type NodeId,
  QuorateError,
  subjectToken,
} from "@quorate/contracts";
import { writeFileDurably } from "./durable-file.ts";
import { pidFilePath, readPidFile } from "./pid-file.ts";
import { readBusCredentials } from "./service-context.ts";

interface UserPassword {
  user: string;
  password: string;
}

export interface NatsServerCredentials {
  /** Our own services: everything. */
  service: UserPassword;
  /** Integrators: events, nothing else, and never sends. */
  reader: UserPassword;
  /** Between the nats-servers of the cluster; the same on all nodes. */
  route: UserPassword;
}

export interface NatsServerPaths {
  /** The cluster certificate: proves a node to the others, in both directions. */
  certificateFile: string;
  keyFile: string;
  caFile: string;
}

/** Files of the keys folder; written by `quorate init`, the same on all nodes. */
export const KEY_FILES = {
  authkey: "authkey",
  certificate: "cluster.crt",
  key: "cluster.key",
  ca: "ca.crt",
  routePassword: "route-password",
} as const;

/** As nats-server's configuration needs it, with a check that no quote can end a string early. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function hostPort(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/**
 * The local nats-server's configuration. Clients on loopback only; routes on the node's ring0 address, to
 * every other node of the list, by mutual TLS with the cluster certificate and the route password.
 * The same input gives the same text. Throws QuorateError NODE_UNKNOWN.
 */
export function renderNatsServerConf(
  config: ClusterConfig,
  nodeId: NodeId,
  credentials: NatsServerCredentials,
  paths: NatsServerPaths,
  clientPort: number = BUS_CLIENT_PORT,
): string {
  const self = config.nodes.find((node) => node.id === nodeId);
  if (self === undefined) {
    throw new QuorateError(
      "NODE_UNKNOWN",
      `Node ${nodeId} is not in the node list.`,
      "Add the node to the nodelist, or start with the --node-id of one that is in it.",
    );
  }
  const route = `${encodeURIComponent(credentials.route.user)}:${encodeURIComponent(credentials.route.password)}`;
  const routes = config.nodes
    .filter((node) => node.id !== nodeId)
    .map(
      (node) =>
        `    ${quoted(`nats-route://${route}@${hostPort(node.addresses[0] ?? "", config.routePort)}`)}`,
    );
  return `# Written by quorate; changes are overwritten.
server_name: ${quoted(`${subjectToken(config.clusterName)}-${nodeId}`)}
listen: "127.0.0.1:${clientPort}"
max_payload: 8MB
max_connections: 256
ping_interval: "2s"
ping_max: 2
write_deadline: "2s"

authorization {
  users = [
    {
      user: ${quoted(credentials.service.user)}, password: ${quoted(credentials.service.password)}
    }
    {
      user: ${quoted(credentials.reader.user)}, password: ${quoted(credentials.reader.password)}
      permissions {
        publish { deny: [">"] }
        subscribe {
          allow: ["quorate.v1.>"]
          deny: ["quorate.v1.*.*.local.>", "quorate.v1.*.*.request.>"]
        }
      }
    }
  ]
}

cluster {
  name: ${quoted(subjectToken(config.clusterName))}
  listen: ${quoted(hostPort(self.addresses[0] ?? "", config.routePort))}
  no_advertise: true
  authorization {
    user: ${quoted(credentials.route.user)}, password: ${quoted(credentials.route.password)}, timeout: 5
  }
  tls {
    cert_file: ${quoted(paths.certificateFile)}
    key_file: ${quoted(paths.keyFile)}
    ca_file: ${quoted(paths.caFile)}
    verify: true
    timeout: 5
  }
  routes = [
    # Not dialled (it is this server): peers dialled by address are checked against this name.
    "nats-route://localhost:${config.routePort}"
${routes.join("\n")}
  ]
}
`;
}

export function natsServerPaths(keysDir: string): NatsServerPaths {
  return {
    certificateFile: join(keysDir, KEY_FILES.certificate),
    keyFile: join(keysDir, KEY_FILES.key),
    caFile: join(keysDir, KEY_FILES.ca),
  };
}

/** Throws QuorateError KEY_INVALID when `quorate init` has not made the route password. */
export function readRoutePassword(keysDir: string): string {
  const path = join(keysDir, KEY_FILES.routePassword);
  let text = "";
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new QuorateError(
      "KEY_INVALID",
      `Cannot read ${path}: ${(error as Error).message}.`,
      "Make the keys once with `quorate init` and copy the whole keys folder to every node, mode 0600.",
      { cause: error },
    );
  }
  if (!/^[A-Za-z0-9_-]{32,}$/.test(text)) {
    throw new QuorateError(
      "KEY_INVALID",
      `${path} does not hold a route password.`,
      "Copy the file of another node, or remove it everywhere and run `quorate init` again.",
    );
  }
  return text;
}

/**
 * Writes `<run-dir>/nats-server.conf` for this configuration and has the running server reload it. Answers
 * true when the text changed. Level-triggered: call it as often as you like.
 */
export async function applyNatsServerConf(
  where: { runDir: string; keysDir: string; nodeId: NodeId },
  config: ClusterConfig,
): Promise<boolean> {
  const service = readBusCredentials(where.runDir);
  const text = renderNatsServerConf(
    config,
    where.nodeId,
    {
      service,
      reader: readBusCredentials(where.runDir, "reader.json"),
      route: { user: "route", password: readRoutePassword(where.keysDir) },
    },
    natsServerPaths(where.keysDir),
    Number(new URL(service.url).port),
  );
  const path = join(where.runDir, "nats-server.conf");
  let current: string | undefined;
  try {
    current = readFileSync(path, "utf8");
  } catch {
    current = undefined;
  }
  if (current === text) return false;
  await writeFileDurably(path, text, { mode: 0o600 });
  reloadNatsServer(where.runDir);
  return true;
}

/** SIGHUP to the server named by its pid file. False when none runs: it reads the file when it starts. */
export function reloadNatsServer(runDir: string): boolean {
  const server = readPidFile(pidFilePath(runDir, "nats-server"));
  if (server === null) return false;
  try {
    process.kill(server.pid, "SIGHUP");
    return true;
  } catch {
    return false;
  }
}
