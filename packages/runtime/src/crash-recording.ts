/**
 * What a process with a core leaves behind when it ends by an error that nobody expected: its recording, as
 * `quorate replay` reads it. Processes without a core (journal, supervisor) have nothing that could be replayed: their
 * log has the stack, and that is all there is. A process that is killed leaves nothing.
 */
import { mkdirSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { sweepTemporaries, writeFileDurablySync } from "./durable-file.ts";
import type { InputRecorder } from "./input-recorder.ts";
import { sealRecording } from "./sealed-recording.ts";

type LastWords = Pick<InputRecorder<never, never>, "lastWords">;

/** A process has one core, and one recorder of it. */
let recorderOfThisProcess: LastWords | null = null;

export function rememberForCrash(recorder: LastWords): void {
  recorderOfThisProcess = recorder;
}

/** Of one service: the first ones, which may have the cause, and the newest. Each is a few hundred KB at most. */
export const CRASH_RECORDINGS_KEPT = 4;

const SUFFIX = ".recording.gz";

export function crashFolder(stateDir: string): string {
  return join(stateDir, "crash");
}

export interface CrashRecording {
  service: string;
  path: string;
  atMs: number;
}

/** All that lie there, by service, oldest first. A folder that cannot be read holds none. */
export function crashRecordings(stateDir: string): CrashRecording[] {
  const folder = crashFolder(stateDir);
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX) && !name.startsWith("."));
  } catch {
    return [];
  }
  return names.sort().flatMap((name) => {
    const service = /^(.+)-\d{4}-\d\d-\d\dT/.exec(name)?.[1];
    const path = join(folder, name);
    try {
      return service === undefined ? [] : [{ service, path, atMs: statSync(path).mtimeMs }];
    } catch {
      // Removed while we looked.
      return [];
    }
  });
}

/**
 * Writes the recording of this process, whole or not at all, and answers its path; null when there is none, with
 * `problem` when it could not be kept. Takes as long as a replacement of this process has to wait: about a tenth of a
 * second when the ring is full. Never throws.
 */
export function keepCrashRecording(of: {
  service: string;
  node: number;
  cluster: string;
  stateDir: string;
}): { path: string | null; problem: string | null } {
  const { service, node, cluster, stateDir } = of;
  try {
    const lines = recorderOfThisProcess?.lastWords({ service, node }) ?? "";
    if (lines === "") return { path: null, problem: null };
    const folder = crashFolder(stateDir);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    sweepTemporaries(folder);
    const known = crashRecordings(stateDir).filter((one) => one.service === service);
    for (const { path } of known.slice(CRASH_RECORDINGS_KEPT - 1)) unlinkSync(path);
    const recordedAt = new Date().toISOString();
    const path = join(folder, `${service}-${recordedAt.replaceAll(/[:.]/g, "-")}${SUFFIX}`);
    writeFileDurablySync(path, sealRecording({ cluster, recordedAt, missing: [] }, [lines]));
    return { path, problem: null };
  } catch (error) {
    return { path: null, problem: error instanceof Error ? error.message : String(error) };
  }
}
