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
  // What the actuator makes of its evaluator's word, which stands before it.
  "NOT_MASTER",
  "OK",
  "OPERATOR",
  "RESTAMPED",
  // ROLE_TAKEN says it.
  "role-master",
]);
const TOGETHER_US = 60_000;
const WHO_WIDTH = 11;

/** `text` is without the machine that it begins with. */
type Line = { entry: Entry; text: string; nodes: NodeId[]; machines: string[] };

/**
 * One line for each thing that happened. What several nodes say alike within a moment is one line, and so is what one
 * node says of several machines.
 */
export function renderLog(entries: readonly Entry[], show: readonly string[]): string[] {
  const lines: Line[] = [];
  for (const entry of entries) {
    if (HIDDEN.has(entry.code) && !show.includes(entry.code)) continue;
    const { who } = entry;
    const [machine] = /^vm\d+(?= )/.exec(entry.text) ?? [];
    const text = machine === undefined ? entry.text : entry.text.slice(machine.length);
    const nodes = typeof who === "number" ? [who] : [];
    const machines = machine === undefined ? [] : [machine];
    const alike = lines.findLast(
      (line) =>
        entry.atUs - line.entry.atUs <= TOGETHER_US &&
        line.nodes.length > 0 &&
        line.entry.code === entry.code &&
        line.text === text &&
        (typeof who === "number" && line.nodes.includes(who)
          ? line.nodes.length === 1
          : line.machines.join() === machines.join()),
    );
    if (typeof who !== "number" || alike === undefined) lines.push({ entry, text, nodes, machines });
    else if (!alike.nodes.includes(who)) alike.nodes.push(who);
    else if (machine !== undefined && !alike.machines.includes(machine)) alike.machines.push(machine);
  }
  return lines.map((line) => renderLine(line));
}

function renderLine({ entry, text, nodes, machines }: Line): string {
  const sorted = nodes.toSorted((left, right) => left - right);
  const who =
    typeof entry.who === "string" ? entry.who : `${sorted.length > 1 ? "nodes" : "node"} ${sorted.join(" ")}`;
  const code = entry.code === "" ? "" : `${entry.code}: `;
  return `${seconds(entry.atUs).padStart(6)}  ${who.padEnd(WHO_WIDTH)} ${code}${machines.join(", ")}${text}`;
}
