import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClusterConfig, quorumOf } from "@quorate/contracts";
import { type BusCredentials, createLogger, Bus } from "../src/index.ts";

export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited too long for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "quorate-runtime-"));
}

/** A real nats-server in the foreground, ended by `stop`. */
export class NatsFixture {
  readonly folder = temporaryFolder();
  readonly #confFile: string;
  #child: ChildProcess | undefined;
  log = "";

  constructor(conf: string) {
    this.#confFile = join(this.folder, "nats-server.conf");
    writeFileSync(this.#confFile, conf);
  }

  rewrite(conf: string): void {
    writeFileSync(this.#confFile, conf);
    this.#child?.kill("SIGHUP");
  }

  async start(): Promise<void> {
    const child = spawn("nats-server", ["-c", this.#confFile], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    const from = this.log.length;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    await until("nats-server ready", () => this.log.slice(from).includes("Server is ready"));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function plainConf(port: number): string {
  return `listen: "127.0.0.1:${port}"\nmax_payload: 8MB\nauthorization { user: "service", password: "secret" }\n`;
}

export function credentials(port: number, user = "service", password = "secret"): BusCredentials {
  return { url: `nats://127.0.0.1:${port}`, user, password };
}

export function makeBus(port: number, nodeId = 2, name = "test"): Bus {
  return new Bus({
    credentials: credentials(port),
    clusterName: "VMmanager",
    nodeId,
    name,
    logger: createLogger({ service: name, node: nodeId, level: "silent" }),
  });
}

export function makeConfig(routePort: number, addresses: string[]): ClusterConfig {
  return {
    clusterName: "VMmanager",
    configVersion: 1,
    tokenMs: 1000,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: addresses.length,
    quorumVotes: quorumOf(addresses.length),
    ihttpdPorts: [1500],
    nodes: addresses.map((address, index) => ({
      id: index + 1,
      addresses: [address],
      prio: 100 - index,
      replication: true,
      votes: 1,
    })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort,
    notHonoured: [],
  };
}
