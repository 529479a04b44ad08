import { mkdirSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import {
  assertNever,
  compareConfigRefs,
  type ConfigRef,
  ConfigRefSchema,
  NodeIdSchema,
  QuorateError,
  ReasonSchema,
} from "@quorate/contracts";
import { type DocumentTools, type StoredDocument, sameContent, sameRef } from "@quorate/core-config";
import { decodeText, documentDigest, encodeText } from "@quorate/corosync-conf";
import {
  type DocumentPlaces,
  type Logger,
  type RunningDocument,
  readRunningDocument,
  readStateFile,
  setAside,
  sweepTemporaries,
  writeFileDurably,
  writeStateFile,
} from "@quorate/runtime";
import { z } from "zod";

/** How many documents are kept. */
export const HISTORY_LIMIT = 200;

/** `running.json`: the ref, and what else we know of the document. */
const RunningSchema = ConfigRefSchema.extend({
  from: NodeIdSchema.nullable().default(null),
  reason: ReasonSchema.default({ code: "INIT", message: "Written by `quorate init`." }),
  stickinessDue: z.boolean().default(false),
});

const EntrySchema = z.object({
  ref: ConfigRefSchema,
  storedAt: z.string(),
  from: NodeIdSchema.nullable(),
  reason: ReasonSchema,
  stickinessDue: z.boolean(),
  text: z.string(),
});

export interface HistoryEntry {
  readonly ref: ConfigRef;
  readonly storedAt: string;
  readonly from: number | null;
  readonly reason: z.output<typeof ReasonSchema>;
}

export type StoreResult = { ok: true } | { ok: false; surelyAbsent: boolean; error: QuorateError };

interface Place {
  readonly runningConf: string;
  readonly runningJson: string;
  readonly history: string;
}

function entryName(ref: ConfigRef): string {
  return `${String(ref.term).padStart(12, "0")}-${String(ref.version).padStart(12, "0")}.json`;
}

/**
 * The documents of this node on its disk. An entry of the history is the commit point of a write: it holds
 * text and ref in one file, so that a crash never leaves the one without the other; `running.conf` and
 * `running.json` follow from the newest entry and are put right when this opens.
 */
export class DocumentStore {
  readonly #where: Omit<DocumentPlaces, "encodeText">;
  readonly #place: Place;
  readonly #logger: Logger;
  #isWriting = false;
  /** Oldest first. */
  #entries: HistoryEntry[];
  readonly #digests = new Set<string>();

  private constructor(
    where: Omit<DocumentPlaces, "encodeText">,
    place: Place,
    entries: HistoryEntry[],
    logger: Logger,
  ) {
    this.#where = where;
    this.#place = place;
    this.#entries = entries;
    this.#logger = logger;
    for (const entry of entries) this.#digests.add(entry.ref.digest);
  }

  /**
   * Reads what is there and repairs what a crash left half done, or a disk has damaged.
   * Throws QuorateError STATE_MISSING (never initialised), STATE_CORRUPT (nothing can be trusted), or CONFIG_SYNTAX and
   * CONFIG_INVALID (a document that nobody vouches for cannot be used either).
   */
  static async open(
    where: Omit<DocumentPlaces, "encodeText">,
    tools: Pick<DocumentTools, "read">,
    logger: Logger,
  ): Promise<{ store: DocumentStore; document: StoredDocument }> {
    const folder = join(where.stateDir, "config");
    const place: Place = {
      runningConf: join(folder, "running.conf"),
      runningJson: join(folder, "running.json"),
      history: join(folder, "history"),
    };
    for (const one of [folder, place.history]) sweepTemporaries(one);
    const running = readRunningDocument({ ...where, encodeText });
    if (running.refused !== null) keepRefused(place, running, logger);
    mkdirSync(place.history, { recursive: true, mode: 0o700 });
    const { entries, newest } = readHistory(place.history, logger);
    const store = new DocumentStore(where, place, entries, logger);
    const document = newerOf(newest, asDocument(running, place, tools));
    if (running.witness === "running.json" && newest !== null && running.ref !== null) {
      if (sameRef(newest.ref, running.ref)) return { store, document: newest };
    }
    logger.info(
      { ref: document.ref, witness: running.witness },
      "running.conf and its history are written anew",
    );
    await store.#write(document);
    return { store, document };
  }

  /** Newest first. */
  history(limit: number): HistoryEntry[] {
    return this.#entries.slice(-limit).reverse();
  }

  /** Whether some document of the history has this digest. */
  hasDigest(digest: string): boolean {
    return this.#digests.has(digest);
  }

  /**
   * Compares what runs with what lies on the disk, and writes it anew when somebody or something changed it: a service
   * that starts reads it there. Answers whether it had to. Throws QuorateError DISK_FULL.
   */
  async repair(document: StoredDocument): Promise<boolean> {
    if (this.#isWriting || this.#isWhole(document)) return false;
    this.#logger.error(
      { ref: document.ref },
      "running.conf is not what was written there; it is written anew",
    );
    await this.#write(document);
    return true;
  }

  #isWhole(document: StoredDocument): boolean {
    try {
      const { witness, ref, bytes } = readRunningDocument({ ...this.#where, encodeText });
      if (witness !== "running.json" || ref === null) return false;
      return sameRef(ref, document.ref) && decodeText(bytes) === document.text;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return false;
    }
  }

  /** Makes a document durable. Never throws; after `surelyAbsent` no restart will find it. */
  async write(document: StoredDocument): Promise<StoreResult> {
    this.#isWriting = true;
    try {
      await this.#write(document);
      return { ok: true };
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      const path = join(this.#place.history, entryName(document.ref));
      return { ok: false, surelyAbsent: isSurelyAbsent(path), error };
    } finally {
      this.#isWriting = false;
    }
  }

  async #write(document: StoredDocument): Promise<void> {
    const { ref, from, reason, stickinessDue, text } = document;
    const storedAt = new Date().toISOString();
    const path = join(this.#place.history, entryName(ref));
    await writeStateFile(path, { ref, storedAt, from, reason, stickinessDue, text });
    await writeFileDurably(this.#place.runningConf, encodeText(text), { mode: 0o600 });
    await writeStateFile(this.#place.runningJson, { ...ref, from, storedAt, reason, stickinessDue });
    this.#entries = this.#entries.filter((entry) => compareConfigRefs(entry.ref, ref) !== 0);
    this.#entries.push({ ref, storedAt, from, reason });
    this.#entries.sort((left, right) => compareConfigRefs(left.ref, right.ref));
    this.#digests.add(ref.digest);
    this.#prune();
  }

  /** Drops stamps between the first and the newest of one content, then the oldest documents. */
  #prune(): void {
    const kept: HistoryEntry[] = [];
    const dropped: HistoryEntry[] = [];
    for (const [index, entry] of this.#entries.entries()) {
      const before = this.#entries[index - 1];
      const after = this.#entries[index + 1];
      const isMiddle =
        before !== undefined &&
        after !== undefined &&
        sameContent(before.ref, entry.ref) &&
        sameContent(after.ref, entry.ref);
      (isMiddle ? dropped : kept).push(entry);
    }
    while (kept.length > HISTORY_LIMIT) {
      const oldest = kept.shift();
      if (oldest !== undefined) dropped.push(oldest);
    }
    this.#entries = kept;
    for (const entry of dropped) {
      try {
        unlinkSync(join(this.#place.history, entryName(entry.ref)));
      } catch (error) {
        this.#logger.warn({ error: String(error) }, "an old document could not be removed");
      }
    }
    this.#digests.clear();
    for (const entry of kept) this.#digests.add(entry.ref.digest);
  }
}

function isSurelyAbsent(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** What was refused is about to be written over: a copy stays for whoever wants to know why. */
function keepRefused(place: Place, running: RunningDocument, logger: Logger): void {
  const { refused, witness } = running;
  if (refused === null) return;
  logger.error({ code: refused.code, hint: refused.hint, witness }, refused.message);
  if (witness === "running.json") return;
  try {
    if (readStateFile(place.runningJson, RunningSchema) !== null) setAside(place.runningConf, refused);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    setAside(place.runningJson, error);
  }
}

/** The document with all that is known of it, by the word of its witness. */
function asDocument(
  running: RunningDocument,
  place: Place,
  tools: Pick<DocumentTools, "read">,
): StoredDocument {
  const text = decodeText(running.bytes);
  const known = { text, from: null, stickinessDue: false };
  switch (running.witness) {
    case "running.json": {
      const json = readStateFile(place.runningJson, RunningSchema);
      if (json !== null && json.digest === documentDigest(text)) {
        const { term, version, digest, from, reason, stickinessDue } = json;
        return { ref: { term, version, digest }, text, from, reason, stickinessDue };
      }
      break;
    }
    case "history":
    case "evaluator":
    case "operator's file":
    case "placed by hand":
      break;
    default:
      return assertNever(running.witness);
  }
  const reason = {
    code: "RECOVERED",
    message: `Taken over from what was left on the disk (${running.witness}).`,
  };
  if (running.ref !== null) return { ...known, ref: running.ref, reason };
  // `quorate init` of an earlier version, and whoever replaces a lost disk, leaves the document alone. Term 0 is
  // older than anything that the evaluator has promised: the register is repaired before it counts for anything.
  const verdict = tools.read(text, place.runningConf);
  if (!verdict.ok) {
    throw new QuorateError(
      verdict.reason.code === "CONFIG_SYNTAX" ? "CONFIG_SYNTAX" : "CONFIG_INVALID",
      `The configuration cannot be used: ${verdict.reason.message}`,
      "Put config/running.conf of another node into the state folder, and nothing else.",
    );
  }
  const ref = { term: 0, version: verdict.config.configVersion, digest: documentDigest(text) };
  const init = { code: "INIT", message: "Written by `quorate init`." };
  return { ...known, ref, reason: running.witness === "placed by hand" ? init : reason };
}

function newerOf(entry: StoredDocument | null, running: StoredDocument): StoredDocument {
  return entry !== null && compareConfigRefs(entry.ref, running.ref) >= 0 ? entry : running;
}

function takeEntry(path: string, logger: Logger): z.output<typeof EntrySchema> | null {
  try {
    return readStateFile(path, EntrySchema);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    const { code, hint, message } = setAside(path, error);
    logger.warn({ code, hint }, `A document of the history is left out: ${message}`);
    return null;
  }
}

/** Everything readable in the history, oldest first, and the newest whole document. */
function readHistory(
  folder: string,
  logger: Logger,
): { entries: HistoryEntry[]; newest: StoredDocument | null } {
  const entries: HistoryEntry[] = [];
  let newest: StoredDocument | null = null;
  for (const name of readdirSync(folder).sort()) {
    if (!/^\d{12,}-\d{12,}\.json$/.test(name)) continue;
    const entry = takeEntry(join(folder, name), logger);
    if (entry === null) continue;
    const { ref, storedAt, from, reason, stickinessDue, text } = entry;
    if (documentDigest(text) !== ref.digest || entryName(ref) !== name) continue;
    entries.push({ ref, storedAt, from, reason });
    if (newest === null || compareConfigRefs(ref, newest.ref) > 0) {
      newest = { ref, text, from, reason, stickinessDue };
    }
  }
  entries.sort((left, right) => compareConfigRefs(left.ref, right.ref));
  return { entries, newest };
}
