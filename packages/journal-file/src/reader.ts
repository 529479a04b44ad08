import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { type Decision, decisionWeight, QuorateError } from "@quorate/contracts";
import { JOURNAL_FORMAT, type JournalRow, rowOf } from "./schema.ts";

export interface JournalQuery {
  /** Wall clock, milliseconds since 1970. */
  fromMs?: number;
  untilMs?: number;
  /** The newest so many. */
  limit: number;
  /** Only what came after that row. */
  afterId?: number;
  services?: readonly string[];
  /** Without details. */
  notableOnly?: boolean;
}

/**
 * The rows of the journal that fit, oldest first. Reads the file, whether or not the node runs; changes nothing.
 * Throws QuorateError JOURNAL_MISSING, JOURNAL_UNREADABLE.
 */
export function readJournal(path: string, query: JournalQuery): JournalRow[] {
  if (!existsSync(path)) {
    throw new QuorateError(
      "JOURNAL_MISSING",
      `${path} does not exist: this node has kept no journal.`,
      "Name the node's state directory with --state-dir; the journal is begun when the node runs (quorate node run).",
    );
  }
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 });
    try {
      return select(database, query);
    } finally {
      database.close();
    }
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    throw new QuorateError(
      "JOURNAL_UNREADABLE",
      `${path} cannot be read: ${(error as Error).message}.`,
      "Be root. A damaged journal is set aside when the node's journal service starts again; the processes' own logs are in the log folder beside it.",
      { cause: error },
    );
  }
}

function select(database: DatabaseSync, query: JournalQuery): JournalRow[] {
  const { user_version: format } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (format !== JOURNAL_FORMAT)
    throw new Error(`it has format ${format}, this version knows ${JOURNAL_FORMAT}`);
  const conditions: string[] = [];
  const values: Array<string | number> = [];
  const where = (sql: string, ...more: Array<string | number>) => {
    conditions.push(sql);
    values.push(...more);
  };
  if (query.fromMs !== undefined) where("wall_ms >= ?", query.fromMs);
  if (query.untilMs !== undefined) where("wall_ms <= ?", query.untilMs);
  if (query.afterId !== undefined) where("id > ?", query.afterId);
  if (query.notableOnly === true) where("weight <> 'detail'");
  if (query.services !== undefined && query.services.length > 0) {
    where(`service IN (${query.services.map(() => "?").join(", ")})`, ...query.services);
  }
  const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const stored = database
    .prepare(`SELECT * FROM decision ${filter} ORDER BY id DESC LIMIT ?`)
    .all(...values, query.limit);
  return inOrder(stored.map(rowOf).filter((row) => row !== null));
}

/** By boot as they were first seen, then by the clock that all processes of a host share. */
export function inOrder(rows: readonly JournalRow[]): JournalRow[] {
  const firstOfBoot = new Map<string, number>();
  for (const row of rows) {
    firstOfBoot.set(row.bootId, Math.min(firstOfBoot.get(row.bootId) ?? row.id, row.id));
  }
  const boot = (row: JournalRow) => firstOfBoot.get(row.bootId) ?? 0;
  return rows.toSorted(
    (left, right) => boot(left) - boot(right) || left.monoUs - right.monoUs || left.id - right.id,
  );
}

/** Decisions that the journal service has not written yet, as rows after those of the file. */
export function asRows(decisions: readonly Decision[], known: readonly JournalRow[]): JournalRow[] {
  const names = new Set(known.map(({ run, seq }) => `${run} ${seq}`));
  const newest = Math.max(0, ...known.map(({ id }) => id));
  return decisions
    .filter(({ run, seq }) => !names.has(`${run} ${seq}`))
    .map((decision, index) => ({
      ...decision,
      id: newest + 1 + index,
      weight: decisionWeight(decision.service, decision.code, decision.event),
    }));
}
