/**
 * A lab: three real hosts and a client on one switch, all in namespaces of their own; nothing touches the
 * machine's own network, mounts or folders beyond the run and data folders named in the record.
 * Needs root. Every method that changes the lab holds its lock; every change is in the record before it is made.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { type CommandResult, inNamespaces, tryCommand } from "./command.ts";
import { buildGuestImage, requireGuestTools } from "./guest/image.ts";
import { startStorage } from "./guest/storage-host.ts";
import {
  bootHost,
  clockOffsetS,
  cutPower,
  freezeHost,
  guestImageFolder,
  hostDir,
  hostPath,
  killProcesses,
  namedProcess,
  thawHost,
} from "./host.ts";
import {
  type HostProcess,
  isAlive,
  nameProcess,
  processesWithEnvironment,
  signalProcess,
  waitUntil,
} from "./processes.ts";
import {
  type HostRecord,
  type LabPlace,
  type LabRecord,
  type PortRecord,
  placeOf,
  type Remains,
  type Rule,
  readRecord,
  readRemains,
  withLock,
  writeRecord,
} from "./record.ts";
import { firstRecord, type LabPlan } from "./plan.ts";
import { describeLab, type LabStatus } from "./status.ts";
import {
  applyRules,
  bridgeOf,
  buildSwitch,
  holdNetwork,
  LAB_MARK,
  moveToBridge,
  plugHost,
  removeLinks,
  setBridge,
  setCarrier,
  setStorageLink,
} from "./switch.ts";

export type UpOptions = {
  /** The lab belongs to this process: once it is dead, anybody may take the lab down. */
  own?: boolean;
  runRoot?: string;
};

export class Lab {
  readonly place: LabPlace;

  private constructor(place: LabPlace) {
    this.place = place;
  }

  /** An existing lab; USAGE error when there is none of that name. */
  static open(name: string, runRoot?: string): Lab {
    const lab = new Lab(placeOf(name, runRoot));
    lab.record();
    return lab;
  }

  /** Builds the network and boots every host. When it fails, what was made is taken away again. */
  static async up(name: string, plan: LabPlan, options: UpOptions = {}): Promise<Lab> {
    requireRoot();
    if (plan.guests > 0) requireGuestTools(plan.root);
    const lab = new Lab(placeOf(name, options.runRoot));
    await withLock(lab.place, async () => {
      if (readRecord(lab.place) !== null) {
        throw new QuorateError(
          "ALREADY_RUNNING",
          `lab ${name} is there already`,
          `Take it down first: quorate-lab down --lab ${name}`,
        );
      }
      const record = firstRecord(name, plan);
      if (options.own === true) record.owner = nameProcess(process.pid);
      writeRecord(lab.place, record);
      for (const host of plan.hosts) {
        const folder = join(hostDir(record, host.id), "etc");
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, "cluster.conf"), host.program.configuration);
      }
      try {
        await lab.build(record);
        for (const host of record.hosts) await lab.boot(record, host);
      } catch (error) {
        await lab.clear(record);
        throw error;
      }
    });
    return lab;
  }

  /** Takes away whatever the record and the mark name; fine when there is nothing. */
  static async down(name: string, runRoot?: string): Promise<void> {
    requireRoot();
    const lab = new Lab(placeOf(name, runRoot));
    await withLock(lab.place, () => lab.clear(readRemains(lab.place)));
    removeIfEmpty(dirname(lab.place.runDir));
  }

  /** Takes down a lab whose owner died without doing so. ALREADY_RUNNING when it is in use. */
  static async clearAbandoned(name: string, runRoot?: string): Promise<void> {
    const record = readRecord(placeOf(name, runRoot));
    if (record === null) return;
    if (record.owner === null || isAlive(record.owner)) {
      throw new QuorateError(
        "ALREADY_RUNNING",
        `lab ${name} is up already`,
        `Take it down (quorate-lab down --lab ${name}) or choose another name with --lab.`,
      );
    }
    await Lab.down(name, runRoot);
  }

  record(): LabRecord {
    const record = readRecord(this.place);
    if (record === null) {
      throw new QuorateError(
        "USAGE",
        `there is no lab ${this.place.name}`,
        `Bring it up first: quorate-lab up --lab ${this.place.name}`,
      );
    }
    return record;
  }

  host(id: number): HostRecord {
    return hostOf(this.record(), id);
  }

  switchPid(): number {
    return alivePid(this.record().switch, "switch");
  }

  clientPid(): number {
    return alivePid(this.record().client, "client host");
  }

  status(): LabStatus {
    return describeLab(this.record(), this.place.runDir);
  }

  /** Runs a command in the host to its end. */
  exec(id: number | "client", argv: readonly string[], timeoutMs = 30_000): Promise<CommandResult> {
    return tryCommand(this.enterHost(id, argv), { timeoutMs, env: this.hostEnvironment() });
  }

  /** Starts a command in the host. With pipes it leads its own group: end it by killGroup. */
  spawn(id: number | "client", argv: readonly string[], stdio: "pipe" | "inherit" = "pipe"): ChildProcess {
    const [file, ...rest] = this.enterHost(id, argv);
    return spawn(file ?? "", rest, { stdio, detached: stdio === "pipe", env: this.hostEnvironment() });
  }

  /** The command line that enters a host, or the client's network (all else there is the machine's). */
  enterHost(id: number | "client", argv: readonly string[]): string[] {
    if (id === "client") return inNamespaces(this.clientPid(), "network", argv);
    return inNamespaces(this.poweredInit(id), "all", argv);
  }

  /**
   * Power cut: the ports leave the switch and every process dies at once. Returns that moment, wall clock in ms.
   * The host's disk (/etc/quorate, /var/lib/quorate) stays.
   */
  async kill(id: number): Promise<number> {
    return this.change(async (record) => {
      const host = hostOf(record, id);
      if (host.init === null) return Date.now();
      const at = cutPower(alivePid(record.switch, "switch"), host);
      await this.gone(host);
      await removeLinks(
        alivePid(record.switch, "switch"),
        host.ports.map((port) => port.name),
      );
      host.holder = null;
      host.init = null;
      host.frozen = false;
      return at;
    });
  }

  /** Sends a signal to one named process of the host (supervisor, nats-server or a service). Returns its pid. */
  async signalNamed(id: number, name: string, signal: NodeJS.Signals): Promise<number> {
    const found = namedProcess(this.host(id), name);
    if (found === null) {
      throw new QuorateError(
        "NODE_UNKNOWN",
        `host ${id} runs no process ${name}`,
        "Names are those of /run/quorate/pids/NAME.pid; see `quorate-lab status`.",
      );
    }
    process.kill(found.pid, signal);
    return found.pid;
  }

  /** kill -9 of everything in the host but its PID 1, which starts the node's command again, and what is spared. */
  async killAll(id: number, spared: (process: HostProcess) => boolean): Promise<void> {
    await this.change(() => killProcesses(this.poweredInit(id), spared));
  }

  /** Switches a host on again: new boot id, other clock, same disk. */
  async start(id: number): Promise<void> {
    await this.change(async (record) => {
      const host = hostOf(record, id);
      if (host.init !== null && isAlive(host.init)) return;
      await this.boot(record, host);
    });
  }

  /** SIGSTOP to every process of the host except its PID 1 and what is spared. */
  async freeze(id: number, spared?: (process: HostProcess) => boolean): Promise<void> {
    await this.change(async (record) => {
      const host = hostOf(record, id);
      host.frozen = true;
      writeRecord(this.place, record);
      await freezeHost(this.poweredInit(id), spared);
    });
  }

  async thaw(id: number): Promise<void> {
    await this.change(async (record) => {
      thawHost(this.poweredInit(id));
      hostOf(record, id).frozen = false;
    });
  }

  /** Link cut: the switch's port goes down, the host's device has no carrier. `ring` null: all its ports. */
  async cut(id: number, ring: number | null = null): Promise<void> {
    await this.change(async (record) => {
      for (const port of portsOf(hostOf(record, id), ring)) {
        port.link = "cut";
        await setCarrier(alivePid(record.switch, "switch"), port, false);
      }
    });
  }

  /**
   * Silent partition: the hosts' ports leave the bridge together; among themselves they still talk, carriers
   * stay. The client stays with the others.
   */
  async partition(ids: readonly number[], ring: number | null = null): Promise<void> {
    await this.change(async (record) => {
      const ports = ids.flatMap((id) => portsOf(hostOf(record, id), ring));
      for (const side of new Set(ports.map((port) => port.ring))) {
        const moved = ports.filter((port) => port.ring === side);
        const bridge = `side${side}-${Math.min(...ids)}`;
        for (const port of moved) {
          port.link = "partitioned";
          port.bridge = bridge;
        }
        await moveToBridge(alivePid(record.switch, "switch"), moved, bridge);
      }
    });
  }

  /** What `from` sends no longer reaches `to`; the other direction does. */
  async oneway(from: number, to: number): Promise<void> {
    await this.addRule({ kind: "oneway", from, to });
  }

  /** Of 100 datagrams to the host, `percent` are dropped, each judged once. */
  async loss(host: number, percent: number): Promise<void> {
    await this.addRule({ kind: "loss", host, percent });
  }

  /** The storage host is silent: for one host, or for all (its port goes down). Connections stay as they are. */
  async cutStorage(host: number | null = null): Promise<void> {
    if (host !== null) return this.addRule({ kind: "storage-cut", host });
    await this.change(async (record) => {
      if (record.storage === null) throw noGuests();
      record.storage.link = "cut";
      await setStorageLink(alivePid(record.switch, "switch"), false);
    });
  }

  /** Ends every fault of the network. Hosts without power and frozen ones stay as they are. */
  async heal(): Promise<void> {
    await this.change(async (record) => {
      const switchPid = alivePid(record.switch, "switch");
      record.rules = [];
      await applyRules(record, switchPid, []);
      const sides = new Set<string>();
      for (const host of record.hosts) {
        for (const port of host.ports) {
          if (port.link === "partitioned") {
            sides.add(port.bridge);
            port.bridge = bridgeOf(port.ring);
            if (host.init !== null) await moveToBridge(switchPid, [port], port.bridge);
          }
          if (port.link === "cut" && host.init !== null) await setCarrier(switchPid, port, true);
          port.link = "up";
        }
      }
      await removeLinks(switchPid, [...sides].sort());
      if (record.storage?.link !== "cut") return;
      await setStorageLink(switchPid, true);
      record.storage.link = "up";
    });
  }

  /** The switch itself: while it is down nobody hears anybody, every carrier stays. */
  async setSwitch(up: boolean, ring = 0): Promise<void> {
    await this.change((record) => setBridge(alivePid(record.switch, "switch"), bridgeOf(ring), up));
  }

  private async addRule(rule: Rule): Promise<void> {
    await this.change(async (record) => {
      for (const id of rule.kind === "oneway" ? [rule.from, rule.to] : [rule.host]) hostOf(record, id);
      const rest = record.rules.filter(
        (old) => !(rule.kind === "loss" && old.kind === "loss" && old.host === rule.host),
      );
      record.rules = [...rest, rule];
      await applyRules(record, alivePid(record.switch, "switch"), record.rules);
    });
  }

  private async change<Result>(body: (record: LabRecord) => Promise<Result>): Promise<Result> {
    requireRoot();
    return withLock(this.place, async () => {
      const record = this.record();
      const result = await body(record);
      writeRecord(this.place, record);
      return result;
    });
  }

  private async build(record: LabRecord): Promise<void> {
    record.switch = await holdNetwork(this.place.runDir);
    record.client = await holdNetwork(this.place.runDir);
    writeRecord(this.place, record);
    await buildSwitch(record, record.switch.pid, record.client.pid);
    if (record.guests === 0) return;
    await buildGuestImage(record.root, guestImageFolder(record));
    record.storage = await startStorage(record, record.switch.pid, this.place.runDir);
    writeRecord(this.place, record);
  }

  private async boot(record: LabRecord, host: HostRecord): Promise<void> {
    host.boots += 1;
    host.clockOffsetS = clockOffsetS(host.id, host.boots);
    const booted = await bootHost(record, host, this.place.runDir);
    host.holder = booted.holder;
    host.init = booted.init;
    writeRecord(this.place, record);
    await plugHost(alivePid(record.switch, "switch"), host, booted.init.pid);
    await booted.mount();
    if (!host.prepared) await this.prepare(record, host, booted.init.pid);
    booted.run();
    writeRecord(this.place, record);
  }

  private async prepare(record: LabRecord, host: HostRecord, initPid: number): Promise<void> {
    const keysOf = (id: number) => join(hostDir(record, id), "etc", record.keysDir);
    const donor = record.hosts.find((other) => other.prepared && existsSync(keysOf(other.id)));
    if (donor !== undefined)
      cpSync(keysOf(donor.id), keysOf(host.id), { recursive: true, preserveTimestamps: true });
    for (const argv of host.prepare) {
      const result = await tryCommand(inNamespaces(initPid, "all", argv), {
        env: this.hostEnvironment(record),
      });
      if (result.code !== 0) {
        throw new QuorateError(
          "TOOL_FAILED",
          `host ${host.name}: ${argv.join(" ")} ended with ${result.code}: ${(result.stderr || result.stdout).trim()}`,
          "The host cannot be prepared; run the command by hand with --help.",
        );
      }
    }
    host.prepared = true;
  }

  private hostEnvironment(record = this.record()): NodeJS.ProcessEnv {
    return {
      PATH: hostPath(record.root),
      LANG: "C.UTF-8",
      ...(process.env["NO_COLOR"] === undefined ? {} : { NO_COLOR: process.env["NO_COLOR"] }),
      ...(process.env["TERM"] === undefined ? {} : { TERM: process.env["TERM"] }),
      [LAB_MARK]: this.place.runDir,
    };
  }

  private poweredInit(id: number): number {
    const host = this.host(id);
    if (host.init === null || !isAlive(host.init)) {
      throw new QuorateError("USAGE", `host ${id} has no power`, `Switch it on: quorate-lab start ${id}`);
    }
    return host.init.pid;
  }

  /** Waits for the kernel to have wound up the host's namespaces' processes. */
  private async gone(host: HostRecord): Promise<void> {
    const left = [host.init, host.holder].filter((process) => process !== null);
    if (!(await waitUntil(() => !left.some(isAlive), 10_000, 5))) {
      throw new QuorateError(
        "TOOL_FAILED",
        `host ${host.name} would not die`,
        "Look at its processes in /proc.",
      );
    }
  }

  private async clear(remains: Remains | null): Promise<void> {
    const hosts = remains?.hosts ?? [];
    const known = [
      ...hosts.flatMap((host) => [host.init, host.holder]),
      remains?.storage?.init ?? null,
      remains?.storage?.holder ?? null,
      remains?.client ?? null,
      remains?.switch ?? null,
    ].filter((process) => process !== null);
    const holders = [...hosts.map((host) => host.holder), remains?.storage?.holder ?? null].filter(
      (holder) => holder !== null,
    );
    for (const process of known) if (!holders.includes(process)) signalProcess(process, "SIGKILL");
    // A holder ends with its PID 1 and reaps it; killed itself, it would leave that to the machine.
    await waitUntil(() => !holders.some(isAlive), 2000, 5);
    // What the record does not name carries the lab's mark; repeat, as a dying parent may still have forked.
    const empty = await waitUntil(
      () => {
        const marked = processesWithEnvironment(LAB_MARK, this.place.runDir);
        for (const process of marked) signalProcess(process, "SIGKILL");
        return marked.length === 0 && !known.some(isAlive);
      },
      15_000,
      20,
    );
    if (!empty) {
      throw new QuorateError(
        "TOOL_FAILED",
        `lab ${this.place.name} has processes that do not end`,
        "Run `down` again.",
      );
    }
    if (remains !== null) {
      rmSync(remains.dataDir, { recursive: true, force: true });
      removeIfEmpty(dirname(remains.dataDir));
    }
    rmSync(this.place.runDir, { recursive: true, force: true });
  }
}

function portsOf(host: HostRecord, ring: number | null): PortRecord[] {
  return host.ports.filter((port) => ring === null || port.ring === ring);
}

function hostOf(record: LabRecord, id: number): HostRecord {
  const host = record.hosts.find((candidate) => candidate.id === id);
  if (host === undefined) {
    const ids = record.hosts.map((candidate) => candidate.id).join(", ");
    throw new QuorateError("NODE_UNKNOWN", `the lab has no host ${id}`, `Its hosts: ${ids}`);
  }
  return host;
}

function noGuests(): QuorateError {
  return new QuorateError("USAGE", "the lab has no storage host", "Bring it up with --vms.");
}

function alivePid(process: { pid: number; startTime: string } | null, what: string): number {
  if (process === null || !isAlive(process)) {
    throw new QuorateError("USAGE", `the lab's ${what} is gone`, "Take the lab down and up again.");
  }
  return process.pid;
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Another lab's things are in it, or it is gone.
  }
}

export function requireRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new QuorateError(
      "NOT_ROOT",
      "the lab makes network, mount and pid namespaces, which only root may",
      "Run the same command as root (sudo).",
    );
  }
}
