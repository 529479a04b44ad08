import type { JournalRow } from "@quorate/journal-file";
import type { Paint } from "../status-text.ts";
import type { Explanation } from "./explain.ts";
import { clock, day } from "./phrases.ts";

const WIDTH = 110;
const INDENT = 11;

/** For a tired human at 3 a.m.: the answer first, then what it rests on. */
export function explanationText(explanation: Explanation, notes: readonly string[], paint: Paint): string {
  const { decision, cause, before, after } = explanation;
  const lines: string[] = [...wrap(explanation.sentence, 0)];
  if (explanation.since !== "") lines.push(...wrap(explanation.since, 0));
  lines.push("");
  lines.push(
    ...field(
      "Decision",
      `${day(decision.wallMs)} ${clock(decision.wallMs)}, ${decision.service}: ${decision.message} (${decision.code})`,
    ),
  );
  lines.push(...field("Facts", factsText(decision)));
  if (explanation.rule !== null) lines.push(...field("Rule", explanation.rule));
  if (explanation.otherwise !== null) lines.push(...field("Otherwise", explanation.otherwise));
  const causes = new Set(cause?.rows ?? []);
  const chain = (title: string, rows: readonly JournalRow[]) => {
    if (rows.length === 0) return;
    lines.push("", title);
    for (const row of rows) {
      const mark = causes.has(row) ? ">" : " ";
      const text = rowText(row, decision);
      lines.push(mark === ">" ? paint.bad(`${mark} ${text}`) : `${mark} ${text}`);
    }
  };
  chain("What led to it (> the cause)", before);
  chain("What followed", after);
  for (const note of notes) lines.push("", ...wrap(`Note: ${note}`, 0));
  return `${lines.join("\n")}\n`;
}

function rowText(row: JournalRow, decision: JournalRow): string {
  const when =
    day(row.wallMs) === day(decision.wallMs) ? clock(row.wallMs) : `${day(row.wallMs)} ${clock(row.wallMs)}`;
  return `${when}  ${row.service.padEnd(17)}  ${row.message}`;
}

function factsText(row: JournalRow): string {
  const facts = Object.entries(row.facts).map(([name, value]) => `${name} ${String(value)}`);
  if (row.old !== null || row.new !== null) facts.unshift(`${word(row.old)} -> ${word(row.new)}`);
  if (row.term !== null && row.facts["term"] === undefined) facts.push(`term ${row.term}`);
  if (row.view !== null) facts.push(`view ${row.view}`);
  if (row.config !== null) facts.push(`configuration ${row.config}`);
  return facts.length === 0 ? "none" : facts.join("; ");
}

export function word(value: unknown): string {
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function field(name: string, text: string): string[] {
  const [first = "", ...rest] = wrap(text, INDENT);
  return [`${name.padEnd(INDENT)}${first}`, ...rest.map((line) => `${" ".repeat(INDENT)}${line}`)];
}

/** Lines of at most 110 columns with `indent` blanks before them. */
function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const part of text.split(" ")) {
    if (line !== "" && line.length + 1 + part.length > WIDTH - indent) {
      lines.push(line);
      line = part;
    } else line = line === "" ? part : `${line} ${part}`;
  }
  return [...lines, line];
}
