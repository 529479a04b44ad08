import { QuorateError } from "@quorate/contracts";
import { decodeText, encodeText, hostConfig } from "@quorate/corosync-conf";
import { type FailoverEvent, rehearseTakeOvers } from "@quorate/core-failover";
import {
  BoottimeJumpDetector,
  Bus,
  EventPublisher,
  type HealthAnswer,
  type Lifecycle,
  Metrics,
  monotonicUs,
  readRunningConf,
  rehearseWhenSettled,
  type ServiceContext,
  serveRecording,
  StallWatch,
  startHealthServer,
} from "@quorate/runtime";
import { Actuator } from "./actuator.ts";
import { ClosedFile } from "./closed-file.ts";
import { ConfigIntake } from "./config-intake.ts";
import type { Drivers } from "./drivers.ts";
import { MachinesPart } from "./machines/machines-part.ts";
import { eventMeter, exportMetrics } from "./metrics.ts";
import { createRealDrivers } from "./real-drivers.ts";

/** A clean stop ends the managed service, which may take its time. */
export const STOP_LIMIT_MS = 58_000;
const TAKE_DOWN_LIMIT_MS = STOP_LIMIT_MS - 2_000;

/** Wires the failover core to the bus, to the kernel and to the run directory. */
export async function runFailoverActuator(context: ServiceContext, lifecycle: Lifecycle): Promise<void> {
  const drivers = createRealDrivers(context);
  await startFailoverActuator(context, lifecycle, drivers);
}

/** The same on given drivers. */
export async function startFailoverActuator(
  context: ServiceContext,
  lifecycle: Lifecycle,
  drivers: Drivers,
): Promise<Actuator> {
  const { nodeId, logger, decisions } = context;
  const text = decodeText(readRunningConf(context, encodeText));
  const config = hostConfig(text, context.runningConfFile);
  const metrics = new Metrics("failover-actuator", nodeId);
  const bus = new Bus({
    credentials: context.credentials,
    clusterName: config.clusterName,
    nodeId,
    name: "failover-actuator",
    logger,
    metrics,
  });
  lifecycle.onStop("bus", () => bus.close());
  const events = new EventPublisher({
    bus,
    service: "failover-actuator",
    runDir: context.runDir,
    logger,
    decisions,
  });
  const stalls = new StallWatch((reason) => decisions?.record({ reason }));
  const meter = eventMeter(metrics);
  const boottime = new BoottimeJumpDetector();
  const closedFile = new ClosedFile(context.runDir);
  const actuator = new Actuator({
    nodeId,
    config,
    drivers,
    logger,
    nowUs: monotonicUs,
    kernelPauseUs: () => boottime.check(),
    closed: closedFile.read(logger),
    persistClosed: (closed) => closedFile.write(closed),
    relocate: (term) => machines.relocated(term),
    onReason: (reason) => decisions?.record({ reason }),
    woke: (dueUs) => stalls.woke(dueUs),
    publishReport: (report) => void bus.publishLocal("report", machines.withMachines(report)),
    publishEvent(event) {
      meter(event);
      publishEvent(events, event);
    },
  });
  const machines = new MachinesPart(
    {
      context,
      bus,
      drivers: drivers.machines,
      logger,
      reportChanged: () => actuator.loop.repeatReport(),
    },
    config,
  );
  lifecycle.onStop("machines", () => machines.close());
  lifecycle.onStop("actuator", async () => {
    await actuator.takeDown(TAKE_DOWN_LIMIT_MS);
    await actuator.close();
  });
  exportMetrics(metrics, actuator.loop, drivers.gate);

  bus.subscribeLocal("grant", (grant) => actuator.loop.input({ kind: "grant", grant }));
  const intake = new ConfigIntake({
    text,
    fileName: context.runningConfFile,
    logger,
    configure: async (next) => {
      await actuator.configure(next);
      await machines.configure(next);
    },
  });
  bus.subscribeLocal("config", (message) => void intake.take(message));
  bus.onConnection((connected) => {
    if (connected) actuator.loop.repeatReport();
  });
  bus.serve("failover-actuator", "status", () => {
    const { report } = actuator.loop;
    if (report !== null) return { report: machines.withMachines(report) };
    throw new QuorateError("REQUEST_TIMEOUT", "Nothing has been looked at yet.", "Ask again in a moment.");
  });
  serveRecording(bus, "failover-actuator", () => actuator.loop.recording());
  actuator.start();
  void machines.configure(config);
  // Making the health server takes the loop for a while: first look and take up what is there.
  await firstLook(actuator);
  rehearseWhenSettled(lifecycle, rehearseTakeOvers());
  // Starts a process: not while a gate waits for its renewal. What fails fails again, and is told, when it matters.
  await Promise.allSettled(config.clusterIps.map((ip) => drivers.address.prepare(ip)));
  const health = await startHealthServer({
    service: "failover-actuator",
    port: context.healthPort,
    metrics,
    readiness: () => readiness(bus, actuator),
  });
  lifecycle.onStop("health", () => health.close());
  return actuator;
}

const FIRST_LOOK_LIMIT_MS = 2000;

/** Until the first grant has been acted upon (a master has renewed its gate), or the time is up. */
async function firstLook(actuator: Actuator): Promise<void> {
  const endMs = performance.now() + FIRST_LOOK_LIMIT_MS;
  const settled = () => {
    const { grant, holding, counters, flights } = actuator.loop.state;
    if (grant === null || Object.keys(flights).length > 0) return false;
    return holding === null || (counters["gate_renewals"] ?? 0) > 0;
  };
  while (!settled() && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A kernel that cannot be acted upon is unreadiness; having no role, no carrier or no quorum is not. */
function readiness(bus: Bus, actuator: Actuator): HealthAnswer {
  const { report } = actuator.loop;
  if (!bus.connected) return { ok: false, message: "the local bus is away" };
  if (report === null) return { ok: false, message: "nothing has been looked at yet" };
  const facts = {
    gate: report.gate,
    address: report.address,
    service: report.service,
    able: report.able.code,
  };
  const cannot = ["NOT_ROOT", "TOOL_MISSING", "TOOL_FAILED", "STARTING"].includes(report.able.code);
  return { ok: !cannot, message: report.able.message, facts };
}

function publishEvent(events: EventPublisher, event: FailoverEvent): void {
  // That name, old and new belong together is lost in a union; each event passes its schema in the core's tests.
  const { name, old, new: now, reason } = event;
  events.publish("failover", name, { old, new: now, reason, facts: {} });
}
