import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type NodeId, type VmRecord, VmRecordSchema, type VmReport } from "@quorate/contracts";

const TABLES = `
  CREATE TABLE IF NOT EXISTS record (node INTEGER NOT NULL, vm TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (node, vm)) STRICT;
  CREATE TABLE IF NOT EXISTS definition (digest TEXT PRIMARY KEY, xml TEXT NOT NULL) STRICT;`;

interface Seen {
  readonly incarnation: number;
  readonly sequence: number;
  readonly records: string;
}

/**
 * This node's replica of every node's inventory: what the dead had, for whoever becomes master. Each node is the only
 * writer of its own records; here they are only copied. A record may be lost that was changed within the last moment
 * before its writer died and had not come here yet: the machine then starts as it was defined before.
 */
export class InventoryStore {
  readonly #database: DatabaseSync;
  readonly #seen = new Map<NodeId, Seen>();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Opens the replica, or begins one. A file that SQLite cannot use is set aside as `<path>.corrupt` and `setAside`
   * says why: what it had comes again with the next report of each living node.
   */
  static open(path: string): { store: InventoryStore; setAside: string | null } {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return { store: InventoryStore.#try(path), setAside: null };
    } catch (error) {
      for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
      renameSync(path, `${path}.corrupt`);
      return { store: InventoryStore.#try(path), setAside: (error as Error).message };
    }
  }

  static #try(path: string): InventoryStore {
    const database = new DatabaseSync(path, { timeout: 1000 });
    try {
      chmodSync(path, 0o600);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;");
      database.exec(TABLES);
      const [{ quick_check: verdict } = { quick_check: "nothing" }] = database
        .prepare("PRAGMA quick_check(1)")
        .all() as { quick_check: string }[];
      if (verdict !== "ok") throw new Error(verdict);
    } catch (error) {
      database.close();
      throw error;
    }
    return new InventoryStore(database);
  }

  /** Copies what a node says of itself; says whether anything changed. Older reports than the newest known are dropped. */
  take(report: VmReport): boolean {
    const { node, incarnation, sequence } = report;
    const known = this.#seen.get(node);
    if (known !== undefined) {
      const older =
        incarnation < known.incarnation || (incarnation === known.incarnation && sequence <= known.sequence);
      if (older) return false;
    }
    const records = JSON.stringify([report.records, report.recordsLost === true]);
    const changed = records !== known?.records;
    // Of a host whose disk has lost them the others are the memory.
    if (changed) this.#replace(node, report.recordsLost === true ? this.#kept(report) : report.records);
    this.#seen.set(node, { incarnation, sequence, records });
    return changed;
  }

  #kept({ node, records }: VmReport): VmRecord[] {
    const named = new Set(records.map(({ vm }) => vm));
    const earlier = this.records().filter((each) => each.node === node && !named.has(each.record.vm));
    return [...records, ...earlier.map(({ record }) => record)];
  }

  #replace(node: NodeId, records: readonly VmRecord[]): void {
    const insert = this.#database.prepare("INSERT INTO record (node, vm, body) VALUES (?, ?, ?)");
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      this.#database.prepare("DELETE FROM record WHERE node = ?").run(node);
      for (const record of records) insert.run(node, record.vm, JSON.stringify(record));
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Every node's records, sorted. One that an earlier version wrote otherwise is left out: its node says it anew. */
  records(): { node: NodeId; record: VmRecord }[] {
    const rows = this.#database.prepare("SELECT node, body FROM record ORDER BY node, vm").all() as {
      node: NodeId;
      body: string;
    }[];
    return rows.flatMap(({ node, body }) => {
      const record = VmRecordSchema.safeParse(JSON.parse(body));
      return record.success ? [{ node, record: record.data }] : [];
    });
  }

  hasDefinition(digest: string): boolean {
    return this.#database.prepare("SELECT 1 FROM definition WHERE digest = ?").get(digest) !== undefined;
  }

  definition(digest: string): string | null {
    const row = this.#database.prepare("SELECT xml FROM definition WHERE digest = ?").get(digest) as
      | { xml: string }
      | undefined;
    return row?.xml ?? null;
  }

  /** Keeps a definition; false when it is not the one that the digest names. */
  addDefinition(digest: string, xml: string): boolean {
    if (createHash("sha256").update(xml).digest("hex") !== digest) return false;
    this.#database.prepare("INSERT OR IGNORE INTO definition (digest, xml) VALUES (?, ?)").run(digest, xml);
    return true;
  }

  /** Drops definitions that no record names any more. */
  sweep(): void {
    const named = new Set(
      this.records().flatMap(({ record }) => [record.definition, record.started?.definition ?? []].flat()),
    );
    const all = this.#database.prepare("SELECT digest FROM definition").all() as { digest: string }[];
    const drop = this.#database.prepare("DELETE FROM definition WHERE digest = ?");
    for (const { digest } of all) if (!named.has(digest)) drop.run(digest);
  }

  close(): void {
    this.#database.close();
  }
}
