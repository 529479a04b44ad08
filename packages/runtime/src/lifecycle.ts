import { flushCompileCache } from "node:module";
import { QuorateError, type ServiceName } from "@quorate/contracts";
import { Afterwards } from "./afterwards.ts";
import { keepCrashRecording } from "./crash-recording.ts";
import { loadServiceContext, readNodeFile, type ServiceContext } from "./service-context.ts";

/** What a service hands over to be ended with; run in reverse order of registration. */
export interface Lifecycle {
  /** `stop` gets its part of the time that a clean stop may take; what is not done by then is left. */
  onStop(name: string, stop: () => Promise<void> | void): void;
  /** True from SIGTERM on. */
  readonly stopping: boolean;
}

/** A clean stop takes no longer, if the service does not ask for more; nobody may depend on it (crash-only). */
export const STOP_LIMIT_MS = 3000;

/** By then a service has used what it needs at a start, rehearsals included. */
const COMPILED_AFTER_MS = 5000;

/**
 * Runs a service: context from the command line, SIGTERM or SIGINT stops cleanly (exit 0), whatever nobody
 * caught is logged with its remedy and ends the process (exit code of the QuorateError, else 1).
 */
export async function runService(
  service: ServiceName,
  main: (context: ServiceContext, lifecycle: Lifecycle) => Promise<void>,
  options: { stopLimitMs?: number } = {},
): Promise<void> {
  let context: ServiceContext | undefined;
  const fail = (error: unknown): never => {
    tellWhatWasDone();
    const known = error instanceof QuorateError ? error : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const recording = context === undefined || known !== undefined ? null : recordingOf(context);
    if (context !== undefined) {
      context.logger.fatal(
        known === undefined
          ? { stack: error instanceof Error ? error.stack : undefined, recording }
          : { code: known.code, hint: known.hint },
        message,
      );
    } else {
      process.stderr.write(
        `${service}: ${message}${known === undefined ? "" : `\n  what to do: ${known.hint}`}\n`,
      );
    }
    const facts = recording === null ? {} : { facts: { recording } };
    context?.decisions?.record({ reason: { code: known?.code ?? "CRASHED", message, ...facts } });
    context?.decisions?.close();
    process.exit(known?.exitCode ?? 1);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);

  const stops: Array<{ name: string; stop: () => Promise<void> | void }> = [];
  let stopping = false;
  const stopAll = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    context?.logger.info({ signal }, "stopping");
    const limit = setTimeout(() => {
      context?.logger.warn("the clean stop took too long and was cut short");
      process.exit(0);
    }, options.stopLimitMs ?? STOP_LIMIT_MS);
    for (const { name, stop } of stops.reverse()) {
      try {
        await stop();
      } catch (error) {
        context?.logger.warn({ part: name, error: String(error) }, "a part did not stop cleanly");
      }
    }
    clearTimeout(limit);
    context?.decisions?.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void stopAll("SIGTERM"));
  process.on("SIGINT", () => void stopAll("SIGINT"));

  try {
    context = loadServiceContext(service);
    context.logger.info({ pid: process.pid, bootId: context.bootId }, "started");
    await main(context, {
      onStop: (name, stop) => void stops.push({ name, stop }),
      get stopping() {
        return stopping;
      },
    });
  } catch (error) {
    fail(error);
  }
  // Node writes it at a clean exit only, and who is killed has to be back sooner than anybody.
  setTimeout(flushCompileCache, COMPILED_AFTER_MS).unref();
}

function tellWhatWasDone(): void {
  try {
    Afterwards.flushAll();
  } catch {
    // The error that ends the process is the one to tell.
  }
}

/** Where the recording of this process lies now; why it does not lie anywhere; null when it has none. */
function recordingOf(context: ServiceContext): string | null {
  const { service, nodeId, stateDir, runDir } = context;
  let cluster = "unknown";
  try {
    cluster = readNodeFile(runDir).clusterName;
  } catch {
    // The recording is worth keeping without its name.
  }
  const { path, problem } = keepCrashRecording({ service, node: nodeId, cluster, stateDir });
  return path ?? (problem === null ? null : `not kept: ${problem}`);
}
