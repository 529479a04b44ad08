import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PeersMessage, PeerState } from "@quorate/contracts";
import type { Order } from "./stand-in.ts";

export const NODES = [2, 4, 8] as const;
const BUS_PORT = 7422;

function ip(...command: string[]): void {
  execFileSync("ip", command, { stdio: ["ignore", "ignore", "inherit"] });
}

export function addressOf(node: number, ring: number, family: 4 | 6 = 4): string {
  return family === 4 ? `10.${77 + ring}.0.${node}` : `fd00:77:${ring}::${node}`;
}

/** Fits all nodes; `more` goes into totem. */
export function confOf(options: {
  nodes?: readonly number[];
  rings?: number;
  family?: 4 | 6;
  tokenMs?: number;
  transport?: "udp" | "udpu";
}): string {
  const { nodes = NODES, rings = 2, family = 4, tokenMs = 1000, transport = "udpu" } = options;
  const interfaces = Array.from({ length: rings }, (_, ring) => {
    const network = family === 4 ? `10.${77 + ring}.0.0` : `fd00:77:${ring}::`;
    return `  interface {\n    ringnumber: ${ring}\n    bindnetaddr: ${network}\n    mcastport: ${5405 + 10 * ring}\n  }`;
  });
  const list = nodes.map((node) => {
    const addresses = Array.from(
      { length: rings },
      (_, ring) => `    ring${ring}_addr: ${addressOf(node, ring, family)}`,
    );
    return `  node {\n${addresses.join("\n")}\n    nodeid: ${node}\n  }`;
  });
  return [
    `totem {\n  token: ${tokenMs}\n  transport: ${transport}\n  cluster_name: VMmanager\n${interfaces.join("\n")}\n}`,
    `quorum {\n  expected_votes: ${nodes.length}\n}`,
    `nodelist {\n${list.join("\n")}\n}`,
    "",
  ].join("\n");
}

export interface Line {
  kind: string;
  atMs: number;
  [key: string]: unknown;
}

/** One node: a network namespace with a real nats-server, a real membership and the evaluator's stand-in. */
export class LabHost {
  readonly node: number;
  readonly namespace: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly keyFile: string;
  readonly lines: Line[] = [];
  readonly logs: string[] = [];
  membership: ChildProcess | undefined;
  #nats: ChildProcess | undefined;
  #standIn: ChildProcess | undefined;

  constructor(node: number, namespace: string, folder: string, key: Buffer) {
    this.node = node;
    this.namespace = namespace;
    this.stateDir = join(folder, `state-${node}`);
    this.runDir = join(folder, `run-${node}`);
    const keysDir = join(this.stateDir, "keys");
    this.keyFile = join(keysDir, "authkey");
    for (const path of [join(this.stateDir, "config"), keysDir, this.runDir]) {
      mkdirSync(path, { recursive: true });
    }
    writeFileSync(this.keyFile, key, { mode: 0o600 });
    const url = `nats://127.0.0.1:${BUS_PORT}`;
    writeFileSync(
      join(this.runDir, "bus.json"),
      JSON.stringify({ url, user: "service", password: "secret" }),
    );
    writeFileSync(
      join(this.runDir, "node.json"),
      JSON.stringify({
        nodeId: node,
        clusterName: "VMmanager",
        stateDir: this.stateDir,
        runDir: this.runDir,
        keysDir,
        configFile: "",
        busPort: BUS_PORT,
        healthBase: 7400,
      }),
    );
    writeFileSync(
      join(this.runDir, "nats.conf"),
      `listen: "127.0.0.1:${BUS_PORT}"\nmax_payload: 8MB\nauthorization { user: "service", password: "secret" }\n`,
    );
  }

  #spawn(command: string, args: string[]): ChildProcess {
    return spawn("nsenter", [`--net=/run/netns/${this.namespace}`, command, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
  }

  async startBus(): Promise<void> {
    this.#nats = this.#spawn("nats-server", ["-c", join(this.runDir, "nats.conf"), "-l", "/dev/null"]);
    this.#standIn = this.#spawn(process.execPath, [
      join(import.meta.dirname, "stand-in.ts"),
      String(this.node),
      this.runDir,
    ]);
    readLines(this.#standIn, (text) => {
      this.lines.push({ ...(JSON.parse(text) as Line), atMs: performance.now() });
    });
    await this.until("the bus is there", () => this.lines.some((line) => line.kind === "bus"));
  }

  configure(text: string): void {
    writeFileSync(join(this.stateDir, "config", "running.conf"), text);
  }

  startMembership(): void {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const nodeArgs = ["--node-id", String(this.node), "--state-dir", this.stateDir, "--run-dir", this.runDir];
    this.membership = this.#spawn(process.execPath, [main, ...nodeArgs]);
    readLines(this.membership, (text) => void this.logs.push(text));
  }

  async stopMembership(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.membership;
    this.membership = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  order(order: Order): void {
    this.#standIn?.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  inHost(...command: string[]): void {
    execFileSync("nsenter", [`--net=/run/netns/${this.namespace}`, ...command], { stdio: "inherit" });
  }

  get lastPeers(): PeersMessage | undefined {
    return this.lines.findLast((line) => line.kind === "peers")?.["message"] as PeersMessage | undefined;
  }

  stateOf(peer: number): PeerState | undefined {
    return this.lastPeers?.peers.find((candidate) => candidate.node === peer)?.state;
  }

  /** All states of a peer that were ever told after `fromMs`, without repeats. */
  pathOf(peer: number, fromMs: number): string[] {
    const path: string[] = [];
    for (const line of this.lines) {
      if (line.kind !== "peers" || line.atMs < fromMs) continue;
      const { peers } = line["message"] as PeersMessage;
      const state = peers.find((candidate) => candidate.node === peer)?.state;
      if (state !== undefined && path.at(-1) !== state) path.push(state);
    }
    return path;
  }

  /** Why a peer was ever said to have failed after `fromMs`, and what the loop said of itself by then. */
  failuresOf(peer: number, fromMs: number): string[] {
    const failures: string[] = [];
    for (const line of this.lines) {
      if (line.kind !== "peers" || line.atMs < fromMs) continue;
      const { peers, patience } = line["message"] as PeersMessage;
      const told = peers.find((candidate) => candidate.node === peer && candidate.state === "failed");
      if (told !== undefined) failures.push(`${JSON.stringify(told)} with patience ${patience}`);
    }
    return failures.length === 0 ? [] : [...failures, ...this.logs.slice(-8)];
  }

  async status(): Promise<Record<string, number>> {
    const from = this.lines.length;
    this.order({ kind: "status" });
    const found = () => this.lines.slice(from).find((line) => line.kind === "status");
    await this.until("status is answered", () => found() !== undefined);
    const answer = found()?.["answer"] as { counters: Record<string, number> } | undefined;
    return answer?.counters ?? {};
  }

  async until(what: string, condition: () => boolean, limitMs = 30_000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end) {
        const tail = [...this.logs.slice(-8), JSON.stringify(this.lastPeers)].join("\n");
        throw new Error(`node ${this.node}: waited too long until ${what}\n${tail}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async stop(): Promise<void> {
    await this.stopMembership("SIGKILL");
    for (const child of [this.#standIn, this.#nats]) {
      if (child === undefined || child.exitCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
  }
}

function readLines(child: ChildProcess, take: (line: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") take(part);
  });
}

/** Three hosts on two switches. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), "quorate-membership-"));
  readonly hosts = new Map<number, LabHost>();
  readonly #base = `qm${process.pid}`;

  constructor() {
    this.#switch();
    const key = randomBytes(256);
    for (const node of NODES) this.hosts.set(node, this.#host(node, key));
    for (const node of NODES) for (const ring of [0, 1]) this.#waitForCarrier(node, ring);
  }

  host(node: number): LabHost {
    const host = this.hosts.get(node);
    if (host === undefined) throw new Error(`no host ${node}`);
    return host;
  }

  #namespaceOf(node: number | "sw"): string {
    return `${this.#base}-${node}`;
  }

  #switch(): void {
    const sw = this.#namespaceOf("sw");
    ip("netns", "add", sw);
    for (const ring of [0, 1]) {
      ip("-n", sw, "link", "add", `br${ring}`, "type", "bridge", "mcast_snooping", "0");
      ip("-n", sw, "link", "set", `br${ring}`, "up");
    }
  }

  #host(node: number, key: Buffer): LabHost {
    const [sw, name] = [this.#namespaceOf("sw"), this.#namespaceOf(node)];
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
    for (const ring of [0, 1]) {
      const port = `p${node}r${ring}`;
      ip("-n", sw, "link", "add", port, "type", "veth", "peer", "name", `eth${ring}`, "netns", name);
      ip("-n", sw, "link", "set", port, "master", `br${ring}`, "up");
      ip("-n", name, "addr", "add", `${addressOf(node, ring)}/24`, "dev", `eth${ring}`);
      ip("-n", name, "addr", "add", `${addressOf(node, ring, 6)}/64`, "dev", `eth${ring}`, "nodad");
      ip("-n", name, "link", "set", `eth${ring}`, "up");
    }
    return new LabHost(node, name, this.folder, key);
  }

  #waitForCarrier(node: number, ring: number): void {
    const show = ["-o", "-n", this.#namespaceOf(node), "link", "show", `eth${ring}`];
    while (!execFileSync("ip", show, { encoding: "utf8" }).includes("state UP")) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }

  /** Takes a host's port out of the switch, so that its carrier stays; or puts it back. */
  plug(node: number, ring: number, plugged: boolean): void {
    const port = `p${node}r${ring}`;
    const where = plugged ? ["master", `br${ring}`] : ["nomaster"];
    ip("-n", this.#namespaceOf("sw"), "link", "set", port, ...where);
  }

  /** Drops what comes from one host at another, or lets it pass again. */
  deafen(node: number, from: number | null): void {
    const rules =
      from === null
        ? "add table inet deaf\ndelete table inet deaf\n"
        : `table inet deaf {\n chain in {\n type filter hook input priority 0;\n ip saddr { ${addressOf(from, 0)}, ${addressOf(from, 1)} } drop\n }\n}\n`;
    const file = join(this.folder, "deaf.nft");
    writeFileSync(file, rules);
    this.host(node).inHost("nft", "-f", file);
  }

  async up(conf: string): Promise<void> {
    for (const host of this.hosts.values()) host.configure(conf);
    await Promise.all([...this.hosts.values()].map((host) => host.startBus()));
    for (const host of this.hosts.values()) host.startMembership();
    await this.allJoined();
  }

  async allJoined(nodes: readonly number[] = NODES): Promise<void> {
    for (const node of nodes) {
      for (const peer of nodes) {
        if (peer === node) continue;
        const host = this.host(node);
        await host.until(`node ${peer} is joined`, () => host.stateOf(peer) === "joined");
      }
    }
  }

  async down(): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.stop()));
    for (const name of [...NODES.map((node) => this.#namespaceOf(node)), this.#namespaceOf("sw")]) {
      if (existsSync(`/run/netns/${name}`)) ip("netns", "del", name);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
