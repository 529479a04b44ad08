import type { NodeId } from "@quorate/contracts";
import {
  createRelocatorState,
  createVmHostState,
  type RelocatorInput,
  stepRelocator,
  stepVmHost,
  type VmHostInput,
  type VmOutcome,
  type VmRecord,
  type VmStep,
} from "../src/index.ts";
import { EventQueue } from "./event-queue.ts";
import {
  type Copy,
  execute,
  failed,
  feed,
  type Host,
  hostConfig,
  mulberry,
  NODES,
  openGate,
  relocatorConfig,
} from "./vm-model.ts";
import { checkGates, judgeOrder } from "./vm-invariants.ts";
import { Oracle, TOKEN_US } from "./vm-oracle.ts";
import { writeAll } from "./vm-writes.ts";

const WRITE_EVERY_US = 30_000;
/** Three hosts with machines on a shared disk, in true time; checks the invariants at every event. */
export class VmWorld {
  nowUs = 10_000_000;
  readonly random: () => number;
  readonly oracle: Oracle;
  readonly hosts: Host[] = [];
  readonly log: string[] = [];
  readonly violations: string[] = [];
  /** By machine: the execution that its disk belongs to. */
  readonly disks = new Map<string, number>();
  readonly counts = { starts: 0, resumes: 0, moves: 0, statements: 0, suspends: 0, resets: 0, takeOvers: 0 };
  /** Machines that pass by every gate. With one of them the world has operators who vouch for hosts that are off. */
  readonly ungated = new Set<string>();
  /** The watchdog of each host. */
  readonly watchdogUs: (node: NodeId) => number | null;
  /** Whose feeds are carried out when its watchdog is all but over. */
  lateFeeder: NodeId | null = null;
  /** Since when each host's lease and its process run without a break. */
  readonly #fitSinceUs = new Map<NodeId, number>();
  lossShare = 0;
  failShare = 0;
  slowShare = 0;
  readonly #queue = new EventQueue();
  #cut = new Set<NodeId>();

  constructor(seed: number, watchdogUs: (node: NodeId) => number | null = () => null) {
    this.watchdogUs = watchdogUs;
    this.random = mulberry(seed);
    this.oracle = new Oracle(NODES, this.random);
    for (const node of NODES) this.hosts.push(this.#boot(node, 1, []));
    for (const host of this.hosts) this.#startProcess(host);
    this.at(0, () => this.#tick());
    this.at(0, () => this.#writeAll());
  }

  at(delayUs: number, act: () => void): void {
    this.#queue.add(this.nowUs + Math.round(delayUs), act);
  }

  run(durationUs: number): void {
    const endUs = this.nowUs + Math.round(durationUs);
    for (let next = this.#queue.takeUntil(endUs); next !== null; next = this.#queue.takeUntil(endUs)) {
      this.nowUs = Math.max(this.nowUs, next.atUs);
      this.#biteAll();
      next.act();
      checkGates(this);
      if (this.violations.length > 0) return;
    }
    this.nowUs = endUs;
  }

  host(node: NodeId): Host {
    const host = this.hosts.find((each) => each.node === node);
    if (host === undefined) throw new Error(`no host ${node}`);
    return host;
  }

  say(text: string): void {
    this.log.push(`${((this.nowUs - 10_000_000) / 1_000_000).toFixed(3)} ${text}`);
  }

  connected(one: NodeId, other: NodeId): boolean {
    if (one === other) return true;
    return (
      this.#cut.has(one) === this.#cut.has(other) && this.oracle.seat(one).up && this.oracle.seat(other).up
    );
  }

  // -- faults -------------------------------------------------------------------------------------------------

  cut(nodes: NodeId[]): void {
    this.say(`CUT ${nodes.join(",")}`);
    this.#cut = new Set(nodes);
  }

  powerOff(node: NodeId): void {
    const seat = this.oracle.seat(node);
    if (!seat.up) return;
    this.say(`POWER OFF ${node}`);
    seat.up = false;
    seat.leaseEndUs = 0;
    const host = this.host(node);
    host.alive = false;
    host.boot += 1;
    host.copies.clear();
    host.gates.clear();
    host.sockets.clear();
    host.inbox = [];
    host.watchdog = null;
  }

  /** What is unfed for too long takes its host down, which boots again. */
  #biteAll(): void {
    for (const host of this.hosts) {
      if (host.watchdog === null || this.nowUs < host.watchdog.untilUs) continue;
      this.say(`WATCHDOG ${host.node}`);
      this.counts.resets += 1;
      // With a lease and a process that runs, whatever is here is fed or taken down.
      const fitUs = this.nowUs - (this.#fitSinceUs.get(host.node) ?? this.nowUs);
      if (fitUs > host.watchdog.timeoutUs)
        this.violations.push(`RESET of node ${host.node}, fit for ${Math.round(fitUs / 1000)} ms`);
      this.powerOff(host.node);
      this.at(1_000_000 + this.random() * 4_000_000, () => this.powerOn(host.node));
    }
  }

  powerOn(node: NodeId): void {
    const seat = this.oracle.seat(node);
    if (seat.up) return;
    this.say(`POWER ON ${node}`);
    seat.up = true;
    seat.boot += 1;
    seat.out = false;
    const host = this.host(node);
    host.offsetUs = Math.floor(this.random() * 5_000_000) - this.nowUs;
    host.pendingCopySteps = 0;
    host.migrating.clear();
    this.#startProcess(host);
  }

  pause(node: NodeId, durationUs: number): void {
    this.say(`PAUSE ${node} ${Math.round(durationUs / 1000)} ms`);
    const host = this.host(node);
    host.pausedUntilUs = Math.max(host.pausedUntilUs, this.nowUs + durationUs);
    this.at(durationUs + 1, () => this.#drain(host));
  }

  crash(node: NodeId): void {
    const host = this.host(node);
    if (!host.alive) return;
    this.say(`CRASH ${node}`);
    host.alive = false;
    host.inbox = [];
    // The kernel closes the device.
    if (host.watchdog?.heldBy === host.incarnation) feed(host, this.nowUs);
    const { boot } = host;
    this.at(50_000 + this.random() * 400_000, () => {
      if (host.boot === boot && !host.alive) this.#startProcess(host);
    });
  }

  endCopy(node: NodeId, vm: string): void {
    const host = this.host(node);
    if (!host.copies.delete(vm)) return;
    this.say(`GUEST ENDS ${vm}@${node}`);
    this.#vm(host, { kind: "changed" });
  }

  /** It is gone: it resets nothing any more, and nobody is told. */
  loseWatchdog(node: NodeId): void {
    this.say(`WATCHDOG GONE ${node}`);
    const host = this.host(node);
    host.isWatchdogDead = true;
    host.watchdog = null;
  }

  setStorage(node: NodeId, gone: boolean): void {
    this.say(`STORAGE ${gone ? "GONE" : "BACK"} ${node}`);
    const host = this.host(node);
    host.storageGone = gone;
    this.#vm(host, { kind: "storage", gone: gone ? ["san"] : [] });
  }

  define(node: NodeId, record: Omit<VmRecord, "placement" | "revision" | "released">): void {
    if (!this.disks.has(record.vm)) this.disks.set(record.vm, 0);
    if (!record.gated) this.ungated.add(record.vm);
    this.#vm(this.host(node), { kind: "define", record });
  }

  move(vm: string, to: NodeId): void {
    this.say(`MOVE ${vm} to ${to}`);
    for (const host of this.hosts) this.#relocate(host, { kind: "move", vm, to });
  }

  /** An operator who looked: it has no power. Only who takes his word at once can act upon it. */
  confirmOff(node: NodeId): void {
    if (this.oracle.seat(node).up) return;
    this.say(`CONFIRM OFF ${node}`);
    for (const host of this.hosts) {
      if (this.nowUs >= host.pausedUntilUs) this.#relocate(host, { kind: "confirm-off", node });
    }
  }

  blockedReasons(): string[] {
    return this.hosts.flatMap((host) =>
      Object.values(host.relocator.blocked).map((reason) => `${reason.code}: ${reason.message}`),
    );
  }

  // -- the hosts ----------------------------------------------------------------------------------------------

  #boot(node: NodeId, boot: number, disk: VmRecord[]): Host {
    const offsetUs = Math.floor(this.random() * 1_000_000_000);
    return {
      node,
      boot,
      offsetUs,
      copies: new Map(),
      gates: new Map(),
      sockets: new Map(),
      disk,
      marker: 0,
      incarnation: 0,
      alive: false,
      pausedUntilUs: 0,
      inbox: [],
      vms: createVmHostState(hostConfig(node, this.watchdogUs(node)), [], 0, 0),
      relocator: createRelocatorState(relocatorConfig(node, 0)),
      clean: null,
      pendingCopySteps: 0,
      storageGone: false,
      migrating: new Map(),
      watchdog: null,
      isWatchdogDead: false,
      grainUs: this.random() * 1_000_000,
    };
  }

  #clock(host: Host): number {
    return this.nowUs + host.offsetUs;
  }

  #startProcess(host: Host): void {
    host.incarnation += 1;
    host.alive = true;
    host.inbox = [];
    host.clean = null;
    const config = hostConfig(host.node, this.watchdogUs(host.node));
    host.vms = createVmHostState(config, host.disk, host.incarnation, this.#clock(host));
    host.relocator = createRelocatorState(relocatorConfig(host.node, this.#clock(host) - 500_000_000));
    if (host.storageGone) this.#vm(host, { kind: "storage", gone: ["san"] });
    this.#vm(host, { kind: "tick" });
  }

  /** Hands something to the process: at once, or when it runs again. */
  #hand(host: Host, act: () => void): void {
    if (!host.alive) return;
    if (this.nowUs < host.pausedUntilUs) {
      if (host.inbox.length < 500) host.inbox.push(act);
    } else act();
  }

  #drain(host: Host): void {
    if (this.nowUs < host.pausedUntilUs || !host.alive) return;
    const inbox = host.inbox;
    host.inbox = [];
    for (const act of inbox) act();
  }

  #vm(host: Host, input: VmHostInput): void {
    this.#hand(host, () => {
      const result = stepVmHost(host.vms, input, this.#clock(host));
      host.vms = result.state;
      host.clean = result.cleanUnderTerm;
      for (const reason of result.reasons) this.say(`  ${host.node} ${reason.code} ${reason.message}`);
      for (const effect of result.effects) {
        if (effect.kind === "report") {
          for (const other of this.hosts) {
            this.#send(host.node, other.node, () =>
              this.#relocate(other, { kind: "report", report: effect.report }),
            );
          }
        } else this.#perform(host, effect.id, effect.step);
      }
      const { incarnation } = host;
      if (result.wakeAtUs < Number.MAX_SAFE_INTEGER) {
        this.#wake(host, incarnation, "vm", result.wakeAtUs - this.#clock(host));
      }
    });
  }

  readonly #wakes = new Map<string, number>();

  #wake(host: Host, incarnation: number, what: "vm" | "relocator", delayUs: number): void {
    const name = `${host.node}/${incarnation}/${what}`;
    const atUs = this.nowUs + Math.max(1, delayUs);
    const known = this.#wakes.get(name) ?? 0;
    if (known > this.nowUs && known <= atUs) return;
    this.#wakes.set(name, atUs);
    this.at(Math.max(1, delayUs), () => {
      if (host.incarnation !== incarnation || this.#wakes.get(name) !== atUs) return;
      this.#wakes.delete(name);
      if (what === "vm") this.#vm(host, { kind: "tick" });
      else this.#relocate(host, { kind: "tick" });
    });
  }

  #relocate(host: Host, input: RelocatorInput): void {
    this.#hand(host, () => {
      const result = stepRelocator(host.relocator, input, this.#clock(host));
      host.relocator = result.state;
      for (const reason of result.reasons) this.say(`  M${host.node} ${reason.code} ${reason.message}`);
      for (const effect of result.effects) {
        switch (effect.kind) {
          case "statement": {
            const { statement } = effect;
            this.counts.statements += 1;
            this.#send(host.node, statement.to, () =>
              this.#vm(this.host(statement.to), { kind: "statement", statement }),
            );
            break;
          }
          case "load-replica": {
            // A replica that lags: what was on the disks a while ago, or nothing at all.
            const records = this.hosts.flatMap((other) =>
              other.disk.map((record) => ({ node: other.node, record })),
            );
            const answer = this.random() < 0.1 ? null : records.filter(() => this.random() < 0.9);
            const { incarnation } = host;
            this.at(5_000 + this.random() * 30_000, () => {
              if (host.incarnation === incarnation)
                this.#relocate(host, { kind: "replica", records: answer });
            });
            break;
          }
          case "relocated":
            host.marker = effect.term;
            break;
          case "power-off":
            break;
        }
      }
      if (result.wakeAtUs < Number.MAX_SAFE_INTEGER) {
        this.#wake(host, host.incarnation, "relocator", result.wakeAtUs - this.#clock(host));
      }
    });
  }

  #send(from: NodeId, to: NodeId, act: () => void): void {
    const copies = from !== to && this.random() < 0.02 ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (from !== to && (this.random() < this.lossShare || !this.connected(from, to))) continue;
      // A few stay on the way for seconds, and arrive whatever happened to the network meanwhile.
      const late = from !== to && this.random() < this.slowShare;
      this.at(late ? this.random() * 6_000_000 : 500 + this.random() * 20_000, act);
    }
  }

  #tick(): void {
    this.at(TOKEN_US / 10, () => this.#tick());
    const { oracle } = this;
    const masterBefore = oracle.master;
    const termBefore = oracle.term;
    oracle.tick(
      this.nowUs,
      (one, other) => this.connected(one, other),
      (node) => (this.host(node).alive ? this.host(node).clean : null),
    );
    if (masterBefore !== oracle.master || termBefore !== oracle.term) {
      this.say(`MASTER ${oracle.master} term ${oracle.term}`);
    }
    for (const host of this.hosts) {
      const seat = oracle.seat(host.node);
      const isFit = seat.up && seat.leaseEndUs > this.nowUs && host.alive && this.nowUs >= host.pausedUntilUs;
      if (!isFit) this.#fitSinceUs.delete(host.node);
      else if (!this.#fitSinceUs.has(host.node)) this.#fitSinceUs.set(host.node, this.nowUs);
      if (!seat.up) continue;
      const stampUs = this.#clock(host);
      const nodeLeaseEndUs = seat.leaseEndUs === 0 ? 0 : seat.leaseEndUs + host.offsetUs;
      const grant = { stampUs, term: seat.term, view: { ...seat.view }, nodeLeaseEndUs, out: seat.out };
      const isMaster = oracle.master === host.node;
      const judgement = {
        stampUs,
        term: seat.term,
        master: isMaster,
        masterLeaseEndUs: isMaster ? oracle.masterLeaseEndUs + host.offsetUs : 0,
        view: { ...seat.view },
        members: NODES.filter((node) => oracle.seat(node).member !== 0),
        fences: NODES.flatMap((node) => {
          const { fence, member } = oracle.seat(node);
          if (member !== 0 || fence === null) return [];
          const verdict = fence.fenced ? ("yes" as const) : ("pending" as const);
          const atUs = this.ungated.size > 0 ? (fence.sinceUs ?? this.nowUs) + host.offsetUs : stampUs;
          return [{ node, verdict, atUs: fence.fenced ? atUs : null }];
        }),
        disarmed: false,
      };
      const { incarnation } = host;
      const heard = this.hosts
        .filter(({ node }) => node !== host.node && this.connected(host.node, node))
        .map(({ node }) => ({ node, atUs: stampUs }));
      this.at(this.random() * 5_000, () => {
        if (host.incarnation !== incarnation) return;
        if (this.ungated.size > 0) this.#relocate(host, { kind: "heard", hosts: heard });
        this.#vm(host, { kind: "grant", grant });
        this.#relocate(host, { kind: "judgement", judgement });
      });
    }
  }

  #writeAll(): void {
    this.at(WRITE_EVERY_US, () => this.#writeAll());
    for (const host of this.hosts) writeAll(this, host);
  }

  // -- the kernel and the hypervisor --------------------------------------------------------------------------

  #perform(host: Host, id: number, step: VmStep): void {
    const { incarnation, boot } = host;
    const issuedAtUs = this.nowUs;
    judgeOrder(this, host, step);
    const touchesCopy = "vm" in step && step.kind !== "reset-storage";
    if (touchesCopy) host.pendingCopySteps += 1;
    const answer = (outcome: VmOutcome) => {
      if (touchesCopy && host.boot === boot) host.pendingCopySteps -= 1;
      if (host.boot !== boot || host.incarnation !== incarnation) return;
      this.at(this.random() * 2_000, () => {
        if (host.incarnation === incarnation) this.#vm(host, { kind: "done", id, outcome });
      });
    };
    const delayUs = this.#delayOf(host, step);
    // Whose steps stand still is not fit.
    if (delayUs > TOKEN_US) this.#fitSinceUs.set(host.node, this.nowUs + delayUs);
    const carryOut = () => {
      if (host.boot !== boot) return;
      // Only the process itself writes to the device, and not after its end.
      if (step.kind.endsWith("-watchdog") && (host.incarnation !== incarnation || !host.alive)) return;
      if (step.kind === "inspect-copies" && host.pendingCopySteps > 0 && host.vms.copiesSeenAtUs === null) {
        if (host.incarnation === incarnation) this.at(20_000, carryOut);
        return;
      }
      if (step.kind === "migrate-copy") return this.#migrate(host, step.vm, step.to, answer);
      const failing = this.random() < this.failShare;
      const { nowUs, disks } = this;
      const outcome = failing ? failed("TOOL_FAILED") : execute(host, step, { nowUs, issuedAtUs, disks });
      if (step.kind === "pause-copy" && outcome.kind === "done") this.counts.suspends += 1;
      answer(outcome);
    };
    this.at(delayUs, carryOut);
  }

  #delayOf(host: Host, step: VmStep): number {
    if (step.kind === "inspect-copies") return 20_000;
    // Decided under the lease, and frozen until the watchdog was all but over.
    const leftUs = (host.watchdog?.untilUs ?? this.nowUs) - this.nowUs;
    if (step.kind === "feed-watchdog" && this.lateFeeder === host.node)
      return leftUs - this.random() * 50_000;
    if (step.kind === "feed-watchdog" && this.random() < 0.05) return this.random() * leftUs;
    return 500 + this.random() * (this.random() < 0.1 ? 300_000 : 20_000);
  }

  #migrate(host: Host, vm: string, to: NodeId, answer: (outcome: VmOutcome) => void): void {
    const { boot } = host;
    const source = host.copies.get(vm);
    if (source?.state !== "running") return answer(failed("NOT_RUNNING"));
    const other = this.host(to);
    // Its images must open, or it doesn't come up.
    const looks = openGate(other, vm, this.nowUs)?.storage === true && !other.storageGone;
    if (!this.connected(host.node, to) || other.copies.has(vm) || !looks)
      return answer(failed("MIGRATION_FAILED"));
    const target: Copy = { state: "incoming", execution: 0 };
    other.copies.set(vm, target);
    source.state = "migrating";
    const migration = { cancelled: false };
    host.migrating.set(vm, migration);
    this.at(100_000 + this.random() * 900_000, () => {
      const isThere = other.copies.get(vm) === target;
      // A hypervisor that receives ends with its source.
      const giveUp = (code: string) => {
        if (isThere) other.copies.delete(vm);
        answer(failed(code));
      };
      if (host.boot !== boot || host.copies.get(vm) !== source) return giveUp("GONE");
      const fine = !migration.cancelled && this.connected(host.node, to) && isThere;
      if (!fine || this.random() < this.failShare) {
        source.state = "running";
        return giveUp("MIGRATION_FAILED");
      }
      source.state = "moved-out";
      target.state = "incoming-complete";
      target.execution = source.execution;
      // The source stops when all that it wrote is acknowledged.
      host.sockets.delete(vm);
      this.counts.moves += 1;
      this.#vm(other, { kind: "changed" });
      answer({ kind: "done" });
    });
  }
}
