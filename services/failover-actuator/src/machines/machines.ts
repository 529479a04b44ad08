import type {
  GrantMessage,
  MachinesConfig,
  NodeId,
  QuorumMessage,
  Reason,
  ReportMessage,
  VmReport,
  VmStatement,
  WatchdogConfig,
} from "@quorate/contracts";
import {
  createRelocatorState,
  createVmHostState,
  isOffWanted,
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
  type VmRecord,
  type VmStep,
} from "@quorate/core-failover";
import { Afterwards } from "@quorate/runtime";

/** What follows from the cluster's configuration. */
export interface MachinesSettings {
  readonly node: NodeId;
  /** Sorted. */
  readonly nodes: readonly NodeId[];
  readonly tokenUs: number;
  readonly machines: MachinesConfig;
  /** Drained by hand: nothing is placed there. */
  readonly blocked: readonly NodeId[];
  /** Hosts that a power device can switch off. */
  readonly devices: readonly NodeId[];
  readonly devicesKey: string;
  readonly watchdog: WatchdogConfig | null;
}

export interface MachinesOptions {
  readonly settings: MachinesSettings;
  readonly records: readonly VmRecord[];
  readonly incarnation: number;
  nowUs(): number;
  /** For how long the kernel was paused since it was asked last; 0 when it was not. */
  kernelPauseUs(): number;
  carryOut(step: VmStep): Promise<VmOutcome>;
  publishReport(report: VmReport): void;
  publishStatement(statement: VmStatement): void;
  /** The newest replica of all inventories; null when none can be reached. */
  loadReplica(): Promise<{ node: NodeId; record: VmRecord }[] | null>;
  /** Has a host's power device switch it off, as long as that is wanted; null when it is off, else what went wrong. */
  switchOff(node: NodeId, isWanted: () => boolean): Promise<string | null>;
  logReason(reason: Reason): void;
  /** `withMachines` says something else of this host than before. */
  reportChanged(): void;
}

const TIMER_LIMIT_MS = 60_000;
const PAUSE_CHECK_US = 1000;
type Timers = { host?: NodeJS.Timeout; master?: NodeJS.Timeout };

/** Turns both cores for machines: the host's on every node, and the master's care for all of them. */
export class Machines {
  readonly #options: MachinesOptions;
  readonly #afterwards = new Afterwards();
  readonly #timers: Timers = {};
  readonly #underWay = new Set<Promise<void>>();
  readonly #seen = new Set<NodeId>();
  /** Who waits for the move of a term to be done. */
  #movers: { term: number; done: () => void }[] = [];
  #settings: MachinesSettings;
  #capacity = { memoryMib: 0, vcpus: 0 };
  #host: VmHostState;
  #relocator: RelocatorState;
  #grant: GrantMessage | null = null;
  #quorum: QuorumMessage | null = null;
  #clean: number | null = null;
  #strays: readonly NodeId[] = [];
  #stopped = false;
  #pauseCheckedAtUs = 0;

  constructor(options: MachinesOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#seen.add(options.settings.node);
    this.#host = createVmHostState(this.#hostConfig(), options.records, options.incarnation, options.nowUs());
    this.#relocator = createRelocatorState(this.#relocatorConfig());
  }

  get host(): Readonly<VmHostState> {
    return this.#host;
  }

  get relocator(): Readonly<RelocatorState> {
    return this.#relocator;
  }

  /** The actuator's report with what is to be said of machines: clean is who holds no machine that is not his, too. */
  withMachines(report: ReportMessage): ReportMessage {
    const isClean = this.#clean === report.cleanUnderTerm;
    const told = this.#strays.length === 0 ? report : { ...report, strays: [...this.#strays] };
    return isClean ? told : { ...told, cleanUnderTerm: null };
  }

  start(): void {
    this.toHost({ kind: "tick" });
  }

  configure(settings: MachinesSettings): void {
    this.#settings = settings;
    this.toHost({ kind: "config", config: this.#hostConfig() });
    this.toMaster({ kind: "config", config: this.#relocatorConfig() });
  }

  onCapacity(capacity: { memoryMib: number; vcpus: number }): void {
    this.#capacity = capacity;
    this.toHost({ kind: "config", config: this.#hostConfig() });
  }

  onGrant(grant: GrantMessage): void {
    this.#grant = grant;
    this.#judge();
  }

  onQuorum(quorum: QuorumMessage): void {
    this.#quorum = quorum;
    this.#judge();
  }

  /** Nodes that were heard; for as long as this process lives, none is forgotten. */
  onSeen(nodes: readonly NodeId[]): void {
    const before = this.#seen.size;
    for (const node of nodes) this.#seen.add(node);
    if (this.#seen.size > before) this.toMaster({ kind: "seen", nodes: [...this.#seen] });
  }

  /** When others were heard last: a host that is heard is not off. */
  onHeard(hosts: readonly { node: NodeId; atUs: number }[]): void {
    this.toMaster({ kind: "heard", hosts });
  }

  toHost(input: VmHostInput): void {
    if (this.#stopped) return;
    const nowUs = this.#options.nowUs();
    if (nowUs - this.#pauseCheckedAtUs >= PAUSE_CHECK_US) {
      this.#pauseCheckedAtUs = nowUs;
      // Leases are counted on a clock that stood still: every one is void, before anything else is taken in.
      if (this.#options.kernelPauseUs() > 0) this.#turnHost({ kind: "clock-jumped" });
    }
    this.#turnHost(input);
  }

  #turnHost(input: VmHostInput): void {
    const nowUs = this.#options.nowUs();
    const result = stepVmHost(this.#host, input, nowUs);
    this.#host = result.state;
    if (result.cleanUnderTerm !== this.#clean) {
      this.#clean = result.cleanUnderTerm;
      this.#options.reportChanged();
    }
    for (const effect of result.effects) {
      if (effect.kind === "step") this.#begin(effect.id, effect.step);
      else this.#options.publishReport(effect.report);
    }
    this.#tell(result.reasons);
    this.#wake("host", result.wakeAtUs, nowUs);
  }

  toMaster(input: RelocatorInput): void {
    if (this.#stopped) return;
    const nowUs = this.#options.nowUs();
    const result = stepRelocator(this.#relocator, input, nowUs);
    this.#relocator = result.state;
    const strays = straysOf(this.#relocator);
    if (strays.join() !== this.#strays.join()) {
      this.#strays = strays;
      this.#options.reportChanged();
    }
    for (const effect of result.effects) {
      if (effect.kind === "statement") this.#options.publishStatement(effect.statement);
      else if (effect.kind === "load-replica") this.#loadReplica();
      else if (effect.kind === "power-off") this.#switchOff(effect.node, effect.attempt);
      else this.#moved(effect.term);
    }
    this.#tell(result.reasons);
    this.#wake("master", result.wakeAtUs, nowUs);
  }

  /** Resolves when the move of this term's mastership is done, it is over, or the time is up. */
  relocated(term: number, limitMs: number): Promise<void> {
    if (this.#relocator.reign?.term === term && this.#relocator.reign.relocated) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#moved(term), limitMs);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#movers.push({ term, done });
    });
  }

  #moved(term: number): void {
    for (const each of this.#movers) if (each.term <= term) each.done();
    this.#movers = this.#movers.filter((each) => each.term > term);
  }

  /** No turn begins any more; resolves when the steps under way are done. What runs, runs on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timers.host);
    clearTimeout(this.#timers.master);
    this.#moved(Number.POSITIVE_INFINITY);
    await Promise.allSettled([...this.#underWay]);
    this.#afterwards.flush();
  }

  /** Grants and judgements come on two topics: what one lacks, the other's newest says. */
  #judge(): void {
    const grant = this.#grant;
    const quorum = this.#quorum;
    if (grant === null || quorum === null) return;
    const { stampUs, term, view, nodeLeaseEndUs } = grant;
    const out = quorum.out || quorum.amnesic;
    this.toHost({ kind: "grant", grant: { stampUs, term, view, nodeLeaseEndUs, out } });
    const master = grant.role === "master" && !grant.close && quorum.term === term;
    const longestUs = grant.stampUs + this.#settings.tokenUs;
    this.toMaster({
      kind: "judgement",
      judgement: {
        stampUs: quorum.stampUs,
        term,
        master,
        masterLeaseEndUs: master ? Math.min(grant.masterLeaseEndUs, longestUs) : 0,
        view: { term: quorum.view.term, number: quorum.view.number },
        members: quorum.view.members.map(({ node }) => node),
        fences: quorum.fences,
        disarmed: grant.disarmed,
      },
    });
  }

  #begin(id: number, step: VmStep): void {
    const work = this.#options.carryOut(step).then((outcome) => this.toHost({ kind: "done", id, outcome }));
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  #loadReplica(): void {
    const work = this.#options.loadReplica().then((records) => this.toMaster({ kind: "replica", records }));
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  #switchOff(node: NodeId, attempt: number): void {
    const isWanted = () => isOffWanted(this.#relocator, node, attempt, this.#options.nowUs());
    const work = this.#options
      .switchOff(node, isWanted)
      .then((failure) => this.toMaster({ kind: "power-off", node, attempt, failure }));
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  #tell(reasons: readonly Reason[]): void {
    if (reasons.length === 0) return;
    this.#afterwards.add(() => {
      for (const reason of reasons) this.#options.logReason(reason);
    });
  }

  #wake(which: keyof Timers, atUs: number, nowUs: number): void {
    clearTimeout(this.#timers[which]);
    if (this.#stopped) return;
    const delayMs = Math.min(Math.max(1, Math.ceil((atUs - nowUs) / 1000)), TIMER_LIMIT_MS);
    this.#timers[which] = setTimeout(() => {
      if (which === "host") this.toHost({ kind: "tick" });
      else this.toMaster({ kind: "tick" });
    }, delayMs);
  }

  #hostConfig(): VmHostConfig {
    const { node, tokenUs, machines, watchdog } = this.#settings;
    return {
      node,
      tokenUs,
      ...this.#capacity,
      shutdownGraceUs: machines.shutdownGraceMs * 1000,
      storageSettleUs: machines.storageSettleMs * 1000,
      watchdogUs: watchdog === null ? null : watchdog.timeoutMs * 1000,
    };
  }

  #relocatorConfig(): RelocatorConfig {
    const { node, nodes, tokenUs, machines, blocked, devices, devicesKey } = this.#settings;
    return {
      node,
      nodes: [...nodes],
      tokenUs,
      storageSettleUs: machines.storageSettleMs * 1000,
      bootGraceUs: machines.bootGraceMs * 1000,
      // CLOCK_MONOTONIC begins with the kernel.
      bootedAtUs: 0,
      devices,
      devicesKey,
      policy: {
        memoryPercent: machines.memoryPercent,
        vcpuPercent: machines.vcpuPercent,
        maximumPerNode: machines.maximumPerNode,
        liveMovesPerNode: machines.liveMovesPerNode,
        together: machines.together,
        apart: machines.apart,
        blocked,
      },
    };
  }
}
