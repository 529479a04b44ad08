import type { NodeId } from "@quorate/contracts";
import { type Entry, seconds } from "./story.ts";

/**
 * What every take-over says and what tells nothing about this one. A script's `show` brings single ones back.
 * The full story is in `quorate sim --scenario NAME --trace`.
 */
const HIDDEN = new Set([
  "ADOPTED",
  "ANNOUNCED",
  "answer-missing",
  "COMMITTED",
  "FILE_REMOVED",
  "FILE_WRITTEN",
  "heard-both-ways",
  "LOADED",
  "OK",
  "OPERATOR",
  "RESTAMPED",
]);
const TOGETHER_US = 60_000;
const WHO_WIDTH = 11;

type Line = { entry: Entry; nodes: NodeId[] };

/** One line for each thing that happened; what several nodes say alike within a moment is one line. */
export function renderLog(entries: readonly Entry[], show: readonly string[]): string[] {
  const lines: Line[] = [];
  for (const entry of entries) {
    if (HIDDEN.has(entry.code) && !show.includes(entry.code)) continue;
    const alike = lines.findLast(
      (line) =>
        entry.atUs - line.entry.atUs <= TOGETHER_US &&
        line.nodes.length > 0 &&
        line.entry.code === entry.code &&
        line.entry.text === entry.text,
    );
    if (typeof entry.who !== "number") lines.push({ entry, nodes: [] });
    else if (alike === undefined) lines.push({ entry, nodes: [entry.who] });
    else if (!alike.nodes.includes(entry.who)) alike.nodes.push(entry.who);
  }
  return lines.map((line) => renderLine(line));
}

function renderLine({ entry, nodes }: Line): string {
  const sorted = nodes.toSorted((left, right) => left - right);
  const who =
    typeof entry.who === "string" ? entry.who : `${sorted.length > 1 ? "nodes" : "node"} ${sorted.join(" ")}`;
  const code = entry.code === "" ? "" : `${entry.code}: `;
  return `${seconds(entry.atUs).padStart(6)}  ${who.padEnd(WHO_WIDTH)} ${code}${entry.text}`;
}
