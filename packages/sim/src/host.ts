import type { NodeId, Reason } from "@quorate/contracts";
import type { StoredDocument } from "@quorate/core-config";
import { initialState } from "@quorate/core-quorum";
import { HostClock } from "./clock.ts";
import { Disk, RunDirectory } from "./disk.ts";
import { CLUSTER_IP, configOf, firstDocument } from "./documents.ts";
import { Kernel } from "./kernel.ts";
import { LocalBus, type LocalMessages, type Topic } from "./local-bus.ts";
import { NodeGates } from "./node-gates.ts";
import { ActuatorProcess } from "./processes/actuator-process.ts";
import { DistributorProcess } from "./processes/distributor-process.ts";
import { EvaluatorProcess } from "./processes/evaluator-process.ts";
import { MembershipProcess } from "./processes/membership-process.ts";
import type { Process, Surroundings } from "./process.ts";
import { Random } from "./random.ts";
import { PROCESS_NAMES, type ProcessName } from "./schedule.ts";
import { flushSockets } from "./vm-actor.ts";
import { VmKernel } from "./vm-kernel.ts";
import type { World } from "./world.ts";

const KERNEL_COMMAND_LEAST_US = 300;
const KERNEL_COMMAND_MOST_US = 2500;
const BUS_LEAST_US = 100;
const BUS_MOST_US = 900;
const BUS_RECONNECT_LEAST_US = 5_000;
const BUS_RECONNECT_MOST_US = 120_000;
/** Between the start of the machine and that of our processes. */
const BOOT_LEAST_US = 100_000;
const BOOT_MOST_US = 700_000;
const WALL_CLOCK_MS = 1_700_000_000_000;

type Takers = { [Each in Topic]?: (message: LocalMessages[Each]) => void };

/** One host: a clock, a kernel, a disk, a local bus and four processes. */
export class Host {
  readonly id: NodeId;
  readonly world: World;
  readonly disk: Disk;
  /** What the operator put there when the node was set up: a node without its register falls back to that. */
  readonly firstText: string;
  readonly bus: LocalBus;
  readonly membership: MembershipProcess;
  readonly evaluator: EvaluatorProcess;
  readonly actuator: ActuatorProcess;
  readonly distributor: DistributorProcess;
  clock: HostClock;
  kernel: Kernel;
  run = new RunDirectory();
  vm: NodeGates;
  /** Null in a world without machines. */
  vmKernel: VmKernel | null;
  /** When this boot began, by its own clock. */
  bootedLocalUs = 0;
  /** The shared storage cannot be reached from here. */
  storageGone = false;
  up = false;
  boot = 0;
  /** The announcer listens for others' claims. */
  watching = false;
  serviceBroken = false;
  /** What CLOCK_MONOTONIC did not see of this boot. */
  suspendedForUs = 0;
  suspendedUntilUs = 0;
  wallStepMs = 0;
  kernelSlowUpToUs = 0;
  busSlowUpToUs = 0;
  private readonly streams = new Map<string, Random>();
  /** Who takes what off the bus. */
  private readonly takers: Record<ProcessName, Takers> = {
    membership: {
      ballot: (message) => this.membership.ballot({ kind: "ballot", ...message }),
      config: (message) => this.membership.configure(message),
    },
    evaluator: {
      heard: (message) => this.evaluator.heard(message),
      peers: (message) => this.evaluator.peers(message),
      report: (message) => this.evaluator.report(message),
      stored: (message) => this.evaluator.stored(message),
    },
    actuator: {
      grant: (message) => this.actuator.grant(message),
      config: (message) => this.actuator.configure(message),
    },
    distributor: {
      quorum: (message) => this.distributor.quorum(message),
      peers: (message) => this.distributor.peers(message),
    },
  };

  constructor(world: World, id: NodeId, document: StoredDocument) {
    this.id = id;
    this.world = world;
    this.firstText = document.text;
    const config = configOf(document.text);
    this.disk = new Disk(this.random("disk"), initialState(config, document.ref, id), document);
    this.clock = HostClock.drawn(
      this.random("clock"),
      world.nowUs,
      this.random("clock").between(0, 10 ** 12),
    );
    this.kernel = this.newKernel();
    this.vm = new NodeGates(this);
    this.vmKernel = this.newVmKernel();
    this.bus = new LocalBus({
      nowUs: () => world.nowUs,
      at: (atUs, run) => world.at(atUs, run),
      delayUs: () => this.busDelayUs(),
      reconnectUs: () => this.random("bus").between(BUS_RECONNECT_LEAST_US, BUS_RECONNECT_MOST_US),
      deliver: (to, topic, message) => this.deliver(to, topic, message),
      sent: (message) => world.sent(message),
      changed: () => world.routes.look(),
      reconnected: (process) => {
        if (process === "actuator") this.actuator.repeatReport();
        else if (process === "distributor") this.distributor.repeatAnnouncement();
      },
    });
    this.membership = new MembershipProcess(this);
    this.evaluator = new EvaluatorProcess(this);
    this.actuator = new ActuatorProcess(this);
    this.distributor = new DistributorProcess(this);
  }

  nowUs(): number {
    return this.world.nowUs;
  }

  /** CLOCK_MONOTONIC. */
  localUs(): number {
    return this.clock.localUs(Math.max(this.world.nowUs, 0));
  }

  wallClockMs(): number {
    return WALL_CLOCK_MS + Math.floor(this.world.nowUs / 1000) + this.wallStepMs;
  }

  /** Whether automation is off by this host's own wall clock. */
  isDisarmed(until: string | null): boolean {
    return until !== null && Date.parse(until) > this.wallClockMs();
  }

  get bootId(): string {
    return (this.id * 0x1_0000 + this.boot).toString(16).padStart(16, "0");
  }

  /** The kernel answers for the address now. */
  get answers(): boolean {
    return this.up && this.world.nowUs >= this.suspendedUntilUs && this.kernel.answers;
  }

  /** A stream of its own for each part, so that what one draws leaves the others alone. */
  random(part: string): Random {
    let random = this.streams.get(part);
    if (random === undefined) {
      random = Random.forked(this.world.noiseSeed, `host ${this.id} ${part}`);
      this.streams.set(part, random);
    }
    return random;
  }

  process(name: ProcessName): Process {
    return this[name];
  }

  get processes(): Process[] {
    return PROCESS_NAMES.map((name) => this[name]);
  }

  surroundings(name: ProcessName): Surroundings {
    const random = this.random(`${name} fate`);
    return {
      nowUs: () => this.world.nowUs,
      at: (atUs, run) => this.world.at(atUs, run),
      chance: (probability) => random.chance(probability),
      between: (low, high) => random.between(low, high),
      tell: (text) => this.world.tell(() => `node ${this.id} ${text()}`),
      struck: (kind) => this.world.struck(kind),
      startAfter: (process, downUs) => this.startLater(process, downUs),
    };
  }

  /** Switched on: another boot id, a clock that begins anew, nothing in the kernel. */
  powerOn(): void {
    if (this.up) return;
    this.up = true;
    this.boot += 1;
    const { world } = this;
    if (this.boot > 1) {
      this.clock = HostClock.drawn(
        this.random("clock"),
        world.nowUs,
        this.random("clock").between(10 ** 6, 10 ** 8),
      );
    }
    this.kernel = this.newKernel();
    this.run = new RunDirectory();
    this.vm = new NodeGates(this);
    this.vmKernel = this.newVmKernel();
    this.bootedLocalUs = this.localUs();
    this.suspendedForUs = 0;
    this.suspendedUntilUs = 0;
    this.bus.lose(this.random("boot").between(BOOT_LEAST_US, BOOT_MOST_US) / 2);
    for (const name of PROCESS_NAMES)
      this.startLater(name, this.random("boot").between(BOOT_LEAST_US, BOOT_MOST_US));
    world.routes.look();
    world.tell(() => `node ${this.id} boots (${this.bootId})`);
  }

  powerOff(): void {
    if (!this.up) return;
    this.up = false;
    for (const process of this.processes) process.kill();
    this.world.routes.look();
    this.world.checker.noteGone(this);
  }

  /** The supervisor starts a process that is not there; not before the host itself runs. */
  startLater(name: ProcessName, afterUs: number): void {
    const { boot } = this;
    this.world.at(this.world.nowUs + afterUs, () => {
      if (this.up && this.boot === boot) this.process(name).start();
    });
  }

  storeDocument(document: StoredDocument): void {
    this.disk.document = document;
    this.world.checker.noteDocument(this, document);
  }

  /** How long until the kernel carries a command out. */
  commandUs(): number {
    const random = this.random("kernel");
    const slowUs = this.kernelSlowUpToUs > 0 ? random.between(0, this.kernelSlowUpToUs) : 0;
    return random.between(KERNEL_COMMAND_LEAST_US, KERNEL_COMMAND_MOST_US) + slowUs;
  }

  addressChanged(change: "added" | "removed"): void {
    const lateUs = this.random("kernel").between(200, 2000);
    const { boot } = this;
    this.world.at(this.world.nowUs + lateUs, () => {
      if (this.boot === boot)
        this.actuator.told({ kind: "changed", what: "address", address: CLUSTER_IP.address, change });
    });
  }

  tellReason(process: ProcessName, reason: Reason): void {
    this.world.tell(() => `node ${this.id} ${process} ${reason.code}: ${reason.message}`);
  }

  private newKernel(): Kernel {
    const random = this.random("ticks");
    return new Kernel({
      localUs: () => this.localUs(),
      tickUs: () => random.between(0, 10_000),
      changed: () => this.world.checker.noteAnswering(this),
    });
  }

  private newVmKernel(): VmKernel | null {
    if (this.world.vmNames.length === 0) return null;
    const random = this.random("machine ticks");
    const { boot } = this;
    const kernel: VmKernel = new VmKernel({
      localUs: () => this.localUs(),
      tickUs: () => random.between(0, 10_000),
      opened: (vm) => {
        this.world.vmChecker?.noteOpened(this, vm);
        // What waits in a socket goes out with the next attempt.
        this.world.at(this.world.nowUs + random.between(0, 5_000), () => {
          if (this.boot === boot && this.up) flushSockets(this, kernel, vm);
        });
      },
    });
    return kernel;
  }

  private busDelayUs(): number {
    const random = this.random("bus");
    const usualUs = random.between(BUS_LEAST_US, BUS_MOST_US);
    const late = random.next() < this.world.noise().busLate;
    const lateUs = late ? random.between(0, this.world.tokenUs / 2) : 0;
    const slowUs = this.busSlowUpToUs > 0 ? random.between(0, this.busSlowUpToUs) : 0;
    // What is held up is handed over when the faults end.
    const heldUpUs = Math.min(lateUs + slowUs, Math.max(0, this.world.faultsEndUs - this.nowUs()));
    return usualUs + heldUpUs;
  }

  private deliver<Name extends Topic>(to: ProcessName, topic: Name, message: LocalMessages[Name]): void {
    this.takers[to][topic]?.(message);
  }
}

/** A host as `quorate init` leaves it. */
export function newHost(world: World, id: NodeId, text: string): Host {
  return new Host(world, id, firstDocument(text));
}
