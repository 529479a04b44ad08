import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";

export const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
export const LOG_KEPT = 3;

/** Open for appending, so that what is written after a truncation lands at the new end. */
export function openLog(path: string): number {
  return openSync(path, "a", 0o640);
}

/**
 * Keeps `path` below the limit: copies it to `path.1` (older ones move up, three are kept) and empties it. The
 * writer keeps its file. What it writes between copy and truncation is lost: a few lines in ten megabytes.
 */
export function rotateLog(path: string, limitBytes: number = LOG_LIMIT_BYTES): boolean {
  try {
    if (statSync(path).size < limitBytes) return false;
  } catch {
    return false;
  }
  for (let index = LOG_KEPT - 1; index >= 1; index--) {
    try {
      renameSync(`${path}.${index}`, `${path}.${index + 1}`);
    } catch {
      // There is none of that age yet.
    }
  }
  try {
    copyFileSync(path, `${path}.1`);
  } catch {
    // The disk is full: old lines are what can be given up. The supervisor must not end for them.
    rmSync(`${path}.1`, { force: true });
  }
  truncateSync(path);
  return true;
}

/** All logs of the folder: of our programs, and of the managed service, which the failover-actuator starts. */
export function rotateLogs(folder: string, limitBytes: number = LOG_LIMIT_BYTES): void {
  for (const file of readdirSync(folder).sort()) {
    if (file.endsWith(".log")) rotateLog(join(folder, file), limitBytes);
  }
}

/** The last line that says something, as one sentence for people; empty when there is none. */
export function lastWords(path: string): string {
  let text = "";
  try {
    const { size } = statSync(path);
    const buffer = Buffer.alloc(Math.min(size, 8192));
    const file = openSync(path, "r");
    try {
      readSync(file, buffer, 0, buffer.length, size - buffer.length);
    } finally {
      closeSync(file);
    }
    text = buffer.toString("utf8");
  } catch {
    return "";
  }
  const line = text.trimEnd().split("\n").at(-1) ?? "";
  try {
    const entry = JSON.parse(line) as { message?: unknown; hint?: unknown };
    const words = typeof entry.message === "string" ? entry.message : "";
    return (typeof entry.hint === "string" ? `${words} ${entry.hint}` : words).slice(0, 400);
  } catch {
    return line.slice(0, 400);
  }
}
