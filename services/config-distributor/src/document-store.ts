import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import {
  compareConfigRefs,
  type ConfigRef,
  ConfigRefSchema,
  NodeIdSchema,
  QuorateError,
  ReasonSchema,
} from "@quorate/contracts";
import { type DocumentTools, type StoredDocument, sameContent, sameRef } from "@quorate/core-config";
import { decodeText, documentDigest, encodeText } from "@quorate/corosync-conf";
import { type Logger, readStateFile, writeFileDurably, writeStateFile } from "@quorate/runtime";
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
  readonly #place: Place;
  readonly #logger: Logger;
  /** Oldest first. */
  #entries: HistoryEntry[];
  readonly #digests = new Set<string>();

  private constructor(place: Place, entries: HistoryEntry[], logger: Logger) {
    this.#place = place;
    this.#entries = entries;
    this.#logger = logger;
    for (const entry of entries) this.#digests.add(entry.ref.digest);
  }

  /**
   * Reads what is there and repairs what a crash left half done.
   * Throws QuorateError STATE_MISSING (never initialised) or STATE_CORRUPT (nothing can be trusted).
   */
  static async open(
    stateDir: string,
    tools: Pick<DocumentTools, "read">,
    logger: Logger,
  ): Promise<{ store: DocumentStore; document: StoredDocument }> {
    const folder = join(stateDir, "config");
    const place: Place = {
      runningConf: join(folder, "running.conf"),
      runningJson: join(folder, "running.json"),
      history: join(folder, "history"),
    };
    const running = readRunning(place, stateDir, tools);
    mkdirSync(place.history, { recursive: true, mode: 0o700 });
    const { entries, newest } = readHistory(place.history, logger);
    const store = new DocumentStore(place, entries, logger);
    if (running.ok && (newest === null || compareConfigRefs(newest.ref, running.document.ref) < 0)) {
      await store.#write(running.document);
      return { store, document: running.document };
    }
    if (newest === null) {
      throw running.ok
        ? new Error("unreachable: a good running document is newer than nothing")
        : running.error;
    }
    if (running.ok && sameRef(newest.ref, running.document.ref)) return { store, document: newest };
    logger.warn({ ref: newest.ref }, "running.conf was behind the history and is written anew");
    await store.#write(newest);
    return { store, document: newest };
  }

  /** Newest first. */
  history(limit: number): HistoryEntry[] {
    return this.#entries.slice(-limit).reverse();
  }

  /** Whether some document of the history has this digest. */
  hasDigest(digest: string): boolean {
    return this.#digests.has(digest);
  }

  /** Makes a document durable. Never throws; after `surelyAbsent` no restart will find it. */
  async write(document: StoredDocument): Promise<StoreResult> {
    try {
      await this.#write(document);
      return { ok: true };
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      const path = join(this.#place.history, entryName(document.ref));
      return { ok: false, surelyAbsent: isSurelyAbsent(path), error };
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

type Running = { ok: true; document: StoredDocument } | { ok: false; error: QuorateError };

function readRunning(place: Place, stateDir: string, tools: Pick<DocumentTools, "read">): Running {
  const restore =
    "If this node is new, make its state with `quorate init`. If it had state before, restore the folder from " +
    "the disk it was on; an empty folder is not a new node.";
  if (!existsSync(place.runningConf) && !existsSync(place.history)) {
    const message = `${stateDir} holds no configuration.`;
    return { ok: false, error: new QuorateError("STATE_MISSING", message, restore) };
  }
  const corrupt = (what: string): Running => ({
    ok: false,
    error: new QuorateError("STATE_CORRUPT", `${place.runningConf} cannot be trusted: ${what}.`, restore),
  });
  let text: string;
  try {
    text = decodeText(readFileSync(place.runningConf));
  } catch (error) {
    return corrupt((error as Error).message);
  }
  try {
    const running = readStateFile(place.runningJson, RunningSchema);
    if (running === null) {
      // `quorate init` leaves the document alone. Were it our own running.json that was lost, the evaluator's
      // promise is newer than term 0 and has the register repaired before it counts for anything.
      const verdict = tools.read(text, place.runningConf);
      if (!verdict.ok) return corrupt(verdict.reason.message);
      const ref = { term: 0, version: verdict.config.configVersion, digest: documentDigest(text) };
      const reason = { code: "INIT", message: "Written by `quorate init`." };
      return { ok: true, document: { ref, text, from: null, reason, stickinessDue: false } };
    }
    const { term, version, digest, from, reason, stickinessDue } = running;
    if (documentDigest(text) !== digest) return corrupt("its digest is not the one in running.json");
    return { ok: true, document: { ref: { term, version, digest }, text, from, reason, stickinessDue } };
  } catch (error) {
    if (error instanceof QuorateError) return corrupt(error.message);
    throw error;
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
    try {
      const entry = readStateFile(join(folder, name), EntrySchema);
      if (entry === null) continue;
      const { ref, storedAt, from, reason, stickinessDue, text } = entry;
      if (documentDigest(text) !== ref.digest || entryName(ref) !== name) continue;
      entries.push({ ref, storedAt, from, reason });
      if (newest === null || compareConfigRefs(ref, newest.ref) > 0) {
        newest = { ref, text, from, reason, stickinessDue };
      }
    } catch (error) {
      logger.warn({ file: name, error: String(error) }, "a document of the history cannot be read");
    }
  }
  entries.sort((left, right) => compareConfigRefs(left.ref, right.ref));
  return { entries, newest };
}
