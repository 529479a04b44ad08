// Runs a program of a check to its end, or to its time limit, with all it started.
import { spawn } from "node:child_process";

export type ProgramEnd = { readonly exitCode: number; readonly timedOut: boolean };

const running = new Set<number>();

/** Ends every program of ours that still runs, with what it started. */
export function endPrograms(signal: NodeJS.Signals): void {
  for (const pid of running) {
    try {
      process.kill(-pid, signal);
    } catch {
      // It ended in this moment.
    }
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
  const pid = child.pid;
  if (pid !== undefined) {
    running.add(pid);
  }
  let timedOut = false;
  const timers: NodeJS.Timeout[] = [];
  if (pid !== undefined) {
    const end = (signal: NodeJS.Signals) => () => {
      timedOut = true;
      try {
        process.kill(-pid, signal);
      } catch {
        // It ended in this moment.
      }
    };
    timers.push(
      setTimeout(end("SIGTERM"), place.timeoutMs),
      setTimeout(end("SIGKILL"), place.timeoutMs + 10_000),
    );
  }
  try {
    const exitCode = await new Promise<number>((resolve) => {
      child.on("error", (error) => {
        process.stderr.write(`cannot run ${file}: ${error.message}\n`);
        resolve(127);
      });
      child.on("close", (code) => resolve(code ?? 1));
    });
    return { exitCode, timedOut };
  } finally {
    for (const timer of timers) {
      clearTimeout(timer);
    }
    if (pid !== undefined) {
      running.delete(pid);
    }
  }
}
