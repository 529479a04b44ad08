import { assertNever, type GrantMessage, type NodeId, type QuorumMessage } from "@quorate/contracts";
import {
  createRelocatorState,
  createVmHostState,
  OPEN_POLICY,
  type RelocatorConfig,
  type RelocatorInput,
  type RelocatorState,
  stepRelocator,
  stepVmHost,
  straysOf,
  type VmHostConfig,
  type VmHostInput,
  type VmHostState,
  type VmOutcome,
  type VmReport,
  type VmStatement,
  type VmStep,
} from "@quorate/core-failover";
import { configOf } from "./documents.ts";
import type { Host } from "./host.ts";
import type { ActuatorProcess } from "./processes/actuator-process.ts";
import type { VmKernel } from "./vm-kernel.ts";
import { carryOutVm, failed } from "./vm-steps.ts";

const STORAGE_SETTLE_US = 500_000;
const BOOT_GRACE_US = 3_000_000;
const LEAST_WAIT_US = 1000;
const WRITE_LEAST_US = 15_000;
const WRITE_MOST_US = 45_000;
const CROSS_LEAST_US = 200;
const CROSS_MOST_US = 3000;
/** What a slow network or array may hold back: less than what a start waits. */
const HELD_BACK_US = 450_000;

/** One life of the actuator, for machines: both steps, on simulated drivers. Its kernel outlives it. */
export class VmActor {
  readonly host: Host;
  readonly actuator: ActuatorProcess;
  readonly kernel: VmKernel;
  readonly boot: number;
  vms: VmHostState;
  relocator: RelocatorState;
  clean: number | null = null;
  strays: readonly NodeId[] = [];
  private readonly life: number;
  private grant: GrantMessage | null = null;
  private quorum: QuorumMessage | null = null;
  private wakesUs = { vms: Number.POSITIVE_INFINITY, relocator: Number.POSITIVE_INFINITY };
  /** When the newest statement came, in real time: what INV-7 is judged by. */
  private learntAtUs = Number.NEGATIVE_INFINITY;

  constructor(actuator: ActuatorProcess, kernel: VmKernel) {
    const { host } = actuator;
    this.actuator = actuator;
    this.host = host;
    this.kernel = kernel;
    this.boot = host.boot;
    this.life = actuator.life;
    host.disk.vmIncarnation += 1;
    const nowUs = host.localUs();
    this.vms = createVmHostState(this.hostConfig(), host.disk.vmRecords, host.disk.vmIncarnation, nowUs);
    this.relocator = createRelocatorState(this.relocatorConfig());
  }

  get hasNotLooked(): boolean {
    return this.vms.copiesSeenAtUs === null;
  }

  start(): void {
    this.onHost({ kind: "tick" });
  }

  onGrant(grant: GrantMessage): void {
    this.grant = grant;
    this.say();
  }

  onQuorum(message: QuorumMessage): void {
    this.quorum = message;
    this.say();
  }

  onReport(report: VmReport): void {
    this.host.disk.vmReplica.set(report.node, report.records);
    this.onMaster({ kind: "report", report });
  }

  onStatement(statement: VmStatement): void {
    const before = this.vms.adopted;
    this.onHost({ kind: "statement", statement });
    if (this.vms.adopted === before) return;
    this.learntAtUs = this.host.nowUs();
    this.host.world.vmChecker?.noteTaken(this.host, statement);
  }

  onHost(input: VmHostInput): void {
    const { host } = this;
    const result = stepVmHost(this.vms, input, host.localUs());
    this.vms = result.state;
    for (const reason of result.reasons) host.tellReason("actuator", reason);
    if (result.cleanUnderTerm !== this.clean) {
      this.clean = result.cleanUnderTerm;
      this.actuator.cleanChanged();
    }
    for (const effect of result.effects) {
      if (effect.kind === "step") this.begin(effect.id, effect.step);
      else this.actuator.begun(this.life, "vm-report", () => this.spread(effect.report));
    }
    this.wake("vms", result.wakeAtUs);
  }

  onMaster(input: RelocatorInput): void {
    const { host } = this;
    const result = stepRelocator(this.relocator, input, host.localUs());
    this.relocator = result.state;
    const strays = straysOf(this.relocator);
    if (strays.join() !== this.strays.join()) {
      this.strays = strays;
      this.actuator.cleanChanged();
    }
    for (const reason of result.reasons) host.tellReason("actuator", reason);
    for (const effect of result.effects) {
      switch (effect.kind) {
        case "statement": {
          const { statement } = effect;
          host.world.vmChecker?.noteStatement(host, statement);
          this.actuator.begun(this.life, "vm-statement", () =>
            this.send(statement.to, (actor) => actor.onStatement(statement)),
          );
          break;
        }
        case "load-replica":
          host.world.at(host.nowUs() + host.random("machines").between(2000, 30_000), () => {
            const records = [...host.disk.vmReplica].flatMap(([node, list]) =>
              list.map((record) => ({ node, record })),
            );
            this.whileAlive(() => this.onMaster({ kind: "replica", records }));
          });
          break;
        case "relocated":
        // No power devices here.
        case "power-off":
          break;
        default:
          assertNever(effect);
      }
    }
    this.wake("relocator", result.wakeAtUs);
  }

  /** What libvirt and QEMU do, when they come to it. */
  hypervisor(step: VmStep): VmOutcome {
    const { kernel, host } = this;
    if (!("vm" in step)) return failed("NO_SUCH_MACHINE");
    const { vm } = step;
    const copy = kernel.copies.get(vm);
    switch (step.kind) {
      case "start-copy": {
        if (copy !== undefined) return failed("EXISTS");
        if (host.storageGone || !kernel.isOpen(vm, "storage")) return failed("STORAGE_GONE");
        const lineage = host.world.storage.begin(vm);
        kernel.copies.set(vm, { state: "running", lineage, migration: null });
        host.world.vmChecker?.noteActing(host, vm);
        host.world.tell(() => `node ${host.id} execution ${lineage.id} of ${vm} runs`);
        this.writeLater(vm);
        return { kind: "done" };
      }
      case "receive-copy":
        // It comes into being when the source begins to send.
        return copy === undefined ? { kind: "done" } : failed("EXISTS");
      case "pause-copy":
        if (copy?.state !== "running") return failed("NOT_RUNNING");
        copy.state = "paused";
        return { kind: "done" };
      case "resume-copy":
        if (copy?.state !== "paused" && copy?.state !== "incoming-complete") return failed("NOT_PAUSED");
        copy.state = "running";
        host.world.vmChecker?.noteActing(host, vm);
        this.writeLater(vm);
        return { kind: "done" };
      case "destroy-copy":
      case "shutdown-copy":
        kernel.copies.delete(vm);
        return { kind: "done" };
      case "migrate-copy":
        return this.migrated(vm, step.to);
      default:
        return failed("NOT_HERE");
    }
  }

  /** Where a live move goes, while it can be reached. */
  private targetOf(to: NodeId): Host | null {
    const { world } = this.host;
    const other = world.hosts.get(to);
    return other?.up === true && world.network.connects(this.host.id, to, world.cluster.rings) ? other : null;
  }

  /** At its beginning: a hypervisor comes up at the target, if its images can be opened there. */
  migrationBegins(vm: string, to: NodeId): void {
    const source = this.kernel.copies.get(vm);
    const other = this.targetOf(to);
    const kernel = other?.vmKernel;
    if (source?.state !== "running" || other === null || kernel === undefined || kernel === null) return;
    if (other.storageGone || !kernel.isOpen(vm, "storage") || kernel.copies.has(vm)) return;
    kernel.copies.set(vm, { state: "incoming", lineage: null, migration: null });
    source.migration = { to, cancelled: false };
    other.actuator.machinesChanged();
  }

  /** At its end: the target has everything and waits, paused; or the source runs on. */
  private migrated(vm: string, to: NodeId): VmOutcome {
    const { host, kernel } = this;
    const source = kernel.copies.get(vm);
    const migration = source?.migration ?? null;
    if (source !== undefined) source.migration = null;
    const other = this.targetOf(to);
    const target = other?.vmKernel?.copies.get(vm);
    // Everything that the guest wrote must be acknowledged first: that needs its storage.
    const ready = source?.state === "running" && kernel.isOpen(vm, "storage");
    if (!ready || migration === null || migration.cancelled || target?.state !== "incoming") {
      // A hypervisor that receives ends with what it receives from; behind a cut it notices later.
      const there = host.world.hosts.get(to)?.vmKernel?.copies;
      if (migration !== null && there?.get(vm)?.state === "incoming") there.delete(vm);
      return failed("MIGRATION_FAILED");
    }
    source.state = "moved-out";
    target.state = "incoming-complete";
    target.lineage = source.lineage;
    for (const lineage of kernel.flush(vm)) host.world.storage.arrive(lineage, `node ${host.id}`);
    host.world.struck("vm-moved");
    other?.actuator.machinesChanged();
    return { kind: "done" };
  }

  /** The guest writes on and on, whatever becomes of us; what it wrote travels, or waits in a socket. */
  private writeLater(vm: string): void {
    const { host, kernel, boot } = this;
    const copy = kernel.copies.get(vm);
    const random = host.random("guests");
    const write = () => {
      if (host.boot !== boot || !host.up || kernel.copies.get(vm) !== copy || copy?.state !== "running")
        return;
      if (copy.lineage !== null) kernel.queue(vm, copy.lineage);
      flushSockets(host, kernel, vm);
      host.world.at(host.nowUs() + random.between(WRITE_LEAST_US, WRITE_MOST_US), write);
    };
    host.world.at(host.nowUs() + random.between(0, WRITE_LEAST_US), write);
  }

  private begin(id: number, step: VmStep): void {
    const { host, vms, learntAtUs } = this;
    host.world.vmChecker?.noteStep(host, step, { adopted: vms.adopted, learntAtUs });
    carryOutVm(this.actuator, this, step, (outcome) =>
      this.actuator.machines(this.life, (actor) => actor.onHost({ kind: "done", id, outcome })),
    );
  }

  /** Grants and judgements come on two topics: what one lacks, the other's newest says. */
  private say(): void {
    const { grant, quorum, host } = this;
    if (grant === null || quorum === null) return;
    const { stampUs, term, view, nodeLeaseEndUs } = grant;
    this.onHost({
      kind: "grant",
      grant: { stampUs, term, view, nodeLeaseEndUs, out: quorum.out || quorum.amnesic },
    });
    const isMaster = grant.role === "master" && !grant.close && quorum.term === grant.term;
    this.onMaster({
      kind: "judgement",
      judgement: {
        stampUs: quorum.stampUs,
        term: grant.term,
        master: isMaster,
        masterLeaseEndUs: isMaster ? Math.min(grant.masterLeaseEndUs, grant.stampUs + host.world.tokenUs) : 0,
        view: { term: quorum.view.term, number: quorum.view.number },
        members: quorum.view.members.map(({ node }) => node),
        fences: quorum.fences,
        disarmed: grant.disarmed,
      },
    });
  }

  private spread(report: VmReport): void {
    for (const node of this.relocator.config.nodes) this.send(node, (actor) => actor.onReport(report));
  }

  private send(to: NodeId, take: (actor: VmActor) => void): void {
    const { host } = this;
    const arrive = () => host.world.hosts.get(to)?.actuator.machinesMessage(take);
    if (to === host.id) host.world.at(host.nowUs() + host.random("machines").between(100, 900), arrive);
    else host.world.routes.carry(host.id, to, arrive);
  }

  private wake(what: "vms" | "relocator", wakeAtUs: number): void {
    if (wakeAtUs === Number.MAX_SAFE_INTEGER) return;
    const { host, wakesUs } = this;
    const delayUs = Math.max(LEAST_WAIT_US, wakeAtUs - host.localUs());
    const atUs = host.nowUs() + host.clock.realDurationUs(delayUs);
    if (wakesUs[what] > host.nowUs() && wakesUs[what] <= atUs) return;
    wakesUs[what] = atUs;
    host.world.at(atUs, () =>
      this.whileAlive(() => {
        if (wakesUs[what] !== atUs) return;
        wakesUs[what] = Number.POSITIVE_INFINITY;
        if (what === "vms") this.onHost({ kind: "tick" });
        else this.onMaster({ kind: "tick" });
      }),
    );
  }

  private whileAlive(act: () => void): void {
    this.actuator.machines(this.life, act);
  }

  private hostConfig(): VmHostConfig {
    const { host } = this;
    return {
      node: host.id,
      tokenUs: host.world.tokenUs,
      memoryMib: 8192,
      vcpus: 16,
      shutdownGraceUs: 1_000_000,
      storageSettleUs: STORAGE_SETTLE_US,
      watchdogUs: null,
    };
  }

  configure(): void {
    this.onHost({ kind: "config", config: this.hostConfig() });
    this.onMaster({ kind: "config", config: this.relocatorConfig() });
  }

  private relocatorConfig(): RelocatorConfig {
    const { host } = this;
    return {
      node: host.id,
      nodes: configOf(host.disk.document.text).nodes.map(({ id }) => id),
      tokenUs: host.world.tokenUs,
      storageSettleUs: STORAGE_SETTLE_US,
      bootGraceUs: BOOT_GRACE_US,
      bootedAtUs: host.bootedLocalUs,
      devices: [],
      devicesKey: "",
      policy: OPEN_POLICY,
    };
  }
}

/** Bytes leave a host while the gate is open; the network and the array may hold them back for a while. */
export function flushSockets(host: Host, kernel: VmKernel, vm: string): void {
  const { world } = host;
  const random = host.random("storage way");
  for (const lineage of kernel.flush(vm)) {
    const slowUs = random.chance(0.1) ? random.between(0, HELD_BACK_US) : 0;
    const atUs = world.nowUs + random.between(CROSS_LEAST_US, CROSS_MOST_US) + slowUs;
    world.at(atUs, () => world.storage.arrive(lineage, `node ${host.id}`));
  }
}
