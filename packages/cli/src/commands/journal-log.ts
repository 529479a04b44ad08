import type { DecisionWeight, NodeId } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";
import { lookIntoJournal } from "../journal-source.ts";
import { type Output, paintFor } from "../output.ts";
import { locateNode, type Places } from "../snapshot.ts";
import type { Paint } from "../status-text.ts";
import { clock, day } from "../why/phrases.ts";
import { peerOf } from "../why/rows.ts";
import { word } from "../why/text.ts";

export interface JournalLogOptions {
  limit: number;
  sinceMs?: number | undefined;
  /** Only what is about that node: of others what names them, of this one what names nobody else. */
  node?: NodeId | undefined;
  services: readonly string[];
  level: DecisionWeight;
  follow?: boolean | undefined;
  json?: boolean | undefined;
}

export const LEVELS: readonly DecisionWeight[] = ["detail", "notable", "important"];
const FOLLOW_EVERY_MS = 500;
/** What is asked of the file at once when a filter has to look further back. */
const SCAN_ROWS = 20_000;

/** What this node decided and why, one line each, oldest first; with `follow` until a signal. */
export async function showJournal(output: Output, places: Places, options: JournalLogOptions): Promise<void> {
  const where = locateNode(places);
  const paint = paintFor(output);
  const isWanted = (row: JournalRow) =>
    LEVELS.indexOf(row.weight) >= LEVELS.indexOf(options.level) &&
    (options.node === undefined || (peerOf(row) ?? row.node) === options.node);
  const query = {
    limit: SCAN_ROWS,
    services: options.services,
    ...(options.sinceMs === undefined ? {} : { fromMs: options.sinceMs }),
  };
  const { rows, problem } = await lookIntoJournal(where, query);
  const print = (row: JournalRow) =>
    output.write(options.json === true ? `${JSON.stringify(row)}\n` : journalLine(row, paint));
  for (const row of rows.filter(isWanted).slice(-options.limit)) print(row);
  if (problem !== null) output.complain(`quorate: the journal may be incomplete: ${problem}\n`);
  const told = new Set(rows.map(({ run, seq }) => `${run} ${seq}`));
  let newestId = Math.max(0, ...rows.map(({ id }) => id));
  while (options.follow === true) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    // A little is read twice: what waited in memory gets its place in the file later.
    const { rows: more } = await lookIntoJournal(where, { ...query, afterId: Math.max(0, newestId - 100) });
    for (const row of more) {
      const name = `${row.run} ${row.seq}`;
      if (told.has(name)) continue;
      told.add(name);
      newestId = Math.max(newestId, row.id);
      if (isWanted(row)) print(row);
    }
  }
}

/** One line: when, who, what, and what it was about. */
function journalLine(row: JournalRow, paint: Paint): string {
  const changed = row.event === null || (row.old === null && row.new === null) ? "" : ` [${change(row)}]`;
  const line = `${day(row.wallMs)} ${clock(row.wallMs)}  ${row.service.padEnd(18)} ${row.message}${changed} (${row.code})`;
  switch (row.weight) {
    case "important":
      return `${paint.bad(line)}\n`;
    case "notable":
      return `${line}\n`;
    case "detail":
      return `${paint.faint(line)}\n`;
  }
}

function change(row: JournalRow): string {
  const name = row.event?.replace(/^[a-z]+\./, "").replaceAll("_", " ") ?? "";
  const isShort = (value: unknown) => typeof value !== "object" || value === null;
  return isShort(row.old) && isShort(row.new) ? `${name}: ${word(row.old)} -> ${word(row.new)}` : name;
}
