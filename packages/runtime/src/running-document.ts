import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ConfigRef, ConfigRefSchema, QuorateError } from "@quorate/contracts";
import { z } from "zod";
import { readStateFile } from "./state-file.ts";

/** Where the running document may be read from. */
export interface DocumentPlaces {
  stateDir: string;
  /** The operator's file: the last resort. */
  configFile: string;
  /** The bytes of a text as the history keeps it: `encodeText` of corosync-conf. */
  encodeText(text: string): Uint8Array;
}

/**
 * Who vouches for the document: `running.json`, which lies beside it; the history, of which it is the newest whole
 * entry; the evaluator, which promised its digest; nobody, as for a file that was placed here by hand where nothing
 * else is; or nobody, and it is the operator's file.
 */
type DocumentWitness = "running.json" | "history" | "evaluator" | "placed by hand" | "operator's file";

export interface RunningDocument {
  bytes: Uint8Array;
  witness: DocumentWitness;
  /** What it is known as; null when only its own `config_version` says. */
  ref: ConfigRef | null;
  /** Why an earlier witness did not do; null when nothing was wrong. */
  refused: QuorateError | null;
}

const RunningSchema = ConfigRefSchema;
const EntrySchema = z.object({ ref: ConfigRefSchema, text: z.string() });
const PromiseSchema = z.object({ stored: ConfigRefSchema });
const ENTRY_NAME = /^\d{12,}-\d{12,}\.json$/;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function attempt<Value>(read: () => Value, note: (error: QuorateError) => void): Value | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    note(error);
    return null;
  }
}

function readBytes(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** Names of the history's entries, newest first; none when there is no history. */
function entryNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => ENTRY_NAME.test(name))
      .sort()
      .reverse();
  } catch {
    return [];
  }
}

/**
 * The document this node runs on, with the witness that it is the one: no service acts upon bytes that nobody vouches
 * for while somebody could. The document of `running.conf` is good when `running.json` has its digest. A crash between
 * the two, or a damaged disk, leaves the newest whole entry of the history, or the evaluator's promise of this
 * digest. When all of that is lost, the operator's file says where the other nodes are, and the register is
 * fetched from them before it counts.
 * Throws QuorateError STATE_MISSING or STATE_CORRUPT when there is nothing to start from.
 */
export function readRunningDocument(places: DocumentPlaces): RunningDocument {
  const folder = join(places.stateDir, "config");
  const conf = join(folder, "running.conf");
  let refused: QuorateError | null = null;
  const note = (error: QuorateError) => {
    refused ??= error;
  };
  const found = (bytes: Uint8Array, witness: DocumentWitness, ref: ConfigRef | null): RunningDocument => ({
    bytes,
    witness,
    ref,
    refused,
  });
  const bytes = readBytes(conf);
  const digest = bytes === null ? null : sha256(bytes);
  let jsonRefused = false;
  const running = attempt(
    () => readStateFile(join(folder, "running.json"), RunningSchema),
    (error) => {
      jsonRefused = true;
      note(error);
    },
  );
  if (bytes !== null && running !== null && running.digest === digest) {
    return found(bytes, "running.json", running);
  }
  if (bytes !== null && running !== null) {
    const hint = "Nothing has to be done: a copy is used. Look at the disk (dmesg, smartctl).";
    note(new QuorateError("STATE_CORRUPT", `${conf} has not the digest that running.json names.`, hint));
  }
  const names = entryNames(join(folder, "history"));
  for (const name of names) {
    const entry = attempt(() => readStateFile(join(folder, "history", name), EntrySchema), note);
    if (entry === null) continue;
    const text = places.encodeText(entry.text);
    if (sha256(text) === entry.ref.digest) return found(text, "history", entry.ref);
  }
  const promised = attempt(() => readStateFile(join(places.stateDir, "evaluator.json"), PromiseSchema), note);
  if (bytes !== null && promised !== null && promised.stored.digest === digest) {
    return found(bytes, "evaluator", promised.stored);
  }
  if (bytes !== null && running === null && !jsonRefused && names.length === 0) {
    return found(bytes, "placed by hand", null);
  }
  // Without any trace of a state this would be a new node, and a new node is made by `quorate init`.
  const hadState = bytes !== null || running !== null || jsonRefused || names.length > 0 || promised !== null;
  const operators = hadState ? readBytes(places.configFile) : null;
  if (operators !== null) {
    const isPromised = promised !== null && promised.stored.digest === sha256(operators);
    return found(operators, "operator's file", isPromised ? promised.stored : null);
  }
  throw nothingToStartFrom(places.stateDir, conf, refused);
}

function nothingToStartFrom(stateDir: string, conf: string, refused: QuorateError | null): QuorateError {
  const restore =
    `If this node is new: quorate init --config FILE --node-id N --state-dir ${stateDir}. ` +
    "If it had state before, do not restore an old copy and do not init: put config/running.conf of another node " +
    "there, and nothing else; the node then starts without a vote and the master re-admits it.";
  return refused === null
    ? new QuorateError("STATE_MISSING", `${conf} is missing.`, restore)
    : new QuorateError("STATE_CORRUPT", `No copy of ${conf} can be trusted: ${refused.message}`, restore);
}
