import { chmodSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Decision, decisionWeight } from "@quorate/contracts";
import { CREATE_TABLES, JOURNAL_FORMAT, type JournalRow, rowOf } from "./schema.ts";

export interface JournalBounds {
  /** Rows that say how something came about go first; what is important has room of its own. */
  detailRows: number;
  importantRows: number;
  ageMs: number;
}

/** About 12 MB. */
export const JOURNAL_BOUNDS: JournalBounds = {
  detailRows: 20_000,
  importantRows: 10_000,
  ageMs: 180 * 24 * 3600 * 1000,
};

/** Of SQLite's kinds of errors (the low byte of its code) those that pass: rights, busy, memory, disk, full, open. */
const PASSING_KINDS: readonly number[] = [3, 5, 6, 7, 8, 10, 13, 14];

/** Whether what SQLite says can only come of a damaged file: its pages, or the tables that they describe. */
export function isCorruption(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" && !PASSING_KINDS.includes(code & 0xff);
}

/**
 * The node's journal for writing. One writer at a time (the journal service); readers do not disturb it.
 * A commit is in the kernel's page cache and survives every end of the process; `sync` makes it survive a power cut.
 */
export class JournalStore {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #bounds: JournalBounds;
  readonly #insert: StatementSync;
  readonly #inode: number;

  private constructor(path: string, database: DatabaseSync, bounds: JournalBounds) {
    this.path = path;
    this.#database = database;
    this.#bounds = bounds;
    this.#inode = statSync(path).ino;
    this.#insert = database.prepare(
      `INSERT OR IGNORE INTO decision (run, seq, service, node, boot, wall_ms, mono_us, code, message, facts, event,
        old, new, event_id, cause_id, term, view, config, weight)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  /**
   * Opens the journal, or begins one. A file that cannot be trusted is set aside as `<path>.corrupt` (one is kept) and
   * a new one begun: `setAside` says why. `distrust`: it is known to be damaged, whatever the check finds. Throws what SQLite throws when no journal can be had at all (disk full).
   */
  static open(
    path: string,
    bounds: JournalBounds = JOURNAL_BOUNDS,
    distrust: string | null = null,
  ): { store: JournalStore; setAside: string | null } {
    try {
      if (distrust !== null) throw new Corrupt(distrust);
      return { store: JournalStore.#try(path, bounds), setAside: null };
    } catch (error) {
      if (!isCorruption(error) && !(error instanceof UnknownFormat)) throw error;
      setAside(path);
      return { store: JournalStore.#try(path, bounds), setAside: (error as Error).message };
    }
  }

  static #try(path: string, bounds: JournalBounds): JournalStore {
    const database = new DatabaseSync(path, { timeout: 1000 });
    // SQLite gives the files beside it the same mode.
    chmodSync(path, 0o600);
    try {
      database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512; PRAGMA wal_autocheckpoint = 256;",
      );
      const { user_version: format } = database.prepare("PRAGMA user_version").get() as {
        user_version: number;
      };
      const { count } = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get() as {
        count: number;
      };
      if (format !== JOURNAL_FORMAT && count > 0) throw new UnknownFormat(format);
      const { integrity_check: verdict } = database.prepare("PRAGMA integrity_check(1)").get() as {
        integrity_check: string;
      };
      if (verdict !== "ok") throw new Corrupt(verdict);
      if (count === 0) database.exec(CREATE_TABLES);
      return new JournalStore(path, database, bounds);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** All or none. What is known already (run and number) stays as it was. */
  insert(decisions: readonly Decision[]): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const one of decisions) {
        this.#insert.run(
          one.run,
          one.seq,
          one.service,
          one.node,
          one.bootId,
          one.wallMs,
          one.monoUs,
          one.code,
          one.message,
          JSON.stringify(one.facts),
          one.event,
          JSON.stringify(one.old ?? null),
          JSON.stringify(one.new ?? null),
          one.eventId,
          one.causeId,
          one.term,
          one.view,
          one.config,
          decisionWeight(one.service, one.code, one.event),
        );
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** The newest number of each run of the boot. */
  newestByRun(bootId: string): Map<string, number> {
    const rows = this.#database
      .prepare("SELECT run, max(seq) AS newest FROM decision WHERE boot = ? GROUP BY run")
      .all(bootId) as Array<{ run: string; newest: number }>;
    return new Map(rows.map(({ run, newest }) => [run, newest]));
  }

  /** The last decision of that process that is kept, or of any when none is named. */
  last(service?: string): JournalRow | null {
    const row =
      service === undefined
        ? this.#database.prepare("SELECT * FROM decision ORDER BY id DESC LIMIT 1").get()
        : this.#database
            .prepare("SELECT * FROM decision WHERE service = ? ORDER BY id DESC LIMIT 1")
            .get(service);
    return row === undefined ? null : rowOf(row);
  }

  /** Takes out what is too old or too much. Answers how many rows went. Writes nothing when none has to go. */
  prune(nowMs: number): number {
    const { detailRows, importantRows, ageMs } = this.#bounds;
    const remove = (sql: string, ...values: number[]) =>
      Number(this.#database.prepare(sql).run(...values).changes);
    const beyond = (weights: string, rows: number) =>
      remove(
        `DELETE FROM decision WHERE weight IN (${weights}) AND id <=
          (SELECT id FROM decision WHERE weight IN (${weights}) ORDER BY id DESC LIMIT 1 OFFSET ?)`,
        rows,
      );
    return (
      // A wall clock that was far ahead for a while left rows of the future: they go by their number alone.
      remove("DELETE FROM decision WHERE wall_ms < ?", nowMs - ageMs) +
      beyond("'detail'", detailRows) +
      beyond("'notable', 'important'", importantRows)
    );
  }

  count(): number {
    return (this.#database.prepare("SELECT count(*) AS count FROM decision").get() as { count: number })
      .count;
  }

  /** Makes what was committed survive a power cut. Does not hold up whoever else runs in this process. */
  async sync(): Promise<void> {
    for (const path of [`${this.path}-wal`, this.path]) {
      if (!existsSync(path)) continue;
      const file = await open(path, "r");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
  }

  /** False when somebody removed or replaced the file: what is written goes where nobody reads it. */
  isInPlace(): boolean {
    try {
      return statSync(this.path).ino === this.#inode;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#database.close();
  }
}

class UnknownFormat extends Error {
  constructor(format: number) {
    super(`the journal has format ${format}, this version knows ${JOURNAL_FORMAT}`);
  }
}

class Corrupt extends Error {
  readonly errcode = 11;
}

function setAside(path: string): void {
  rmSync(`${path}.corrupt`, { force: true });
  renameSync(path, `${path}.corrupt`);
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
}
