import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Mutation } from "./mutation.ts";
import type { Row } from "./run-table.ts";

type Kept = Omit<Row, "mutation">;

/**
 * What earlier runs found, by guard, so that the table may be made in parts. A row belongs to the edits and seeds it
 * was run with; with others it is forgotten. Whether the product has changed since is for whoever writes the table.
 */
export class Records {
  private readonly path: string;
  private rows: Record<string, { key: string; row: Kept }>;

  private constructor(path: string, rows: Record<string, { key: string; row: Kept }>) {
    this.path = path;
    this.rows = rows;
  }

  static open(path: string): Records {
    return new Records(path, read(path));
  }

  of(mutation: Mutation): Row | null {
    const kept = this.rows[mutation.name];
    return kept !== undefined && kept.key === keyOf(mutation) ? { ...kept.row, mutation } : null;
  }

  keep({ mutation, ...row }: Row): void {
    // Another run may have kept some meanwhile.
    this.rows = read(this.path);
    this.rows[mutation.name] = { key: keyOf(mutation), row };
    mkdirSync(dirname(this.path), { recursive: true });
    const temporary = `${this.path}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(this.rows, null, 1));
    renameSync(temporary, this.path);
  }
}

function read(path: string): Record<string, { key: string; row: Kept }> {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, { key: string; row: Kept }>;
  } catch {
    // None yet, or not readable: they are only made again.
    return {};
  }
}

function keyOf({ edits, attempts, breaks }: Mutation): string {
  return JSON.stringify({ edits, attempts, breaks });
}
