import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { toolCommand, toolEnvironment, toolMissing } from "../tools/run-tool.ts";
import type { ManagedService, ServiceState } from "./managed-service.ts";
import { readPidFile, removePidFile, START_SCRIPT } from "./pid-file.ts";
import { groupLedBy, isRunning, type ProcessIdentity } from "./process-table.ts";
import { ProcessWatch } from "./process-watch.ts";

export interface CommandServiceOptions {
  /** For `/bin/sh -c`. */
  readonly command: string;
  /** Where its process is remembered, so that a restarted node adopts it. Its folder must be root's. */
  readonly pidFile: string;
  /** Where its output goes, appended; without it, nowhere. */
  readonly logFile?: string;
  /** Added to our own environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

const START_LIMIT_MS = 2_000;
const POLL_MS = 10;
const KILL_LIMIT_US = 5_000_000;

/** A command in a session and process group of its own: it outlives us, and our successor adopts it by its pid file. */
export function createCommandService(context: HostContext, options: CommandServiceOptions): ManagedService {
  return new CommandService(context, options);
}

class CommandService implements ManagedService {
  readonly #context: HostContext;
  readonly #options: CommandServiceOptions;
  readonly #listeners = new Set<() => void>();
  readonly #watch: ProcessWatch;

  constructor(context: HostContext, options: CommandServiceOptions) {
    this.#context = context;
    this.#options = options;
    this.#watch = new ProcessWatch(() => {
      for (const listener of [...this.#listeners]) listener();
    });
  }

  async start(): Promise<void> {
    const remembered = await readPidFile(this.#options.pidFile);
    if (remembered !== undefined) {
      if (await isRunning(remembered)) {
        this.#watch.watch(remembered);
        return;
      }
      // What its group left behind would hold the ports.
      await this.#endGroup(remembered, 0);
    }
    await removePidFile(this.#options.pidFile);
    this.#watch.watch(await this.#spawn());
  }

  async stop(graceUs: number): Promise<void> {
    const remembered = await readPidFile(this.#options.pidFile);
    this.#watch.watch(undefined);
    if (remembered !== undefined) await this.#endGroup(remembered, graceUs);
    await removePidFile(this.#options.pidFile);
  }

  async inspect(): Promise<ServiceState> {
    const remembered = await readPidFile(this.#options.pidFile);
    if (remembered === undefined) return { kind: "stopped" };
    if (await isRunning(remembered)) {
      this.#watch.watch(remembered);
      return { kind: "running", pid: remembered.pid };
    }
    return { kind: "failed", message: `the command ended by itself: ${this.#options.command}` };
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#watch.watch(undefined);
  }

  async #spawn(): Promise<ProcessIdentity> {
    const { command, pidFile, logFile, environment } = this.#options;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
    const log = await open(logFile ?? "/dev/null", flags, 0o640).catch((error: unknown) => {
      throw startFailed(command, `its log ${logFile ?? "/dev/null"} cannot be opened`, error);
    });
    try {
      const [file, rest] = toolCommand(this.#context, ["sh", "-c", START_SCRIPT, "sh", pidFile, command]);
      const child = spawn(file, rest, {
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
        env: { ...toolEnvironment(), ...environment },
      });
      let over = "";
      child.once("error", (error: NodeJS.ErrnoException) => {
        over = error.code === "ENOENT" ? "missing" : error.message;
      });
      child.once("exit", (exitCode, signal) => {
        over = `it ended at once (${signal ?? `exit ${exitCode ?? "?"}`})`;
      });
      child.unref();
      return await this.#remembered(() => over, file);
    } finally {
      await log.close();
    }
  }

  /** Waits until the started shell has written the pid file, a few milliseconds. */
  async #remembered(over: () => string, file: string): Promise<ProcessIdentity> {
    const { command, pidFile } = this.#options;
    const endUs = this.#context.nowUs() + START_LIMIT_MS * 1_000;
    for (;;) {
      const process = await readPidFile(pidFile);
      // Even one that has ended by now did start: that is for inspect to say.
      if (process !== undefined) return process;
      if (over() === "missing") throw toolMissing(file);
      if (over() !== "")
        throw startFailed(command, `${over()}, before it could write ${path.dirname(pidFile)}`);
      if (this.#context.nowUs() >= endUs)
        throw startFailed(command, `no ${pidFile} within ${START_LIMIT_MS} ms`);
      await pause();
    }
  }

  /** Resolves when no process of the group runs. Those that left it (a daemon's own session) are not ours to find. */
  async #endGroup(leader: ProcessIdentity, graceUs: number): Promise<void> {
    const startUs = this.#context.nowUs();
    let signal: NodeJS.Signals = "SIGTERM";
    let signalled = false;
    while ((await groupLedBy(leader)).length > 0) {
      const waitedUs = this.#context.nowUs() - startUs;
      if (waitedUs >= graceUs && signal === "SIGTERM") {
        signal = "SIGKILL";
      }
      // SIGKILL again each time: a process may have been made in the moment of the signal.
      if (!signalled || signal === "SIGKILL") signalGroup(leader.pid, signal);
      signalled = true;
      if (waitedUs >= graceUs + KILL_LIMIT_US) {
        throw new QuorateError(
          "SERVICE_FAILED",
          `The managed service (process group ${leader.pid}) does not end, not even by SIGKILL.`,
          "It probably waits for a disk or network storage: see ps -o pid,stat,wchan,cmd.",
        );
      }
      await pause();
    }
  }
}

function signalGroup(processGroup: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-processGroup, signal);
  } catch {
    // Gone already: what was wanted.
  }
}

function startFailed(command: string, words: string, cause?: unknown): QuorateError {
  return new QuorateError(
    "SERVICE_FAILED",
    `The managed service "${command}" did not start: ${words}.`,
    "Run the command by hand; check that the run and log folders exist and are root's.",
    { cause },
  );
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
