import {
  type ClusterConfig,
  machineSubject,
  type NodeId,
  type PowerDeviceConfig,
  QuorateError,
  type Reason,
  type VmRecord,
  type VmReport,
  VmReportSchema,
  type VmStatement,
  VmStatementSchema,
  type WatchdogConfig,
} from "@quorate/contracts";
import type { VmStep } from "@quorate/core-failover";
import type { Hypervisor, MachineGate } from "@quorate/host";
import type { Bus, BusSubscription, Logger, ServiceContext } from "@quorate/runtime";
import { BoottimeJumpDetector, monotonicUs } from "@quorate/runtime";
import type { MachineDrivers } from "../drivers.ts";
import { carryOutVmStep } from "./carry-out.ts";
import { ConfiguredWatchdog } from "./configured-watchdog.ts";
import { Definitions, holdRecord, relocatabilityOf } from "./definitions.ts";
import { GateHolder } from "./gate-holder.ts";
import { Machines, type MachinesSettings } from "./machines.ts";
import { type KeptRecord, newestRecords } from "./newest-records.ts";
import { RecordStore } from "./record-store.ts";
import { serveMachines } from "./serve-machines.ts";
import { lookAgainMs, settingsOf } from "./settings.ts";
import { switchOff } from "./switch-off.ts";
import { StorageWatcher } from "./storage-watcher.ts";

export interface MachineRoomOptions {
  readonly context: ServiceContext;
  readonly bus: Bus;
  readonly drivers: MachineDrivers;
  readonly logger: Logger;
  reportChanged(): void;
  /** In a test, in the place of the kernel's clocks. */
  kernelPauseUs?(): number;
}

const ASK_LIMIT_MS = 2000;
/** How often a hypervisor that does not say what the host has is asked again. */
const CAPACITY_RETRY_MS = 2000;

/** Everything of machines on this node: the cores' loop with its drivers, on the bus. There while `machines` is configured. */
export class MachineRoom {
  readonly machines: Machines;
  readonly definitions: Definitions;
  readonly hypervisor: Hypervisor;
  readonly holder: GateHolder;
  readonly storages: StorageWatcher;
  readonly #options: MachineRoomOptions;
  readonly #gate: MachineGate;
  readonly #watchdog: ConfiguredWatchdog;
  #config: ClusterConfig;
  #subscriptions: BusSubscription[] = [];
  #capacityTimer: NodeJS.Timeout | undefined;
  #maintenanceTimer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #stopping = new AbortController();

  private constructor(
    options: MachineRoomOptions,
    config: ClusterConfig,
    settings: MachinesSettings,
    store: RecordStore,
    incarnation: number,
  ) {
    const { context, bus, drivers, logger } = options;
    this.#options = options;
    this.#config = config;
    this.hypervisor = drivers.hypervisor(settings.machines);
    this.#gate = drivers.gate();
    this.holder = new GateHolder(this.#gate);
    this.holder.configure(settings.machines.storage);
    this.definitions = new Definitions(store, (digest, node) => this.#askForDefinition(digest, node));
    this.definitions.configure(settings.machines.sharedMounts);
    const watchdog = (config: WatchdogConfig) => drivers.watchdog(config);
    this.#watchdog = new ConfiguredWatchdog(() => this.#config.watchdog, watchdog, {
      read: () => store.readArmedWatchdog(logger),
      write: (armed) => store.writeArmedWatchdog(armed),
    });
    const doors = {
      watchdog: this.#watchdog,
      hypervisor: this.hypervisor,
      gate: this.#gate,
      holder: this.holder,
      store,
      definitions: this.definitions,
      migrationTarget: (node: NodeId) => this.#migrationTarget(node),
      likelyHolders: () => this.otherNodes(),
      recordOf: (vm: string) => this.recordOf(vm),
      unexpected: (step: VmStep, error: unknown) => {
        const stack = error instanceof Error ? error.stack : String(error);
        logger.error({ step: step.kind, stack }, "a step failed in a way that nobody expected");
      },
    };
    const boottime = new BoottimeJumpDetector();
    const { records, lost } = store.readRecords(logger);
    this.machines = new Machines({
      settings: this.#withWatchdog(settings),
      records,
      incarnation,
      nowUs: monotonicUs,
      kernelPauseUs: () => options.kernelPauseUs?.() ?? boottime.check(),
      carryOut: (step) => carryOutVmStep(step, doors),
      publishReport: (report) =>
        void bus.publish(
          machineSubject(config.clusterName, context.nodeId, "report"),
          VmReportSchema,
          lost ? { ...report, recordsLost: true } : report,
        ),
      publishStatement: (statement) => this.#publishStatement(statement),
      loadReplica: () => this.#loadReplica(),
      switchOff: (device, isWanted) => this.#switchOff(device, isWanted),
      logReason: (reason) => this.#tell(reason),
      reportChanged: () => options.reportChanged(),
    });
    this.storages = new StorageWatcher({
      probe: drivers.storageProbe(),
      names: () => this.#storageNames(),
      nowUs: monotonicUs,
      goneChanged: (gone) => this.machines.toHost({ kind: "storage", gone }),
      tell: (reasons) => reasons.forEach((reason) => this.#tell(reason)),
    });
  }

  /** Takes up what the disk says, shuts what it does not know, and begins. */
  static async open(options: MachineRoomOptions, config: ClusterConfig): Promise<MachineRoom> {
    const { context, logger } = options;
    const wallMs = Date.now();
    const settings = settingsOf(config, context.nodeId, wallMs);
    if (settings === null) throw new Error("a machine room without the section machines");
    const store = new RecordStore(context.stateDir);
    const incarnation = await store.beginLife(logger);
    const room = new MachineRoom(options, config, settings, store, incarnation);
    // What runs here is asked while the gates are loaded: a predecessor's leases are running out.
    room.machines.start();
    await room.#holdKnown();
    room.#reviewRecords();
    room.#listen();
    room.storages.start();
    room.#followMaintenance(wallMs);
    void room.#askCapacity();
    return room;
  }

  /** Every other node of the node list. */
  otherNodes(): NodeId[] {
    const own = this.#options.context.nodeId;
    return this.#config.nodes.flatMap(({ id }) => (id === own ? [] : [id]));
  }

  /** Runs on another document from now on; it has the section `machines` too. */
  configure(config: ClusterConfig): void {
    const wallMs = Date.now();
    const settings = settingsOf(config, this.#options.context.nodeId, wallMs);
    if (settings === null) return;
    this.#config = config;
    this.holder.configure(settings.machines.storage);
    this.definitions.configure(settings.machines.sharedMounts);
    this.machines.configure(this.#withWatchdog(settings));
    this.#reviewRecords();
    this.#followMaintenance(wallMs);
  }

  /** What speaks against this host's watchdog, before a machine needs it; null: nothing, or none is configured. */
  get watchdogProblem(): QuorateError | null {
    return this.#watchdog.problem();
  }

  get watchdogTimeoutMs(): number | null {
    return this.#config.watchdog?.timeoutMs ?? null;
  }

  /** One that cannot be armed is none, to whoever looks for a host for a machine that needs it. */
  #withWatchdog(settings: MachinesSettings): MachinesSettings {
    return this.watchdogProblem === null ? settings : { ...settings, watchdog: null };
  }

  /**
   * A maintenance ends by itself: no document comes then. `wallMs` is the time by which the settings in force were made:
   * read anew here, a maintenance that ends between the two readings would never end for the settings.
   */
  #followMaintenance(wallMs: number): void {
    clearTimeout(this.#maintenanceTimer);
    const delayMs = lookAgainMs(this.#config, wallMs);
    if (delayMs === null || this.#closed) return;
    this.#maintenanceTimer = setTimeout(() => this.configure(this.#config), delayMs);
  }

  /** What a machine's disks are to a failover depends on the configuration too: its record says so by the newest one. */
  #reviewRecords(): void {
    for (const { record } of Object.values(this.machines.host.vms)) {
      const meaning = record === null ? undefined : this.definitions.peek(record.definition)?.meaning;
      if (record === null || meaning === undefined) continue;
      // Another host's by now, or nobody's.
      if (record.wanted === "undefined" || (record.released?.to ?? null) !== null) continue;
      const { storage, gated } = record;
      const { placement: _, revision: __, released: ___, ...wish } = record;
      const fit = relocatabilityOf(meaning);
      if (fit.storage !== storage || fit.gated !== gated)
        this.machines.toHost({ kind: "define", record: { ...wish, ...fit } });
    }
  }

  /** What runs, runs on; its gates run out, or a successor renews them. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#capacityTimer);
    clearTimeout(this.#maintenanceTimer);
    for (const each of this.#subscriptions.splice(0)) each.unsubscribe();
    // An agent may take half a minute; who leads next begins with asking whether the host is off.
    this.#stopping.abort();
    await this.machines.stop();
    await this.storages.close();
    this.#watchdog.close();
    await Promise.allSettled([this.hypervisor.close(), this.#gate.close()]);
  }

  /** The section was deleted: machines are nobody's business here any more, and nothing of ours is in their way. */
  async giveUp(): Promise<void> {
    // Nothing arms it, or loads a gate, any more.
    await this.machines.stop();
    await this.#watchdog.disarm();
    await this.#gate.unload();
    await this.close();
  }

  #listen(): void {
    const { bus, context } = this.#options;
    const { clusterName } = this.#config;
    this.hypervisor.onChange(() => this.machines.toHost({ kind: "changed" }));
    this.#subscriptions = [
      bus.subscribeLocal("peers", ({ peers }) => {
        const heard = peers.flatMap(({ node, lastHeardUs }) =>
          lastHeardUs === null ? [] : [{ node, atUs: lastHeardUs }],
        );
        this.machines.onSeen(heard.map(({ node }) => node));
        this.machines.onHeard(heard);
      }),
      bus.subscribe(machineSubject(clusterName, "*", "report"), VmReportSchema, (report) =>
        this.machines.toMaster({ kind: "report", report }),
      ),
      bus.subscribe(
        machineSubject(clusterName, context.nodeId, "statement"),
        VmStatementSchema,
        (statement) => this.#onStatement(statement),
      ),
      ...serveMachines(bus, this),
    ];
  }

  /** What an order needs is fetched while it is still being considered. */
  #onStatement(statement: VmStatement): void {
    for (const order of statement.orders) {
      if (order.kind !== "run" && order.kind !== "incoming") continue;
      const { vm, definition } = order.record;
      if (this.definitions.peek(definition) === undefined) {
        const get = (digest: string) => this.definitions.get(digest, this.otherNodes());
        void holdRecord(order.record, this.holder, get).catch((error: unknown) =>
          this.#complain(error, `the definition of ${vm} is not here yet`),
        );
      }
    }
    this.machines.toHost({ kind: "statement", statement });
    this.#reviewRecords();
  }

  #publishStatement(statement: VmStatement): void {
    const subject = machineSubject(this.#config.clusterName, statement.to, "statement");
    this.#options.bus.publish(subject, VmStatementSchema, statement);
  }

  async #holdKnown(): Promise<void> {
    const { host } = this.machines;
    for (const { record } of Object.values(host.vms)) {
      if (record === null) continue;
      try {
        await holdRecord(record, this.holder, (digest) => this.definitions.get(digest, []));
      } catch (error) {
        this.#complain(error, `the definition of ${record.vm} is not here`);
      }
    }
    // Shut from the first moment on, whoever wants what.
    await this.holder
      .load()
      .catch((error: unknown) => this.#complain(error, "the machines' gate is not loaded"));
  }

  async #askCapacity(): Promise<void> {
    try {
      this.machines.onCapacity(await this.hypervisor.capacity());
    } catch (error) {
      if (this.#closed) return;
      this.#complain(error, "what this host has for machines is not known yet");
      this.#capacityTimer = setTimeout(() => void this.#askCapacity(), CAPACITY_RETRY_MS);
    }
  }

  async #askForDefinition(digest: string, node: NodeId | null): Promise<string | null> {
    const { bus, context } = this.#options;
    try {
      const service = node === null ? "config-distributor" : "failover-actuator";
      const asked = node ?? context.nodeId;
      const answer = await bus.request(service, "machine-definition", asked, { digest }, ASK_LIMIT_MS);
      return "xml" in answer ? answer.xml : null;
    } catch (error) {
      if (error instanceof QuorateError) return null;
      throw error;
    }
  }

  async #loadReplica(): ReturnType<ConstructorParameters<typeof Machines>[0]["loadReplica"]> {
    const { bus, context } = this.#options;
    const own = context.nodeId;
    const keepers = this.#config.nodes.flatMap(({ id, replication }) => (replication ? [id] : []));
    // Its own first: it is a round trip nearer.
    for (const node of keepers.toSorted((left, right) => Number(right === own) - Number(left === own))) {
      try {
        const answer = await bus.request("config-distributor", "inventory", node, {}, ASK_LIMIT_MS);
        if ("records" in answer) return answer.records;
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error;
        this.#complain(error, `node ${node} does not give its replica of the inventories`);
      }
    }
    return null;
  }

  /** What the configuration has to switch hosts off. */
  get powerDevices(): readonly PowerDeviceConfig[] {
    return this.#config.powerDevices ?? [];
  }

  async #switchOff(node: NodeId, isWanted: () => boolean): Promise<string | null> {
    const config = this.powerDevices.find((device) => device.node === node);
    if (config === undefined) return "It has no power device any more.";
    const { signal } = this.#stopping;
    try {
      const device = this.#options.drivers.powerDevice(config);
      await switchOff(device, { limitMs: config.timeoutMs, signal, isWanted });
      return null;
    } catch (error) {
      if (error instanceof QuorateError) return error.message;
      if (signal.aborted) return "It was broken off.";
      throw error;
    }
  }

  #tell(reason: Reason): void {
    const { context, logger } = this.#options;
    logger.info({ code: reason.code, ...reason.facts }, reason.message);
    context.decisions?.record({ reason });
  }

  /** Those of all machines, whosever: a host must know what it reaches before it is given one. */
  #storageNames(): string[] {
    const configured = this.#config.machines?.storage ?? [];
    const needed = this.inventory().flatMap(({ record }) =>
      record.wanted === "undefined" ? [] : record.storages,
    );
    return [...new Set([...configured.map(({ address, port }) => `${address}:${port}`), ...needed])];
  }

  #migrationTarget(node: NodeId): { address: string; port: number } | null {
    const address = this.#config.nodes.find(({ id }) => id === node)?.addresses[0];
    const port = this.#config.machines?.migrationPort;
    return address === undefined || port === undefined ? null : { address, port };
  }

  #complain(error: unknown, what: string): void {
    const { logger } = this.#options;
    if (error instanceof QuorateError)
      logger.warn({ code: error.code, hint: error.hint }, `${what}: ${error.message}`);
    else logger.error({ error: String(error) }, what);
  }

  /** The newest report of each node. */
  get reports(): VmReport[] {
    const { reports } = this.machines.relocator;
    return Object.values(reports).sort((left, right) => left.node - right.node);
  }

  /** The newest record of each machine that anybody who spoke has, this node's as it is now. */
  inventory(): KeptRecord[] {
    return this.#newest([]);
  }

  /** With what the replica has of nodes that this process has not heard. */
  async wholeInventory(): Promise<KeptRecord[]> {
    return this.#newest((await this.#loadReplica()) ?? []);
  }

  #newest(replica: readonly KeptRecord[]): KeptRecord[] {
    const node = this.#options.context.nodeId;
    const own = Object.values(this.machines.host.vms).flatMap(({ record }) =>
      record === null ? [] : [{ node, record }],
    );
    return newestRecords(
      own,
      this.reports.filter((report) => report.node !== node),
      replica.filter((kept) => kept.node !== node),
    );
  }

  /** What is known of a machine that is not, or not yet, in this host's own inventory too. */
  recordOf(vm: string): VmRecord | null {
    const order = this.machines.host.orders[vm]?.order;
    if (order?.kind === "run" || order?.kind === "incoming") return order.record;
    return this.inventory().find(({ record }) => record.vm === vm)?.record ?? null;
  }
}
