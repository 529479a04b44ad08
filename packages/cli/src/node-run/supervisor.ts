import { existsSync, rmSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { QuorateError, type Reason } from "@quorate/contracts";
import {
  applyNatsServerConf,
  Bus,
  bootId,
  DecisionRecorder,
  EventPublisher,
  holdFolder,
  identifyProcess,
  type Logger,
  createLogger,
  pidFilePath,
  readBusCredentials,
  writePidFile,
} from "@quorate/runtime";
import { rotateLogs } from "./log-file.ts";
import { type NodeRunOptions, preflight, runFiles, writeRunFiles } from "./preflight.ts";
import { SupervisedProcess } from "./supervised-process.ts";

/** How late the end of an adopted process may be noticed. Children of our own report it themselves. */
const ADOPTED_POLL_MS = 50;
const LOG_CHECK_MS = 10_000;
/** Handing over and leaving the view: a few round trips; more only when the others do not answer. */
const DRAIN_LIMIT_MS = 5000;
const STOP_LIMIT_MS = 5000;
/** The actuator waits for the managed service to stop. */
const ACTUATOR_STOP_LIMIT_MS = 60_000;

/** Runs a node in the foreground until SIGTERM or SIGINT; resolves when everything has ended. */
export async function runNode(options: NodeRunOptions): Promise<void> {
  const { config, programs, running, warnings } = await preflight(options);
  const logger = createLogger({ service: "supervisor", node: options.nodeId });
  for (const warning of warnings) logger.warn(warning);
  const files = runFiles(options, config);
  writeRunFiles(options, files);
  // The pid file is what people read; this is what holds, whatever becomes of the file.
  await holdFolder(options.runDir);
  const pidFile = pidFilePath(options.runDir, "supervisor");
  // A clean stop takes the file away.
  const wasKilled = existsSync(pidFile);
  const self = identifyProcess(process.pid);
  if (self !== null) writePidFile(pidFile, self);
  await applyNatsServerConf(options, config);

  const bus = new Bus({
    credentials: readBusCredentials(options.runDir),
    clusterName: config.clusterName,
    nodeId: options.nodeId,
    name: "supervisor",
    logger,
  });
  const { nodeId: node, runDir } = options;
  const decisions = new DecisionRecorder({ service: "supervisor", node, runDir });
  const events = new EventPublisher({ bus, service: "supervisor", runDir, logger, decisions });
  const ends = new Map<string, string>();
  const supervised = programs.map(
    (program) =>
      new SupervisedProcess(program, options, {
        started(name, identity, previous) {
          const facts = { process: name };
          if (previous === null) {
            const reason = { code: "node_start", message: `${name} started (pid ${identity.pid}).` };
            events.publish("node", "process_started", { old: null, new: identity.pid, reason, facts });
            return;
          }
          const how = ends.get(name) ?? "ended";
          const message = `${name} (pid ${previous}) had ended (${how}) and was started again (pid ${identity.pid}).`;
          const reason = { code: "process_ended", message };
          events.publish("node", "process_restarted", { old: previous, new: identity.pid, reason, facts });
        },
        adopted(name, { pid }) {
          const message = `${name} (pid ${pid}) runs on from an earlier supervisor.`;
          const reason = { code: "supervisor_restarted", message };
          events.publish("node", "process_adopted", { old: pid, new: pid, reason, facts: { process: name } });
        },
        ended(name, pid, how, restartInMs) {
          ends.set(name, how.split(":", 1)[0] ?? how);
          logger.warn({ process: name, pid, restartInMs }, `${name} ended: ${how}`);
          const message = `${name} (pid ${pid}) ended: ${how}.`;
          decisions.record({
            reason: { code: "process_exit", message, facts: { process: name, pid, how, restartInMs } },
          });
          repairRunFiles(options, files, logger);
        },
      }),
  );
  preferSelf();
  const started = startReason(running.size, wasKilled, options.nodeId, config.clusterName);
  events.publish("node", "node_started", {
    old: null,
    new: "running",
    reason: started,
    facts: { bootId: bootId() },
  });
  for (const one of supervised) one.start(running.get(one.program.name) ?? null);

  // What was adopted is started anew when it ends, as a child of ours: then there is nothing left to look at.
  const poll = setInterval(() => {
    const adopted = supervised.filter((one) => one.needsPolling);
    for (const one of adopted) one.poll();
    if (adopted.length === 0) clearInterval(poll);
  }, ADOPTED_POLL_MS);
  const rotation = setInterval(() => rotateLogs(join(options.stateDir, "log")), LOG_CHECK_MS);

  const signal = await stopSignal(logger);
  clearInterval(rotation);
  events.publish("node", "node_stopped", {
    old: "running",
    new: "stopped",
    reason: { code: "signal", message: `Node ${options.nodeId} stops in good order (${signal}).` },
    facts: {},
  });
  await leave(bus, options, logger);
  await stopAll(supervised);
  decisions.close();
  await stopJournal(supervised);
  clearInterval(poll);
  await bus.close();
  rmSync(pidFile, { force: true });
  logger.info("everything has ended");
}

function startReason(alive: number, wasKilled: boolean, node: number, cluster: string): Reason {
  if (alive > 0) {
    const message = `A new supervisor of node ${node} of ${cluster} took over ${alive} processes that ran on; the one before ended without a stop.`;
    return { code: "supervisor_restarted", message };
  }
  const started = `Node ${node} of ${cluster} is started`;
  return wasKilled
    ? {
        code: "node_start_after_kill",
        message: `${started}; before, all of its processes had ended without a stop.`,
      }
    : { code: "node_start", message: `${started}.` };
}

/** The first SIGTERM or SIGINT. SIGHUP is not one: a closed terminal must not take a node down. */
function stopSignal(logger: Logger): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
    process.on("SIGHUP", () => logger.info("SIGHUP has no effect here"));
  });
}

/** Hand over, then leave the view. Best effort: nobody's safety depends on a clean stop. */
async function leave(bus: Bus, options: NodeRunOptions, logger: Logger): Promise<void> {
  const began = performance.now();
  try {
    await bus.request("quorum-evaluator", "drain", options.nodeId, {}, DRAIN_LIMIT_MS);
    logger.info({ tookMs: Math.round(performance.now() - began) }, "handed over and left the view");
  } catch (error) {
    logger.warn({ error: (error as Error).message }, "could not leave in good order; the others will notice");
  }
}

/** The actuator first, while grants still come; membership, which says goodbye, before the bus. */
async function stopAll(supervised: SupervisedProcess[]): Promise<void> {
  const stop = async (names: readonly string[], limitMs: number) => {
    const chosen = supervised.filter((one) => names.includes(one.program.name));
    await Promise.all(chosen.map((one) => one.stop(limitMs)));
  };
  await stop(["failover-actuator"], ACTUATOR_STOP_LIMIT_MS);
  await stop(["quorum-evaluator", "config-distributor"], STOP_LIMIT_MS);
  await stop(["membership"], STOP_LIMIT_MS);
  await stop(["nats-server"], STOP_LIMIT_MS);
}

/** What a process needs for its start may be what it ended for. */
function repairRunFiles(
  options: NodeRunOptions,
  files: Parameters<typeof writeRunFiles>[1],
  logger: Logger,
): void {
  try {
    writeRunFiles(options, files);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    logger.error({ code: error.code, hint: error.hint }, error.message);
  }
}

/** The journal goes last: it has to hear how everybody else ended. */
async function stopJournal(supervised: SupervisedProcess[]): Promise<void> {
  await supervised.find((one) => one.program.name === "journal")?.stop(STOP_LIMIT_MS);
}

function preferSelf(): void {
  try {
    setPriority(0, -10);
  } catch {
    // A wish; refused in some containers.
  }
}
