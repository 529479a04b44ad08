import {
  assertNever,
  type ClusterConfig,
  type NodeId,
  type Reason,
  type ReportMessage,
} from "@quorate/contracts";
import {
  createFailoverState,
  type FailoverConfig,
  type FailoverEvent,
  failoverConfigOf,
  type GrantName,
  isTakenDown,
  type Step,
} from "@quorate/core-failover";
import type { LinkEvent } from "@quorate/host";
import type { Logger } from "@quorate/runtime";
import { type Drivers, type Places, samePlaces, sameService } from "./drivers.ts";
import { carryOut } from "./executor.ts";
import { FailoverLoop } from "./loop.ts";

export interface ActuatorOptions {
  nodeId: NodeId;
  config: ClusterConfig;
  drivers: Drivers;
  logger: Logger;
  nowUs(): number;
  kernelPauseUs(): number;
  closed: GrantName | null;
  persistClosed(closed: GrantName): Promise<void>;
  /** As the executor's door. */
  relocate(term: number): Promise<void>;
  /** Each decision of the core. */
  onReason?(reason: Reason): void;
  /** The timer fired that was due then. */
  woke?(dueUs: number): void;
  publishReport(report: ReportMessage): void;
  publishEvent(event: FailoverEvent): void;
}

/** The loop with its drivers: everything of this service but the bus. */
export class Actuator {
  readonly loop: FailoverLoop;
  readonly #options: ActuatorOptions;
  #config: ClusterConfig;
  #places: Places;
  #stopService: () => void = () => {};
  readonly #listening: Array<() => void> = [];

  constructor(options: ActuatorOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#places = options.drivers.placesOf(options.config);
    const { drivers, logger } = options;
    const doors = {
      drivers,
      places: () => this.#places,
      persistClosed: options.persistClosed,
      relocate: options.relocate,
      unexpected: (step: Step, error: unknown) => {
        const stack = error instanceof Error ? error.stack : String(error);
        logger.error({ step: step.kind, stack }, "a step failed in a way that nobody expected");
      },
    };
    this.loop = new FailoverLoop(createFailoverState(this.#coreConfig(), options.nowUs(), options.closed), {
      nowUs: options.nowUs,
      kernelPauseUs: options.kernelPauseUs,
      carryOut: (step) => carryOut(step, doors),
      publishReport: options.publishReport,
      publishEvent: options.publishEvent,
      logReason: (reason: Reason) => {
        logger.info({ code: reason.code, ...reason.facts }, reason.message);
        options.onReason?.(reason);
      },
      woke: (dueUs) => options.woke?.(dueUs),
    });
  }

  /** Looks at what is there and begins to act. Tools that are missing are named in the report. */
  start(): void {
    const { drivers, logger } = this.#options;
    this.#listening.push(
      drivers.linkMonitor.listen((event) => this.#onLinkEvent(event)),
      drivers.announcer.listen(({ address, mac }) =>
        this.loop.input({ kind: "foreign-claim", address, mac }),
      ),
    );
    this.#listenToService();
    const complain = (what: string) => (error: unknown) =>
      logger.warn({ error: String(error) }, `${what}; it is looked at by the clock instead`);
    drivers.linkMonitor
      .start()
      .then(() => this.loop.input({ kind: "changed", what: "everything" }))
      .catch(complain("changes of addresses and links are not told by the kernel"));
    // Started before it is needed: its start would delay taking the address.
    drivers.announcer.watch([]).catch(complain("the announcer did not start"));
    this.loop.input({ kind: "tick" });
  }

  /**
   * Shuts the gate and takes down what is held, the service last; resolves when all is gone or the time is up.
   * The bus should still be there: whoever waits for us reads it in the report.
   */
  async takeDown(limitMs: number): Promise<void> {
    const { nowUs, logger } = this.#options;
    const endUs = nowUs() + limitMs * 1000;
    this.loop.input({ kind: "stop" });
    while (!isTakenDown(this.loop.state, nowUs())) {
      if (nowUs() >= endUs) {
        logger.warn({ report: this.loop.report }, "not everything could be taken down in time");
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Leaves address, gate and service as they are: a successor adopts them, or the lease runs out. */
  async close(): Promise<void> {
    const { drivers } = this.#options;
    for (const end of this.#listening.splice(0)) end();
    this.#stopService();
    await this.loop.stop();
    const closing = [drivers.gate, drivers.address, drivers.announcer, drivers.linkMonitor];
    await Promise.allSettled([...closing.map((driver) => driver.close()), this.#places.service?.close()]);
  }

  /** Runs on another document from now on. */
  async configure(config: ClusterConfig): Promise<void> {
    const before = this.#config;
    this.#config = config;
    if (!samePlaces(before, config)) await this.#replacePlaces(before);
    this.loop.input({ kind: "config", config: this.#coreConfig() });
  }

  #coreConfig(): FailoverConfig {
    const { disarmedUntil } = this.#config;
    const disarmed = disarmedUntil !== undefined && Date.parse(disarmedUntil) > Date.now();
    return failoverConfigOf(this.#config, this.#options.nodeId, disarmed);
  }

  /** What ran or lay under the old configuration goes; the core then finds the new places empty. */
  async #replacePlaces(before: ClusterConfig): Promise<void> {
    const { drivers, logger } = this.#options;
    const old = this.#places;
    const complain = (error: unknown) =>
      logger.warn({ error: String(error) }, "what the old configuration left could not be removed");
    this.#places = drivers.placesOf(this.#config);
    this.#listenToService();
    if (!sameService(before.managedService, this.#config.managedService) && old.service !== null) {
      const managed = before.managedService;
      const graceUs = managed.kind === "none" ? 0 : managed.stopTimeoutMs * 1000;
      await old.service.stop(graceUs).catch(complain);
    }
    await old.service?.close();
    for (const file of [old.lock, old.marker]) {
      if (file.path !== this.#places.lock.path && file.path !== this.#places.marker.path) {
        await file.remove().catch(complain);
      }
    }
    this.loop.input({ kind: "changed", what: "everything" });
  }

  #listenToService(): void {
    this.#stopService();
    const { service } = this.#places;
    this.#stopService =
      service?.listen(() => this.loop.input({ kind: "changed", what: "service" })) ?? (() => {});
  }

  #onLinkEvent(event: LinkEvent): void {
    switch (event.kind) {
      case "address":
        // By device, not by address: its spelling may differ.
        for (const ip of this.#config.clusterIps) {
          if (ip.device !== event.device) continue;
          this.loop.input({ kind: "changed", what: "address", address: ip.address, change: event.change });
        }
        return;
      case "link":
        if (!this.#config.clusterIps.some((ip) => ip.device === event.device)) return;
        return this.loop.input({ kind: "changed", what: "link", device: event.device });
      case "restarted":
        return this.loop.input({ kind: "changed", what: "everything" });
      default:
        return assertNever(event);
    }
  }
}
