import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ClusterConfig,
  GrantMessage,
  MachinesConfig,
  NodeConfig,
  NodeId,
  PowerDeviceConfig,
  QuorumMessage,
  ReportMessage,
} from "@quorate/contracts";
import {
  createFenceAgent,
  createFakeHypervisor,
  createFakeMachineGate,
  createFakeStorageProbe,
  createFakeWatchdog,
  FakeMachineKernel,
  FakeMachines,
  FakeStorages,
  FakeWatchdogDevice,
  machineNumber,
  machineUser,
  tapName,
} from "@quorate/host";
import { Bus, createLogger, type Logger, monotonicUs } from "@quorate/runtime";
import { freePort } from "@quorate/runtime/test/free-port";
import type { MachineRoom } from "../src/machines/machine-room.ts";
import { MachinesPart } from "../src/machines/machines-part.ts";

export const TOKEN_MS = 400;
const STORAGE = { address: "10.99.0.1", port: 10_809 };
const CLUSTER = "VMmanager";
const BOOT_ID = "0123456789abcdef";

export const MACHINES: MachinesConfig = {
  hypervisor: "qemu:///system",
  migrationPort: 16_509,
  storageSettleMs: 50,
  bootGraceMs: 0,
  shutdownGraceMs: 200,
  memoryPercent: 100,
  vcpuPercent: 400,
  maximumPerNode: null,
  liveMovesPerNode: 2,
  storage: [STORAGE],
  sharedMounts: [],
  together: [],
  apart: [],
};

export function configFor(ids: readonly NodeId[], change: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    clusterName: CLUSTER,
    configVersion: 1,
    tokenMs: TOKEN_MS,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: 3,
    quorumVotes: 2,
    ihttpdPorts: [],
    nodes: ids.map((id) => nodeOf(id)),
    clusterIps: [],
    managedService: { kind: "none" },
    machines: MACHINES,
    routePort: 7423,
    notHonoured: [],
    ...change,
  };
}

export function nodeOf(id: NodeId, change: Partial<NodeConfig> = {}): NodeConfig {
  return { id, addresses: [`10.92.0.${id}`], prio: 100, replication: true, votes: 1, ...change };
}

export const uuidOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

/** A machine on network storage with one tap: what the gates hold wholly. */
export function definitionOf(name: string, index: number): string {
  return `<domain type='qemu'><name>${name}</name><uuid>${uuidOf(index)}</uuid><memory unit='MiB'>96</memory>
<vcpu>1</vcpu><devices><disk type='network' device='disk'><source protocol='nbd' name='${name}'>
<host name='${STORAGE.address}' port='${STORAGE.port}'/></source><target dev='vda'/></disk>
<interface type='bridge'><source bridge='vmbr0'/></interface></devices></domain>`;
}

/** The same with its disk on one host alone. */
export function localDefinitionOf(name: string, index: number): string {
  const disk = `<disk type='file' device='disk'><source file='/var/lib/vm/${name}'/><target dev='vda'/></disk>`;
  return definitionOf(name, index).replace(/<disk [^]*<\/disk>/, disk);
}

export async function until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What a node's evaluator says. */
export interface Word {
  term: number;
  number: number;
  leader: NodeId;
  members: readonly NodeId[];
  fenced: readonly NodeId[];
  out: boolean;
}

/** One message server for all nodes of a test. */
export class MachineSite {
  readonly folder = mkdtempSync(join(tmpdir(), "quorate-machines-"));
  readonly #hosts: MachineHost[] = [];
  #url = "";
  #nats: ChildProcess | undefined;

  async start(): Promise<void> {
    const port = await freePort();
    this.#url = `nats://127.0.0.1:${port}`;
    const file = join(this.folder, "nats.conf");
    writeFileSync(
      file,
      `listen: "127.0.0.1:${port}"\nauthorization { user: "service", password: "secret" }\n`,
    );
    let log = "";
    this.#nats = spawn("nats-server", ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#nats.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    await until("nats-server is ready", () => log.includes("Server is ready"));
  }

  async host(id: NodeId, config: ClusterConfig): Promise<MachineHost> {
    const host = new MachineHost(id, config, join(this.folder, String(id)), this.#url);
    this.#hosts.push(host);
    await host.open();
    return host;
  }

  async remove(): Promise<void> {
    for (const host of this.#hosts) await host.remove();
    const nats = this.#nats;
    if (nats !== undefined && nats.exitCode === null) {
      nats.kill("SIGKILL");
      await once(nats, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The machines' part of the actuator on fakes, a real bus, and a scripted evaluator. */
export class MachineHost {
  readonly machines = new FakeMachines();
  readonly kernel = new FakeMachineKernel(monotonicUs);
  readonly storages = new FakeStorages();
  readonly watchdog = new FakeWatchdogDevice();
  readonly bus: Bus;
  readonly stateDir: string;
  readonly logged: string[] = [];
  readonly id: NodeId;
  config: ClusterConfig;
  /** Told once, as a detector does. */
  pausedUs = 0;
  part!: MachinesPart;
  #word: Word | null = null;
  #fencedAtUs = 0;
  #speaking: NodeJS.Timeout | undefined;

  constructor(id: NodeId, config: ClusterConfig, folder: string, url: string) {
    this.id = id;
    this.config = config;
    this.stateDir = join(folder, "state");
    mkdirSync(this.stateDir, { recursive: true });
    this.bus = new Bus({
      credentials: { url, user: "service", password: "secret" },
      clusterName: CLUSTER,
      nodeId: id,
      name: "test",
      logger: createLogger({ service: "test", node: id, level: "silent" }),
    });
  }

  /** Opens the part, as at the start of the process; what it acts on outlives it. */
  async open(): Promise<void> {
    await until("the bus is there", () => this.bus.connected);
    const drivers = {
      hypervisor: () => createFakeHypervisor(this.machines),
      gate: () => createFakeMachineGate({ nowUs: monotonicUs }, { kernel: this.kernel }),
      powerDevice: (config: PowerDeviceConfig) => createFenceAgent({ nowUs: monotonicUs }, config),
      storageProbe: () => createFakeStorageProbe(this.storages),
      watchdog: () => createFakeWatchdog(this.watchdog),
    };
    const context = {
      service: "failover-actuator" as const,
      nodeId: this.id,
      bootId: BOOT_ID,
      stateDir: this.stateDir,
      runDir: this.stateDir,
      keysDir: this.stateDir,
      configFile: "",
      runningConfFile: "",
      authkeyFile: "",
      healthPort: 0,
      credentials: { url: "", user: "", password: "" },
      logger: this.#logger(),
    };
    const { bus } = this;
    const reportChanged = () => {};
    const kernelPauseUs = () => {
      const { pausedUs } = this;
      this.pausedUs = 0;
      return pausedUs;
    };
    const options = { context, bus, drivers, logger: context.logger, reportChanged, kernelPauseUs };
    this.part = new MachinesPart(options, this.config);
    await this.part.configure(this.config);
  }

  #logger(): Logger {
    const logger = createLogger({ service: "failover-actuator", node: this.id, level: "silent" });
    const keep = (facts: unknown, message?: string) =>
      void this.logged.push(`${JSON.stringify(facts)} ${message ?? ""}`);
    return Object.assign(logger, { info: keep, warn: keep, error: keep });
  }

  /** As after SIGKILL: nothing is taken down. */
  async restart(): Promise<void> {
    await this.part.close();
    await this.open();
  }

  get room(): MachineRoom {
    const { room } = this.part;
    if (room === null) throw new Error("there is no room for machines");
    return room;
  }

  /** The actuator's report under this term, with what is said of machines. */
  reportUnder(term: number): ReportMessage {
    return this.part.withMachines({
      stampUs: monotonicUs(),
      term,
      generation: 1,
      gate: "shut",
      shutConfirmed: null,
      able: { ok: true, code: "", message: "" },
      cleanUnderTerm: term,
      address: "absent",
      service: "none",
      problems: [],
      guarantees: [],
    });
  }

  state(name: string): string {
    return this.machines.guests.get(name)?.state ?? "none";
  }

  passes(index: number): { network: boolean; storage: boolean } {
    const number = machineNumber(uuidOf(index));
    return {
      network: this.kernel.passesTap(tapName(number, 0)),
      storage: this.kernel.passesStorage(machineUser(number), STORAGE),
    };
  }

  isOpen(index: number): boolean {
    const { network, storage } = this.passes(index);
    return network && storage;
  }

  define(name: string, index: number, xml = definitionOf(name, index)) {
    return this.bus.request(
      "failover-actuator",
      "machine-define",
      this.id,
      { xml, prio: null, wanted: null },
      2000,
    );
  }

  wish(vm: string, wanted: "running" | "stopped" | "undefined") {
    return this.bus.request(
      "failover-actuator",
      "machine-wish",
      this.id,
      { vm, wanted, prio: null, move: null },
      2000,
    );
  }

  async ask() {
    return this.bus.request("failover-actuator", "machines", this.id, {}, 2000);
  }

  /** Grants and judgements every T/10 until told otherwise; null: nothing any more, as from a frozen evaluator. */
  speak(change: Partial<Word> | null): void {
    clearInterval(this.#speaking);
    if (change === null) return;
    const before = this.#word ?? {
      term: 1,
      number: 1,
      leader: this.id,
      members: [this.id],
      fenced: [],
      out: false,
    };
    this.#word = { ...before, ...change };
    if (this.#word.fenced.length > 0 && before.fenced.length === 0) this.#fencedAtUs = monotonicUs();
    const send = () => {
      if (this.#word !== null) this.#send(this.#word);
    };
    send();
    this.#speaking = setInterval(send, TOKEN_MS / 10);
  }

  #send({ term, number, leader, members, fenced, out }: Word): void {
    const stampUs = monotonicUs();
    const role = leader === this.id ? ("master" as const) : ("slave" as const);
    const leaseEndUs = out ? 0 : stampUs + TOKEN_MS * 950;
    const view = { term, number };
    const reason = { code: "TEST", message: "As the test says." };
    const grant: GrantMessage = {
      stampUs,
      term,
      generation: 1,
      role,
      masterLeaseEndUs: role === "master" ? leaseEndUs : 0,
      nodeLeaseEndUs: leaseEndUs,
      close: false,
      view,
      disarmed: false,
      reason,
    };
    const quorum: QuorumMessage = {
      stampUs,
      node: this.id,
      bootId: BOOT_ID,
      term,
      role,
      leader,
      masterLeaseEndUs: grant.masterLeaseEndUs,
      nodeLeaseEndUs: leaseEndUs,
      promise: null,
      view: { ...view, members: members.map((node) => ({ node, bootId: null })) },
      out,
      amnesic: false,
      votes: { total: 3, quorum: 2, present: members.length },
      quorate: "yes",
      fences: fenced.map((node) => ({ node, verdict: "yes" as const, atUs: this.#fencedAtUs })),
      stored: { term, version: 1, digest: "00".repeat(32) },
      committed: null,
      joint: false,
      disarmedUntil: null,
      readmit: [],
      problems: [],
      reason,
    };
    this.bus.publishLocal("quorum", quorum);
    this.bus.publishLocal("grant", grant);
  }

  async remove(): Promise<void> {
    clearInterval(this.#speaking);
    await this.part.close();
    await this.bus.close();
  }
}
