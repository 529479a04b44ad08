import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A process named for ever on this boot: the start time tells it from a later one with the same number. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot at which it started: field 22 of /proc/PID/stat. */
  startTime: string;
}

/** Start time of a living process; null when there is none of that number, or it is a zombie. */
export function processStartTime(pid: number): string | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The name in parentheses may itself hold blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return null;
  return fields[19] ?? null;
}

export function identifyProcess(pid: number): ProcessIdentity | null {
  const startTime = processStartTime(pid);
  return startTime === null ? null : { pid, startTime };
}

export function isAlive(process: ProcessIdentity): boolean {
  return processStartTime(process.pid) === process.startTime;
}

export function pidFilePath(runDir: string, name: string): string {
  return join(runDir, "pids", `${name}.pid`);
}

function formatPidFile(process: ProcessIdentity): string {
  return `${process.pid} ${process.startTime}\n`;
}

/**
 * Written in one step and not made durable: it ends with the boot. Best effort; without it the process is known again
 * by its arguments.
 */
export function writePidFile(path: string, process: ProcessIdentity): void {
  try {
    const temporary = `${path}.new`;
    writeFileSync(temporary, formatPidFile(process));
    renameSync(temporary, path);
  } catch {
    // A full run directory must end no supervisor.
  }
}

/** The process a pid file names, if it is alive; null for a missing, broken or outdated file. */
export function readPidFile(path: string): ProcessIdentity | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  const match = /^(\d+) (\d+)\s*$/.exec(text);
  if (match === null) return null;
  const process = { pid: Number(match[1]), startTime: match[2] ?? "" };
  return isAlive(process) ? process : null;
}
