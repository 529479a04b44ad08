import type { ClusterConfig, GrantMessage, ReportMessage } from "@quorate/contracts";
import type { FailoverEvent, GrantName } from "@quorate/core-failover";
import {
  createFakeAddress,
  createFakeAnnouncer,
  createFakeCarrier,
  createFakeGate,
  createFakeHypervisor,
  createFenceAgent,
  createFakeLinkMonitor,
  createFakeLockFile,
  createFakeMachineGate,
  createFakeReadinessProbe,
  createFakeService,
  createFakeStorageProbe,
  createFakeWatchdog,
  FakeFiles,
  FakeKernel,
  FakeMachineKernel,
  FakeMachines,
  FakeServiceProcess,
  FakeStorages,
  FakeWatchdogDevice,
  FakeTables,
} from "@quorate/host";
import { createLogger, monotonicUs } from "@quorate/runtime";
import { Actuator } from "../src/actuator.ts";
import type { Drivers } from "../src/drivers.ts";

export const VIP = "10.92.0.100";
const TOKEN_MS = 400;

export const CONFIG: ClusterConfig = {
  clusterName: "VMmanager",
  configVersion: 1,
  tokenMs: TOKEN_MS,
  transport: "udpu",
  rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
  totalVotes: 3,
  quorumVotes: 2,
  ihttpdPorts: [1500],
  nodes: [{ id: 4, addresses: ["10.92.0.4"], prio: 100, replication: true, votes: 1 }],
  clusterIps: [{ address: VIP, family: 4, device: "vmbr0", prefixLength: 24 }],
  managedService: { kind: "command", command: "serve", startTimeoutMs: 5000, stopTimeoutMs: 1000 },
  routePort: 7423,
  notHonoured: [],
};

/** The actuator on fakes, in real time. What it acts on outlives it. */
export class FakeHost {
  readonly kernel = new FakeKernel(monotonicUs);
  readonly tables = new FakeTables(monotonicUs);
  readonly machines = new FakeMachines();
  readonly machineKernel = new FakeMachineKernel(monotonicUs);
  readonly files = new FakeFiles();
  readonly services = new Map<string, FakeServiceProcess>();
  readonly reports: ReportMessage[] = [];
  readonly events: FailoverEvent[] = [];
  closed: GrantName | null = null;
  diskIsFull = false;
  actuator: Actuator;
  #granting: NodeJS.Timeout | undefined;

  constructor() {
    this.kernel.setDevice("vmbr0", true);
    this.actuator = this.#start();
  }

  #drivers(): Drivers {
    const context = { nowUs: monotonicUs };
    return {
      gate: createFakeGate(context, { tables: this.tables }),
      address: createFakeAddress(this.kernel),
      carrier: createFakeCarrier(this.kernel),
      announcer: createFakeAnnouncer(this.kernel, this.tables),
      linkMonitor: createFakeLinkMonitor(this.kernel),
      machines: {
        hypervisor: () => createFakeHypervisor(this.machines),
        gate: () => createFakeMachineGate(context, { kernel: this.machineKernel }),
        powerDevice: (config) => createFenceAgent(context, config),
        watchdog: () => createFakeWatchdog(new FakeWatchdogDevice()),
        storageProbe: () => createFakeStorageProbe(new FakeStorages()),
      },
      readiness: createFakeReadinessProbe(({ address }) => this.answers(address)),
      placesOf: (config) => ({
        lock: createFakeLockFile(this.files, config.lockFile ?? "/run/quorate/service.lock"),
        marker: createFakeLockFile(this.files, "/run/quorate/relocated"),
        service:
          config.managedService.kind === "command"
            ? createFakeService(this.service(config.managedService.command))
            : null,
      }),
    };
  }

  #start(): Actuator {
    const actuator = new Actuator({
      nodeId: 4,
      config: CONFIG,
      drivers: this.#drivers(),
      logger: createLogger({ service: "failover-actuator", node: 4, level: "silent" }),
      nowUs: monotonicUs,
      kernelPauseUs: () => 0,
      closed: this.closed,
      persistClosed: async (closed) => {
        if (this.diskIsFull) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        this.closed = closed;
      },
      relocate: async () => {},
      publishReport: (report) => void this.reports.push(report),
      publishEvent: (event) => void this.events.push(event),
    });
    actuator.start();
    return actuator;
  }

  /** As after SIGKILL: nothing is taken down. */
  async restart(): Promise<void> {
    await this.actuator.close();
    this.actuator = this.#start();
  }

  service(command: string): FakeServiceProcess {
    const known = this.services.get(command) ?? new FakeServiceProcess();
    this.services.set(command, known);
    return known;
  }

  answers(address: string): boolean {
    return this.kernel.address(address) !== undefined && this.tables.passes(address);
  }

  get report(): ReportMessage | undefined {
    return this.reports.at(-1);
  }

  /** Grants every T/10 until told otherwise; null: nothing any more. */
  grant(what: Partial<GrantMessage> | null): void {
    clearInterval(this.#granting);
    if (what === null) return;
    const send = () => {
      const stampUs = monotonicUs();
      const role = what.role ?? "master";
      const leaseEndUs = role === "master" ? stampUs + TOKEN_MS * 950 : 0;
      const grant: GrantMessage = {
        stampUs,
        term: 1,
        generation: 1,
        role,
        masterLeaseEndUs: leaseEndUs,
        nodeLeaseEndUs: leaseEndUs,
        close: false,
        view: { term: 1, number: 1 },
        disarmed: false,
        reason: { code: "TEST", message: "As the test says." },
        ...what,
      };
      this.actuator.loop.input({ kind: "grant", grant });
    };
    send();
    this.#granting = setInterval(send, TOKEN_MS / 10);
  }

  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end)
        throw new Error(`waited too long until ${what}\n${JSON.stringify(this.report)}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#granting);
    await this.actuator.close();
  }
}
