import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { z } from "zod";
import { sweepTemporaries, writeFileDurably, writeFileDurablySync } from "./durable-file.ts";

/*
 * A state file is one header line and one line of JSON:
 *   quorate-state 1 sha256=<hex of everything after this line>
 * The digest tells a torn or edited file from a good one; a rename alone does not survive every file system, and a
 * disk may give back other bytes than it was given.
 */
const HEADER = /^quorate-state 1 sha256=([0-9a-f]{64})\n/;
const HEADER_BYTES = "quorate-state 1 sha256=".length + 64 + 1;
const OTHER_FORMAT = /^quorate-state (\d+) /;
const REFUSED_SUFFIX = ".refused";

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function encode(state: unknown): string {
  const body = `${JSON.stringify(state)}\n`;
  return `quorate-state 1 sha256=${sha256(Buffer.from(body))}\n${body}`;
}

const REMEDY =
  "Do not edit or copy state files by hand. Nothing has to be done for the node: it goes on as if it had forgotten " +
  "what stood there, and learns it anew from the others. Look at the disk (dmesg, smartctl).";

function torn(path: string): QuorateError {
  return new QuorateError("STATE_TORN", `${path} ends in the middle.`, REMEDY);
}

function corrupt(path: string, what: string): QuorateError {
  return new QuorateError("STATE_CORRUPT", `${path} cannot be trusted: ${what}.`, REMEDY);
}

function foreign(path: string, what: string): QuorateError {
  return new QuorateError(
    "STATE_FOREIGN",
    `${path} is whole, but was not written by this version: ${what}.`,
    "Was an older version of Quorate put in the place of a newer one? Install the newer one again. " +
      "Until then the node goes on as if it had forgotten what stood there.",
  );
}

/** What a state file's bytes hold. Throws QuorateError STATE_TORN, STATE_CORRUPT or STATE_FOREIGN. */
function decode(path: string, bytes: Buffer): unknown {
  const header = HEADER.exec(bytes.subarray(0, HEADER_BYTES).toString("latin1"));
  // JSON has no line break of its own, so what was cut off anywhere has lost the one at the end.
  const isCut = bytes.length <= HEADER_BYTES || bytes.at(-1) !== 0x0a;
  if (header === null) {
    const other = OTHER_FORMAT.exec(bytes.subarray(0, HEADER_BYTES).toString("latin1"))?.[1];
    if (other !== undefined && other !== "1" && bytes.at(-1) === 0x0a)
      throw foreign(path, `it has format ${other}`);
    throw isCut ? torn(path) : corrupt(path, "the header line is missing or broken");
  }
  const body = bytes.subarray(HEADER_BYTES);
  if (sha256(body) !== header[1]) {
    throw isCut ? torn(path) : corrupt(path, "the digest does not match the content");
  }
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw corrupt(path, "the content is not JSON");
  }
}

function readBytes(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw corrupt(path, (error as Error).message);
  }
}

/**
 * The state last written, or null when there is no such file. Throws QuorateError STATE_TORN (cut off), STATE_CORRUPT
 * (other bytes than were written), or STATE_FOREIGN (whole, but of a form that this version does not know).
 */
export function readStateFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): z.output<Schema> | null {
  const bytes = readBytes(path);
  if (bytes === null) return null;
  const parsed = schema.safeParse(decode(path, bytes));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw foreign(
    path,
    `the content has not the agreed form (${issue?.path.join(".") ?? ""}: ${issue?.message ?? "?"})`,
  );
}

interface TakenState<State> {
  /** Null when there is no file, or it was refused. */
  state: State | null;
  /** Why it was refused. The caller then starts as if it had never known, whatever that means for it. */
  refused: QuorateError | null;
}

/**
 * Reads a state file for the process that owns it, at its start. A file that is refused is moved to
 * `<path>.refused`, where `quorate status` finds it: no later start stumbles over it again. Also removes what
 * a writer that was killed has left. Never throws for what it finds on the disk.
 */
export function takeStateFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): TakenState<z.output<Schema>> {
  sweepTemporaries(dirname(path));
  try {
    return { state: readStateFile(path, schema), refused: null };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { state: null, refused: setAside(path, error) };
  }
}

/** Moves a refused file to `<path>.refused` and answers the refusal with its new place. Never throws. */
export function setAside(path: string, error: QuorateError): QuorateError {
  const aside = `${path}${REFUSED_SUFFIX}`;
  try {
    renameSync(path, aside);
  } catch (cause) {
    // It is written over as soon as the disk takes writes again; until then it is refused again.
    return new QuorateError(error.code, `${error.message} It could not be moved away.`, error.hint, {
      cause,
    });
  }
  return new QuorateError(error.code, `${error.message} It was kept as ${aside}.`, error.hint, {
    cause: error,
  });
}

export interface RefusedFile {
  path: string;
  code: QuorateError["code"];
  message: string;
  /** Wall clock, when it was moved away. */
  atMs: number;
}

/** The files of a folder that were once refused and still lie there, by name. Unreadable folders hold none. */
export function refusedStateFiles(folder: string): RefusedFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(REFUSED_SUFFIX));
  } catch {
    return [];
  }
  return names.sort().flatMap((name) => {
    const path = join(folder, name);
    const original = path.slice(0, -REFUSED_SUFFIX.length);
    try {
      const { code, message } = whyRefused(original, readFileSync(path));
      return [{ path, code, message, atMs: statSync(path).ctimeMs }];
    } catch {
      // Removed while we looked.
      return [];
    }
  });
}

function whyRefused(path: string, bytes: Buffer): QuorateError {
  if (path.endsWith(".conf")) return corrupt(path, "it is not the document that its digest names");
  try {
    decode(path, bytes);
    return foreign(path, "its content has not the form that was expected");
  } catch (error) {
    return error instanceof QuorateError ? error : corrupt(path, String(error));
  }
}

/** Makes `state` durable, then resolves. Throws QuorateError DISK_FULL. */
export async function writeStateFile(path: string, state: unknown): Promise<void> {
  await writeFileDurably(path, encode(state), { mode: 0o600 });
}

/** Makes `state` durable before it returns (about 1.5 ms): persist, then send. Throws QuorateError DISK_FULL. */
export function writeStateFileSync(path: string, state: unknown): void {
  writeFileDurablySync(path, encode(state), { mode: 0o600 });
}
