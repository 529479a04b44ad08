import type { NodeId } from "@quorate/contracts";
import { Checker } from "./checker.ts";
import { CLUSTER_IP, documentText } from "./documents.ts";
import { EventQueue } from "./event-queue.ts";
import { applyFault, healFaults } from "./faults.ts";
import { type Host, newHost } from "./host.ts";
import { Network } from "./network.ts";
import type { ClusterSetup, Violation } from "./options.ts";
import { Operator } from "./operator.ts";
import { Random } from "./random.ts";
import { Routes } from "./routes.ts";
import { type FaultAction, type Noise, QUIET, type Schedule } from "./schedule.ts";
import { Settling } from "./settling.ts";
import { VmChecker } from "./vm-checker.ts";
import { firstRecords, vmNames } from "./vm-first.ts";
import { SharedStorage } from "./vm-storage.ts";

const TRACE_LIMIT = 200_000;

export type WorldOptions = {
  cluster: ClusterSetup;
  schedule: Schedule;
  noiseSeed: number;
  faultUs: number;
  healUs: number;
  trace: boolean;
  freeze?: boolean;
  /** Hears every line of the story as it is told, without its time. */
  listen?: (line: string) => void;
};

/** Every host, the networks between them, and time. One instant after the other, the same for the same options. */
export class World {
  nowUs = 0;
  readonly tokenUs: number;
  readonly noiseSeed: number;
  readonly cluster: ClusterSetup;
  readonly hosts = new Map<NodeId, Host>();
  readonly network: Network;
  readonly routes: Routes;
  readonly checker: Checker;
  readonly operator: Operator;
  readonly settling: Settling;
  /** Machines, their checker and their disks; none unless the schedule says so. */
  readonly vmNames: readonly string[];
  readonly vmChecker: VmChecker | null;
  readonly storage: SharedStorage;
  readonly faults = new Map<string, number>();
  readonly skipped: FaultAction[] = [];
  readonly trace: string[] = [];
  /** Since when and until when another machine answers for the address. */
  foreignSinceUs = 0;
  foreignUntilUs = 0;
  faulty = true;
  /** What `master:a` and `slave:a` of the schedule stand for. */
  readonly bindings = new Map<string, NodeId>();
  /** Who answered for the address last. */
  lastHolder: NodeId;
  events = 0;
  private readonly options: WorldOptions;
  private readonly queue = new EventQueue<() => void>();
  private hash = 0x811c9dc5;
  private microtasks = false;

  constructor(options: WorldOptions) {
    const { cluster, noiseSeed } = options;
    this.options = options;
    this.cluster = cluster;
    this.tokenUs = cluster.tokenMs * 1000;
    this.noiseSeed = noiseSeed;
    this.lastHolder = cluster.nodes[0]?.id ?? 1;
    this.checker = new Checker(this);
    this.vmNames = vmNames(options.schedule.machines ?? 0);
    this.vmChecker = this.vmNames.length > 0 ? new VmChecker(this) : null;
    this.storage = new SharedStorage(this.checker);
    const nowUs = () => this.nowUs;
    const at = (atUs: number, run: () => void) => this.at(atUs, run);
    const hosts = () => this.hosts;
    this.network = new Network({
      nowUs,
      at,
      hosts,
      noise: () => this.noise(),
      tokenUs: this.tokenUs,
      noiseSeed,
      changed: () => this.routes.look(),
      sent: (datagram) => this.sent(datagram),
    });
    this.routes = new Routes({
      nowUs,
      at,
      hosts,
      connects: (left, right) => this.network.connects(left, right, cluster.rings),
      random: Random.forked(noiseSeed, "routes"),
    });
    this.operator = new Operator(this);
    this.settling = new Settling(this);
    const firstText = documentText(1, cluster, cluster.nodes);
    for (const [index, { id }] of cluster.nodes.entries()) {
      const host = this.addHost(id, firstText);
      host.disk.vmRecords = firstRecords(this.vmNames, index, cluster.nodes.length);
      host.powerOn();
    }
    for (const action of options.schedule.actions) {
      if (action.atUs < options.faultUs) this.at(action.atUs, () => this.strike(action));
    }
    this.at(options.faultUs, () => this.heal());
  }

  addHost(id: NodeId, text: string): Host {
    const host = newHost(this, id, text);
    this.hosts.set(id, host);
    return host;
  }

  /** Nobody may change what was sent: it is shared by everybody who hears it. */
  sent(message: object): void {
    if (this.options.freeze === true) deepFreeze(message);
  }

  noise(): Noise {
    return this.faulty ? this.options.schedule.noise : QUIET;
  }

  at(atUs: number, run: () => void): void {
    this.queue.push(Math.max(atUs, this.nowUs), run);
  }

  /** The real gate is made of promises: what it does at this instant is waited for before time goes on. */
  drainMicrotasks(): void {
    this.microtasks = true;
  }

  /** Until the end, or the first violation. */
  async run(): Promise<void> {
    const endUs = this.options.faultUs + this.options.healUs;
    while (this.violations.length === 0) {
      const event = this.queue.pop();
      if (event === undefined || event.atUs > endUs) break;
      this.nowUs = event.atUs;
      this.events += 1;
      this.mix(event.atUs);
      try {
        event.payload();
      } catch (error) {
        const { stack } = error as Error;
        this.checker.violate("CRASH", stack ?? String(error));
      }
      while (this.microtasks) {
        this.microtasks = false;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (this.violations.length > 0) return;
    this.nowUs = endUs;
    this.settling.judge();
  }

  get violations(): Violation[] {
    return this.checker.violations;
  }

  get digest(): string {
    return `${this.events}-${(this.hash >>> 0).toString(16)}`;
  }

  get faultsEndUs(): number {
    return this.options.faultUs;
  }

  struck(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  /** A line of the story. Costs nothing while nobody reads it: a run that went wrong is run again. */
  tell(text: () => string): void {
    const { trace, listen } = this.options;
    if (!trace && listen === undefined) return;
    const line = text();
    listen?.(line);
    if (!trace) return;
    if (this.trace.length >= TRACE_LIMIT) this.trace.splice(0, TRACE_LIMIT / 2);
    this.trace.push(`${(this.nowUs / 1e6).toFixed(6)} ${line}`);
  }

  /** Whoever another machine's or node's answer to a question for the address would reach `host`; null: silence. */
  answererFor(host: Host): string | null {
    if (this.nowUs < this.foreignUntilUs && host.kernel.carrier) return FOREIGN_MAC;
    for (const other of this.hosts.values()) {
      if (other === host || !other.answers) continue;
      if (this.network.carries(host.id, other.id, 0) && this.network.carries(other.id, host.id, 0))
        return macOf(other.id);
    }
    return null;
  }

  /** A gratuitous ARP: everybody who listens and is reached hears it. */
  announced(from: Host | null): void {
    for (const host of this.hosts.values()) {
      if (host === from || !host.up || !host.watching) continue;
      if (from !== null && !this.network.carries(from.id, host.id, 0)) continue;
      const mac = from === null ? FOREIGN_MAC : macOf(from.id);
      host.actuator.told({ kind: "foreign-claim", address: CLUSTER_IP.address, mac });
    }
  }

  private strike(action: FaultAction): void {
    if (applyFault(this, action)) this.struck(action.kind);
    else this.skipped.push(action);
  }

  private heal(): void {
    this.faulty = false;
    this.tell(() => "the faults are over");
    healFaults(this);
    this.settling.begin();
  }

  private mix(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193);
    this.hash ^= this.hash >>> 15;
  }
}

const FOREIGN_MAC = "02:ff:ff:ff:ff:ff";

function macOf(node: NodeId): string {
  return `02:00:00:00:00:${node.toString(16).padStart(2, "0")}`;
}

function deepFreeze(value: object): void {
  if (Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) if (typeof part === "object" && part !== null) deepFreeze(part);
}
