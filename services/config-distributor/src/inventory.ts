import { join } from "node:path";
import {
  type ClusterConfig,
  machineSubject,
  type NodeId,
  QuorateError,
  type VmReport,
  VmReportSchema,
} from "@quorate/contracts";
import type { Bus, BusSubscription, Logger } from "@quorate/runtime";
import { InventoryStore } from "./inventory-store.ts";

const ASK_LIMIT_MS = 2000;
const SWEEP_MS = 3600_000;

/** Keeps the replica of all inventories while this node is told to (`replication: on`) and machines are configured. */
export class Inventory {
  readonly #bus: Bus;
  readonly #stateDir: string;
  readonly #logger: Logger;
  #store: InventoryStore | null = null;
  #subscription: BusSubscription | null = null;
  readonly #asking = new Set<string>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(bus: Bus, stateDir: string, logger: Logger) {
    this.#bus = bus;
    this.#stateDir = stateDir;
    this.#logger = logger;
    this.#sweeper = setInterval(() => this.#store?.sweep(), SWEEP_MS);
    bus.serve("config-distributor", "inventory", () => ({ records: this.#open().records() }));
    bus.serve("config-distributor", "machine-definition", ({ digest }) => {
      const xml = this.#open().definition(digest);
      if (xml !== null) return { xml };
      throw new QuorateError(
        "DEFINITION_MISSING",
        `Node ${bus.nodeId} does not have the definition ${digest.slice(0, 12)}.`,
        "Another node is asked.",
      );
    });
  }

  /** Follows the configuration: begins to keep the replica, or ends. The file stays. */
  configure({ machines, nodes, clusterName }: ClusterConfig): void {
    const isKept =
      machines !== undefined && nodes.some(({ id, replication }) => id === this.#bus.nodeId && replication);
    if (!isKept) return this.#end();
    if (this.#store !== null) return;
    const { store, setAside } = InventoryStore.open(join(this.#stateDir, "inventory", "inventory.db"));
    if (setAside !== null)
      this.#logger.error({ setAside }, "the replica of the inventories was damaged; a new one is begun");
    this.#store = store;
    this.#subscription = this.#bus.subscribe(
      machineSubject(clusterName, "*", "report"),
      VmReportSchema,
      (report) => this.#take(report),
    );
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#end();
  }

  #end(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#store?.close();
    this.#store = null;
  }

  #open(): InventoryStore {
    if (this.#store !== null) return this.#store;
    throw new QuorateError(
      "REPLICA_OFF",
      `Node ${this.#bus.nodeId} keeps no replica of the inventories.`,
      "Ask a node with `replication: on`.",
    );
  }

  #take(report: VmReport): void {
    const store = this.#store;
    if (store === null) return;
    try {
      store.take(report);
    } catch (error) {
      // A full disk, say: the next report brings it again.
      this.#logger.error({ error: String(error), node: report.node }, "an inventory could not be copied");
      return;
    }
    for (const { definition } of report.records) {
      if (!store.hasDefinition(definition)) void this.#fetch(definition, report.node);
    }
  }

  async #fetch(digest: string, node: NodeId): Promise<void> {
    if (this.#asking.has(digest)) return;
    this.#asking.add(digest);
    try {
      const answer = await this.#bus.request(
        "failover-actuator",
        "machine-definition",
        node,
        { digest },
        ASK_LIMIT_MS,
      );
      if ("xml" in answer) this.#store?.addDefinition(digest, answer.xml);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      // It is asked for again with the next report.
    } finally {
      this.#asking.delete(digest);
    }
  }
}
