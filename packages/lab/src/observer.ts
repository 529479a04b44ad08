/**
 * Looks at the cluster address from outside: a client that probes it every 5 ms by ICMP and TCP (with an HTTP
 * GET), an ARP and ICMP question to every host by itself on its own port, and a capture at the switch that says
 * by the port at which a frame came in who sent it, with the kernel's timestamps. The probes measure nothing and
 * the capture asks nothing, so their own lateness cannot look like a gap: it is measured beside it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { inNamespaces, tryCommand } from "./command.ts";
import { captureFilter, expandV6, type Frame, FrameReader } from "./frames.ts";
import type { Lab } from "./lab.ts";
import { bridgeOf, LAB_MARK, readLinks } from "./switch.ts";
import { type ReachKind, Tally, type TallyReport } from "./tally.ts";
import { Witness } from "./witness.ts";

/** The asker's IPv6 address. No machine has it: only the frames of probe-ports.pl carry it. */
const OBSERVER_V6 = "fd51:223::fd";

const ASSETS = join(import.meta.dirname, "../assets");

export type ObserverOptions = {
  /** Between two probes of one kind. */
  intervalMs: number;
  httpIntervalMs: number;
  /** Answers of a host this far apart are one holding of the address: four probes, so that three may be lost. */
  holdMs: number;
};

export const DEFAULT_OBSERVER: ObserverOptions = { intervalMs: 5, httpIntervalMs: 5, holdMs: 20 };

/** One answer for a cluster address, as it left a host. */
export type Answer = { host: number; vip: string; kind: Frame["kind"]; atMs: number };

export type Observation = {
  /** The window's figures until the newest frame seen; at most 50 ms behind, however silent it is. */
  report: () => TallyReport;
  close: () => void;
};

export class Observer {
  readonly #options: ObserverOptions;
  readonly #vip: string;
  readonly #clients: ReadonlySet<string>;
  readonly #observerAddress: string;
  readonly #switchPid: number;
  readonly #children: ChildProcess[] = [];
  readonly #probes: ChildProcess[] = [];
  readonly #tallies = new Set<Tally>();
  readonly #listeners = new Set<(answer: Answer) => void>();
  /** Interface index of a switch port to the host behind it. */
  #hosts = new Map<number, number>();
  #bridge = 0;
  #refreshing: Promise<void> = Promise.resolve();
  #portsInput: ChildProcess | null = null;
  #askedPorts = new Set<number>();
  #last: Answer | null = null;
  #lastHttp: Answer | null = null;
  #newestMs = 0;
  #witness: Witness | null = null;
  #failure: string | null = null;
  #stopping = false;

  private constructor(lab: Lab, options: ObserverOptions) {
    const record = lab.record();
    this.#options = options;
    this.#vip = record.vips[0] ?? "";
    this.#clients = new Set(record.clientAddresses.map((address) => canonical(address.split("/")[0] ?? "")));
    this.#observerAddress = record.observerAddress;
    this.#switchPid = lab.switchPid();
  }

  /** Starts looking; resolves when the capture runs and the ports are known. */
  static async start(lab: Lab, options: Partial<ObserverOptions> = {}): Promise<Observer> {
    const observer = new Observer(lab, { ...DEFAULT_OBSERVER, ...options });
    try {
      await observer.#begin(lab);
    } catch (error) {
      await observer.stop();
      throw error;
    }
    return observer;
  }

  /** Opens a window of time that begins now (or at `fromMs`, wall clock). Several may be open. */
  observe(fromMs = Date.now()): Observation {
    const tally = new Tally({ fromMs, holdMs: this.#options.holdMs });
    this.#tallies.add(tally);
    if (this.#witness?.isRunning === true) tally.watched();
    return {
      report: () => tally.report(Math.max(fromMs, this.#newestMs)),
      close: () => this.#tallies.delete(tally),
    };
  }

  /** Calls `listener` for every frame that speaks for a cluster address. Returns the way to end it. */
  onAnswer(listener: (answer: Answer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the first answer that satisfies `wanted`; null when `timeoutMs` passed first. */
  waitFor(wanted: (answer: Answer) => boolean, timeoutMs: number): Promise<Answer | null> {
    return new Promise((resolve) => {
      const end = (answer: Answer | null) => {
        clearTimeout(timer);
        stop();
        resolve(answer);
      };
      const timer = setTimeout(() => end(null), timeoutMs);
      const stop = this.onAnswer((answer) => {
        if (wanted(answer)) end(answer);
      });
    });
  }

  /** The newest answer of any kind, and the newest HTTP one. */
  get last(): Answer | null {
    return this.#last;
  }

  get lastHttp(): Answer | null {
    return this.#lastHttp;
  }

  /** Why looking ended by itself; null while all is well. Figures taken after a failure mean nothing. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Stops asking; the windows that are open see silence until the returned function is called. */
  pause(): () => void {
    for (const probe of this.#probes) probe.kill("SIGSTOP");
    return () => {
      for (const probe of this.#probes) probe.kill("SIGCONT");
    };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#refreshing;
    await this.#witness?.stop();
    const ends = this.#children.map(
      (child) =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) resolve();
          else child.once("exit", () => resolve());
        }),
    );
    for (const child of this.#children) {
      child.kill("SIGTERM");
      child.kill("SIGCONT");
    }
    await Promise.all(ends);
  }

  async #begin(lab: Lab): Promise<void> {
    const record = lab.record();
    const clientPid = lab.clientPid();
    const links = await readLinks(this.#switchPid);
    const bridge = links.find((link) => link.ifname === bridgeOf(0));
    this.#bridge = bridge?.ifindex ?? 0;

    await this.#startCapture(lab, record.vips);
    this.#witness = await Witness.start(lab.place.runDir, ({ fromMs, toMs }) => {
      for (const tally of this.#tallies) tally.stoodStill(fromMs, toMs);
    });
    const realTime = await canRunInRealTime();
    const probe = (pid: number, script: string, args: string[]) => {
      const argv = [...realTime, "perl", join(ASSETS, script), ...args];
      const child = this.#launch(lab, inNamespaces(pid, "network", argv));
      this.#probes.push(child);
      // Ten times a second: by how many ms its worst probe was late.
      child.stdout?.on("data", (chunk: Buffer) => {
        for (const line of chunk.toString().split("\n")) {
          if (line !== "") for (const tally of this.#tallies) tally.late(Number(line));
        }
      });
      return child;
    };
    const { intervalMs, httpIntervalMs } = this.#options;
    for (const vip of record.vips) {
      probe(clientPid, "probe-client.pl", [
        vip,
        String(record.servicePort),
        String(intervalMs),
        String(httpIntervalMs),
        record.observerAddress,
      ]);
    }
    this.#portsInput = probe(this.#switchPid, "probe-ports.pl", [
      String(intervalMs),
      bridge?.address ?? "",
      record.observerAddress,
      OBSERVER_V6,
      ...record.vips,
    ]);
    // Ports come and go with the hosts' power: the kernel says so.
    const monitor = this.#launch(
      lab,
      inNamespaces(this.#switchPid, "network", ["ip", "-oneline", "monitor", "link"]),
    );
    monitor.stdout?.on("data", () => this.#refresh(lab));
    this.#refresh(lab);
    await this.#refreshing;
  }

  async #startCapture(lab: Lab, vips: readonly string[]): Promise<void> {
    const argv = ["tcpdump", "-i", "any", "-Q", "in", "-n", "-s", "200", "-B", "8192", "-Z", "root"];
    argv.push("--immediate-mode", "-U", "-w", "-", captureFilter(vips, this.#observerAddress));
    const capture = this.#launch(lab, inNamespaces(this.#switchPid, "network", argv));
    const reader = new FrameReader(vips, this.#observerAddress);
    capture.stdout?.on("data", (chunk: Buffer) => {
      for (const frame of reader.read(chunk)) this.#take(frame);
    });
    await new Promise<void>((resolve, reject) => {
      let said = "";
      capture.stderr?.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("listening on")) resolve();
      });
      capture.once("exit", () =>
        reject(
          new QuorateError("TOOL_FAILED", `tcpdump ended: ${said.trim()}`, "Is tcpdump installed and root?"),
        ),
      );
    });
  }

  #launch(lab: Lab, argv: readonly string[]): ChildProcess {
    const [file, ...rest] = argv;
    const child = spawn(file ?? "", rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], LANG: "C.UTF-8", [LAB_MARK]: lab.place.runDir },
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    child.stdin.on("error", () => {});
    child.on("error", (error) => {
      this.#failure ??= `${file}: ${error.message}`;
    });
    child.on("exit", (code, signal) => {
      if (!this.#stopping) this.#failure ??= `${argv.join(" ")} ended (${code ?? signal}): ${said.trim()}`;
    });
    this.#children.push(child);
    return child;
  }

  /** Reads the switch's ports anew; one reading at a time, the last one after the last change. */
  #refresh(lab: Lab): void {
    this.#refreshing = this.#refreshing
      .then(() => this.#readPorts(lab))
      .catch((error: unknown) => {
        this.#failure ??= `the switch's ports cannot be read: ${String(error)}`;
      });
  }

  async #readPorts(lab: Lab): Promise<void> {
    if (this.#stopping) return;
    const ports = new Map(lab.record().hosts.map((host) => [host.ports[0]?.name ?? "", host]));
    const found = new Map<number, number>();
    const commands: string[] = [];
    for (const link of await readLinks(this.#switchPid)) {
      const host = ports.get(link.ifname);
      if (host === undefined) continue;
      found.set(link.ifindex, host.id);
      if (!this.#askedPorts.has(link.ifindex)) commands.push(`add ${link.ifindex} ${host.ports[0]?.mac}`);
    }
    for (const index of this.#askedPorts) if (!found.has(index)) commands.push(`remove ${index}`);
    this.#askedPorts = new Set(found.keys());
    this.#hosts = found;
    if (commands.length > 0) this.#portsInput?.stdin?.write(`${commands.join("\n")}\n`);
  }

  #take(frame: Frame): void {
    this.#newestMs = Math.max(this.#newestMs, frame.atMs);
    if (frame.kind === "tick") return;
    if (frame.port === this.#bridge) {
      // What the bridge delivered to the observer: a host cut off from the bridge reaches nobody.
      if (frame.kind === "arp-reply" && frame.vip === this.#vip && frame.to === this.#observerAddress) {
        for (const tally of this.#tallies) tally.reached("arp", frame.atMs);
      }
      return;
    }
    const host = this.#hosts.get(frame.port);
    if (host === undefined) return;
    const kind = this.#reachOf(frame);
    for (const tally of this.#tallies) {
      tally.spoke(host, frame.vip, frame.atMs);
      if (kind !== null) tally.reached(kind, frame.atMs);
      if (kind === "http") tally.reached("tcp", frame.atMs);
    }
    const answer: Answer = { host, vip: frame.vip, kind: frame.kind, atMs: frame.atMs };
    this.#last = answer;
    if (frame.kind === "http") this.#lastHttp = answer;
    for (const listener of this.#listeners) listener(answer);
  }

  /** As what the client of the first cluster address takes this frame; null when it is not for it. */
  #reachOf(frame: Frame): ReachKind | null {
    if (frame.vip !== this.#vip || !this.#clients.has(frame.to)) return null;
    switch (frame.kind) {
      case "icmp-reply":
        return "icmp";
      case "tcp-open":
      case "tcp-reset":
        return "tcp";
      case "http":
        return "http";
      case "arp-reply":
      case "arp-announcement":
      case "other":
      case "tick":
        return null;
      default:
        return frame.kind satisfies never;
    }
  }
}

function canonical(address: string): string {
  return address.includes(":") ? expandV6(address) : address;
}

/** The probes' clock shall not stand still when both cores are busy; without the right to it they run as they are. */
async function canRunInRealTime(): Promise<string[]> {
  const prefix = ["chrt", "--fifo", "10"];
  const result = await tryCommand([...prefix, "true"]).catch(() => null);
  return result?.code === 0 ? prefix : [];
}
