import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReportMessage } from "@quorate/contracts";
import type { GrantOrder, Order } from "./stand-in.ts";

const NODE = 4;
const BUS_PORT = 7422;
export const VIP = "10.91.0.100";
export const PORT = 1500;

/** The service as it is shipped: one file, which starts in a third of the time. */
export function bundleActuator(): string {
  const service = join(import.meta.dirname, "..");
  const bundler = join(service, "..", "..", "deploy", "build", "bundle.ts");
  execFileSync(process.execPath, [bundler], { cwd: service, stdio: ["ignore", "ignore", "inherit"] });
  return join(service, "dist", "main.js");
}

function ip(...words: string[]): void {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "inherit"] });
}

export interface Line {
  kind: string;
  atUs: number;
  report?: ReportMessage;
  answer?: unknown;
}

export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** One host with a real nats-server, the real actuator and a client beside it on the same wire. */
export class LabHost {
  readonly folder = mkdtempSync(join(tmpdir(), "quorate-actuator-"));
  readonly runDir = join(this.folder, "run");
  readonly stateDir = join(this.folder, "state");
  readonly host: string;
  readonly client: string;
  readonly lines: Line[] = [];
  readonly logs: string[] = [];
  /** Times at which the client heard the address answer. */
  readonly answersUs: number[] = [];
  actuator: ChildProcess | undefined;
  readonly #children: ChildProcess[] = [];
  readonly #controlUs: number[] = [];
  #standIn: ChildProcess | undefined;

  readonly #bundle: string;

  /** `bundle` is what bundleActuator made. */
  constructor(name: string, bundle: string) {
    this.#bundle = bundle;
    this.host = `qf${process.pid}${name}`;
    this.client = `${this.host}c`;
    for (const folder of [join(this.stateDir, "config"), join(this.stateDir, "log"), this.runDir]) {
      mkdirSync(folder, { recursive: true });
    }
    for (const namespace of [this.host, this.client]) {
      ip("netns", "add", namespace);
      ip("-n", namespace, "link", "set", "lo", "up");
    }
    ip("-n", this.host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", this.client);
    ip("-n", this.host, "addr", "add", "10.91.0.4/24", "dev", "eth0");
    ip("-n", this.client, "addr", "add", "10.91.0.254/24", "dev", "eth0");
    for (const namespace of [this.host, this.client]) ip("-n", namespace, "link", "set", "eth0", "up");
    this.#files();
  }

  #files(): void {
    const json = (name: string, content: object) =>
      writeFileSync(join(this.runDir, name), JSON.stringify(content));
    json("bus.json", { url: `nats://127.0.0.1:${BUS_PORT}`, user: "service", password: "secret" });
    json("node.json", {
      nodeId: NODE,
      clusterName: "VMmanager",
      stateDir: this.stateDir,
      runDir: this.runDir,
      keysDir: this.stateDir,
      configFile: "",
      busPort: BUS_PORT,
      healthBase: 7400,
    });
    const user = 'authorization { user: "service", password: "secret" }';
    writeFileSync(
      join(this.folder, "nats.conf"),
      `listen: "127.0.0.1:${BUS_PORT}"\nmax_payload: 8MB\n${user}\n`,
    );
  }

  /** `more` are further sections of the file. */
  configure(more = ""): void {
    const nodes = [2, NODE, 8].map((id) => `  node {\n    ring0_addr: 10.91.0.${id}\n    nodeid: ${id}\n  }`);
    const text = [
      "totem {\n  cluster_name: VMmanager\n  token: 1000\n  transport: udpu\n}",
      "quorum {\n  expected_votes: 3\n}",
      `ihttpd {\n  count: 1\n  port0: ${PORT}\n}`,
      `cluster_ip {\n  address: ${VIP}\n  CloudIpDev: eth0\n  CloudMask: 24\n}`,
      more,
      `nodelist {\n${nodes.join("\n")}\n}`,
      "",
    ].join("\n");
    writeFileSync(join(this.stateDir, "config", "running.conf"), text);
  }

  /** With the priority that `quorate node run` gives its processes. */
  spawnIn(namespace: string, command: string, words: string[], environment: NodeJS.ProcessEnv = process.env) {
    return spawn("nice", ["-n", "-10", "nsenter", `--net=/run/netns/${namespace}`, command, ...words], {
      stdio: ["pipe", "pipe", "inherit"],
      env: environment,
    });
  }

  async startBus(): Promise<void> {
    const script = join(import.meta.dirname, "stand-in.ts");
    const bus = this.spawnIn(this.host, "nats-server", [
      "-c",
      join(this.folder, "nats.conf"),
      "-l",
      "/dev/null",
    ]);
    const standIn = this.spawnIn(this.host, process.execPath, [script, String(NODE), this.runDir]);
    this.#children.push(bus, standIn);
    this.#standIn = standIn;
    readLines(standIn, (text) => void this.lines.push(JSON.parse(text) as Line));
    await this.until("the bus is there", () => this.lines.some(({ kind }) => kind === "bus"));
  }

  /** `prefix` is put in front of the command line. */
  startActuator(prefix: string[] = []): void {
    const words = ["--node-id", String(NODE), "--state-dir", this.stateDir, "--run-dir", this.runDir];
    const [command = "", ...rest] = [...prefix, process.execPath, this.#bundle, ...words];
    this.actuator = this.spawnIn(this.host, command, rest);
    readLines(this.actuator, (text) => void this.logs.push(text));
  }

  async endActuator(signal: NodeJS.Signals): Promise<void> {
    const child = this.actuator;
    this.actuator = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    await ended;
  }

  /** Bus, actuator, and the first report that says it could serve. */
  async up(more = ""): Promise<void> {
    this.configure(more);
    await this.startBus();
    this.startActuator();
    await this.until("the actuator is able", () => this.report?.able.ok === true);
  }

  order(order: Order): void {
    this.#standIn?.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  grant(order: Partial<GrantOrder> = {}): void {
    this.order({ kind: "grant", term: 1, generation: 1, role: "master", leaseMs: 900, ...order });
  }

  get report(): ReportMessage | undefined {
    return this.lines.findLast(({ kind }) => kind === "report")?.report;
  }

  /** Pings the address every 5 ms, past ARP, so that only the gate and the address decide. */
  async startProber(): Promise<void> {
    const show = execFileSync("ip", ["-j", "-n", this.host, "link", "show", "eth0"], { encoding: "utf8" });
    const mac = (JSON.parse(show) as { address: string }[])[0]?.address ?? "";
    ip("-n", this.client, "neigh", "replace", VIP, "lladdr", mac, "dev", "eth0");
    this.#ping(VIP, this.answersUs);
    this.#ping("10.91.0.4", this.#controlUs);
  }

  #ping(address: string, answersUs: number[]): void {
    const environment = { ...process.env, LC_ALL: "C" };
    const ping = this.spawnIn(this.client, "ping", ["-n", "-i", "0.005", "-W", "1", address], environment);
    this.#children.push(ping);
    readLines(ping, (text) => {
      if (text.includes("bytes from")) answersUs.push(monotonicUs());
    });
  }

  /**
   * The longest silence between two answers since `fromUs`, until now, less the silence of the host's own address
   * within it: that one is the machine's doing.
   */
  longestSilenceUs(fromUs: number): number {
    const untilUs = monotonicUs();
    return Math.max(
      ...gaps(this.answersUs, fromUs, untilUs).map(
        ([startUs, endUs]) => endUs - startUs - longest(gaps(this.#controlUs, startUs, endUs)),
      ),
    );
  }

  /** When the newest grant was stamped. */
  get lastGrantUs(): number {
    return this.lines.findLast(({ kind }) => kind === "granted")?.atUs ?? 0;
  }

  /** How late an answer of this host is read at most, by its own address since `fromUs`. */
  latenessUs(fromUs: number): number {
    return longest(gaps(this.#controlUs, fromUs, monotonicUs()));
  }

  /** Whether somebody answers ARP for the address. */
  answersArp(): boolean {
    const words = ["--net", `/run/netns/${this.client}`];
    const command = ["-c", "1", "-w", "1", "-I", "eth0", VIP];
    try {
      execFileSync("nsenter", [`${words[0]}=${words[1]}`, "arping", ...command], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  }

  /** For how long the kernel will let the address through; 0 when it does not. */
  gateRemainingUs(): number {
    const listing = this.inHost("nft", "list", "set", "arp", "quorate", "lease");
    const expires = /expires (?:(\d+)s)?(?:(\d+)ms)?/.exec(listing);
    return expires === null ? 0 : Number(expires[1] ?? 0) * 1_000_000 + Number(expires[2] ?? 0) * 1_000;
  }

  inHost(...command: string[]): string {
    return execFileSync("nsenter", [`--net=/run/netns/${this.host}`, ...command], { encoding: "utf8" });
  }

  inClient(...command: string[]): string {
    return execFileSync("nsenter", [`--net=/run/netns/${this.client}`, ...command], { encoding: "utf8" });
  }

  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end) {
        const tail = [...this.logs.slice(-12), JSON.stringify(this.report)].join("\n");
        throw new Error(`waited too long until ${what}\n${tail}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async down(): Promise<void> {
    await this.endActuator("SIGKILL");
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    for (const namespace of [this.host, this.client]) {
      if (!existsSync(`/run/netns/${namespace}`)) continue;
      // What a test's managed service left lives in its namespace only.
      const pids = execFileSync("ip", ["netns", "pids", namespace], { encoding: "utf8" });
      for (const pid of pids.split("\n").filter((text) => text !== "")) process.kill(Number(pid), "SIGKILL");
      ip("netns", "del", namespace);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The intervals without an answer. */
function gaps(answersUs: readonly number[], fromUs: number, untilUs: number): [number, number][] {
  const times = [fromUs, ...answersUs.filter((atUs) => atUs > fromUs && atUs < untilUs), untilUs];
  return times.slice(1).map((atUs, index) => [times[index] ?? fromUs, atUs]);
}

function longest(intervals: readonly [number, number][]): number {
  return Math.max(...intervals.map(([startUs, endUs]) => endUs - startUs));
}

function readLines(child: ChildProcess, take: (line: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") take(part);
  });
}
