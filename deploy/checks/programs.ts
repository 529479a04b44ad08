// Runs a program of a check to its end, or to its time limit, with all it started.
import { spawn } from "node:child_process";

export type ProgramEnd = { readonly exitCode: number; readonly timedOut: boolean };

/** How long a program that was asked to stop may clean up after itself (hosts of the lab, temporary folders). */
const cleanUpMs = 20_000;

/** The running programs, and whether each was asked to stop. */
const running = new Map<number, { isAsked: boolean }>();

/** Asks every running program to stop; a second call ends them and what they started at once. */
export function endPrograms(): void {
  for (const [pid, state] of running) {
    if (state.isAsked) {
      killGroup(pid);
    } else {
      askToStop(pid, state);
    }
  }
}

/**
 * Only the program itself is asked, not the processes that it started: vitest whose workers vanish waits for ever. What
 * does not stop in time is killed with all it started.
 */
function askToStop(pid: number, state: { isAsked: boolean }): void {
  state.isAsked = true;
  send(pid, "SIGINT");
  setTimeout(() => {
    if (running.get(pid) === state) {
      killGroup(pid);
    }
  }, cleanUpMs).unref();
}

function killGroup(pid: number): void {
  send(-pid, "SIGKILL");
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in this moment.
  }
}

/** Runs with our own stdout and stderr. A program that cannot be started counts as exit 127. */
export async function runProgram(
  command: readonly [string, ...string[]],
  place: { readonly cwd: string; readonly timeoutMs: number },
): Promise<ProgramEnd> {
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: place.cwd,
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) {
    const reason = await new Promise<Error>((resolve) => child.on("error", resolve));
    process.stderr.write(`cannot run ${file}: ${reason.message}\n`);
    return { exitCode: 127, timedOut: false };
  }
  const state = { isAsked: false };
  running.set(pid, state);
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    askToStop(pid, state);
  }, place.timeoutMs);
  const exitCode = await new Promise<number>((resolve) => {
    child.on("close", (code) => resolve(code ?? 1));
  });
  clearTimeout(limit);
  running.delete(pid);
  // What it left behind would disturb the next check.
  killGroup(pid);
  return { exitCode, timedOut };
}
