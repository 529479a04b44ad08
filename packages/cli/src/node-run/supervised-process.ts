import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  identifyProcess,
  isAlive,
  type ProcessIdentity,
  pidFilePath,
  readPidFile,
  writePidFile,
} from "@quorate/runtime";
import { lastWords, openLog } from "./log-file.ts";
import type { Program } from "./programs.ts";

/** Waits before the first, second … restart in a row; the first is at once. */
export const RESTART_DELAYS_MS = [0, 100, 300, 1000, 3000] as const;
/** Who lived so long starts again with the first wait. */
const SETTLED_MS = 10_000;

export interface ProcessObserver {
  /** `previous` is null for the first start. */
  started(name: string, process: ProcessIdentity, previous: number | null): void;
  adopted(name: string, process: ProcessIdentity): void;
  ended(name: string, pid: number, how: string, restartInMs: number): void;
}

/**
 * One process that has to run: adopted if it already does, else started; started again when it ends. It is in a
 * session of its own with its output in a file, so it outlives us; whoever comes next adopts it by its pid file.
 */
export class SupervisedProcess {
  readonly program: Program;
  readonly logFile: string;
  readonly #pidFile: string;
  readonly #observer: ProcessObserver;
  #current: ProcessIdentity | null = null;
  #child: ChildProcess | null = null;
  #previous: number | null = null;
  #startedMs = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  #onEnd: (() => void) | undefined;

  constructor(program: Program, places: { runDir: string; stateDir: string }, observer: ProcessObserver) {
    this.program = program;
    this.logFile = join(places.stateDir, "log", `${program.name}.log`);
    this.#pidFile = pidFilePath(places.runDir, program.name);
    this.#observer = observer;
  }

  get current(): ProcessIdentity | null {
    return this.#current;
  }

  /** True while its end can only be seen by looking (`poll`): it is nobody's child any more. */
  get needsPolling(): boolean {
    return this.#current !== null && this.#child === null;
  }

  /** Adopts `running`, or starts a process. */
  start(running: ProcessIdentity | null): void {
    if (running === null) {
      this.#spawn();
      return;
    }
    this.#current = running;
    this.#startedMs = performance.now();
    this.#writePidFile(running);
    this.#observer.adopted(this.program.name, running);
  }

  /** Looks whether an adopted process is still there. */
  poll(): void {
    if (this.needsPolling && this.#current !== null && !isAlive(this.#current)) this.#ended("ended");
  }

  /** SIGTERM, after `limitMs` SIGKILL; resolves when it is gone. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const target = this.#current;
    if (target === null) return;
    const gone = new Promise<void>((resolve) => {
      this.#onEnd = resolve;
    });
    this.#signal(target, "SIGTERM");
    const limit = setTimeout(() => this.#signal(target, "SIGKILL"), limitMs);
    const poll = setInterval(() => this.poll(), 20);
    await gone;
    clearTimeout(limit);
    clearInterval(poll);
    rmSync(this.#pidFile, { force: true });
  }

  #signal(target: ProcessIdentity, signal: NodeJS.Signals): void {
    if (!isAlive(target)) return;
    try {
      process.kill(target.pid, signal);
    } catch {
      // It ended in between.
    }
  }

  #spawn(): void {
    const { name, command, args, environment } = this.program;
    const log = openLog(this.logFile);
    const child = spawn(command, args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...environment },
    });
    closeSync(log);
    this.#startedMs = performance.now();
    child.once("error", (error) => {
      if (child.pid === undefined) this.#ended(error.message);
    });
    child.once("exit", (code, signal) => {
      if (this.#child === child) this.#ended(signal === null ? `exit ${code}` : `killed by ${signal}`);
    });
    if (child.pid === undefined) return;
    const identity = identifyProcess(child.pid) ?? { pid: child.pid, startTime: "0" };
    this.#child = child;
    this.#current = identity;
    this.#writePidFile(identity);
    if (this.program.urgent) prefer(identity.pid);
    this.#observer.started(name, identity, this.#previous);
  }

  #writePidFile(identity: ProcessIdentity): void {
    writePidFile(this.#pidFile, identity);
  }

  #ended(how: string): void {
    const pid = this.#current?.pid ?? 0;
    this.#previous = pid;
    this.#current = null;
    this.#child = null;
    if (this.#stopping) {
      this.#onEnd?.();
      return;
    }
    if (performance.now() - this.#startedMs > SETTLED_MS) this.#failures = 0;
    const delayMs = RESTART_DELAYS_MS[Math.min(this.#failures, RESTART_DELAYS_MS.length - 1)] ?? 0;
    this.#failures += 1;
    const words = how.startsWith("exit") ? lastWords(this.logFile) : "";
    this.#observer.ended(this.program.name, pid, words === "" ? how : `${how}: ${words}`, delayMs);
    if (delayMs === 0) this.#spawn();
    else this.#timer = setTimeout(() => this.#spawn(), delayMs);
  }
}

/**
 * The scheduler gives each session its own share (autogroup); this one is to be served before others when the
 * cores are busy. A wish: in a container it may be refused.
 */
function prefer(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, "-10");
  } catch {
    // No autogroups, or not allowed.
  }
}

/**
 * The processes of these programs that run already, by program name: those of the pid files, and those that are
 * known by their arguments because the supervisor was killed before it wrote the file.
 */
export function findRunning(programs: readonly Program[], runDir: string): Map<string, ProcessIdentity> {
  const found = new Map<string, ProcessIdentity>();
  const lost = new Map<string, string>();
  for (const { name, args } of programs) {
    const running = readPidFile(pidFilePath(runDir, name));
    if (running !== null) found.set(name, running);
    else lost.set(args.join("\0"), name);
  }
  for (const entry of lost.size === 0 ? [] : readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const commandLine = readFileSync(`/proc/${entry}/cmdline`, "utf8");
      const name = lost.get(commandLine.slice(commandLine.indexOf("\0") + 1, -1));
      const running = name === undefined ? null : identifyProcess(Number(entry));
      if (name !== undefined && running !== null) found.set(name, running);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}
