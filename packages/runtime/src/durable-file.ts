import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { QuorateError } from "@quorate/contracts";

export interface DurableFileOptions {
  /** Permission bits of the new file; 0600 unless told otherwise. */
  mode?: number;
}

let temporaryCounter = 0;

function temporaryPath(path: string): string {
  temporaryCounter += 1;
  return join(dirname(path), `.${basename(path)}.${process.pid}.${temporaryCounter}.tmp`);
}

/**
 * Removes what writers of files of this folder left that were killed in the middle: on a small disk it would add up.
 * What a living process writes stays. Never throws.
 */
export function sweepTemporaries(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const pid = /^\..+\.(\d+)\.\d+\.tmp$/.exec(name)?.[1];
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) unlinkSync(join(folder, name));
    }
  } catch {
    // Read-only, or somebody else tidies too.
  }
}

function writeFailure(path: string, error: unknown): QuorateError {
  const message = error instanceof Error ? error.message : String(error);
  return new QuorateError(
    "DISK_FULL",
    `Cannot write ${path}: ${message}.`,
    `Make room on, or repair, the file system that holds ${dirname(path)}; the file's old content is untouched.`,
    { cause: error },
  );
}

/**
 * Replaces a file's content so that after the promise every crash, of the process or of the host, leaves the
 * new content, and before it the old or the new one, never a mixture.
 * Throws QuorateError DISK_FULL when the content could not be made durable.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  options: DurableFileOptions = {},
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    const file = await open(temporary, "wx", options.mode ?? 0o600);
    try {
      await file.chmod(options.mode ?? 0o600);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw writeFailure(path, error);
  }
}

/** As `writeFileDurably`, blocking (about 1.5 ms): for state that must be down before a message leaves. */
export function writeFileDurablySync(
  path: string,
  content: string | Uint8Array,
  options: DurableFileOptions = {},
): void {
  const temporary = temporaryPath(path);
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  try {
    const file = openSync(temporary, "wx", options.mode ?? 0o600);
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    const folder = openSync(dirname(path), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // It was never made, or has been renamed: nothing to tidy.
    }
    throw writeFailure(path, error);
  }
}
