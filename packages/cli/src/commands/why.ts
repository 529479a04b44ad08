import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterConfig, QuorateError } from "@quorate/contracts";
import { decodeText } from "@quorate/corosync-conf";
import { parseConfiguration } from "../configuration-file.ts";
import { lookIntoJournal } from "../journal-source.ts";
import { type Output, paintFor, type Shown } from "../output.ts";
import { locateNode, type Places } from "../snapshot.ts";
import { choose } from "../why/choose.ts";
import { explain } from "../why/explain.ts";
import { ago } from "../why/phrases.ts";
import { parseTarget, targetText } from "../why/target.ts";
import { explanationText } from "../why/text.ts";

/** Enough for months of peace and for a bad day. */
const ROWS_LIMIT = 20_000;

/** Why things are as they are, from this node's own journal. */
export async function showWhy(places: Places, about: string | undefined, output: Output): Promise<Shown> {
  const where = locateNode(places);
  const nowMs = Date.now();
  const target = parseTarget(about, runningConfiguration(where.stateDir), nowMs);
  const { rows, problem } = await lookIntoJournal(where, { limit: ROWS_LIMIT });
  const decision = choose(rows, target);
  if (decision === null) throw nothingKnown(targetText(target), rows.length, rows[0]?.wallMs);
  const explanation = explain(rows, decision);
  const notes: string[] = [];
  if (problem !== null) {
    const newest = rows.at(-1);
    const age = newest === undefined ? "" : ` The newest decision kept is ${ago(nowMs - newest.wallMs)} old.`;
    notes.push(`The journal may be incomplete: ${problem}.${age}`);
  }
  const { before, after, cause, ...rest } = explanation;
  return {
    json: {
      ...rest,
      node: where.nodeId,
      cause: cause === null ? null : { kind: cause.kind, phrase: cause.phrase },
      before,
      after,
      notes,
    },
    text: explanationText(explanation, notes, paintFor(output)),
  };
}

function nothingKnown(about: string, count: number, oldestMs: number | undefined): QuorateError {
  const span =
    oldestMs === undefined
      ? "It is empty."
      : `It has ${count} decisions, from ${new Date(oldestMs).toISOString()} on.`;
  return new QuorateError(
    "NOTHING_KNOWN",
    `The journal of this node knows nothing of ${about}. ${span}`,
    "Each node keeps only its own journal: ask another one. `quorate log` lists what there is.",
  );
}

/** Null when it cannot be read: then only ids are understood. */
function runningConfiguration(stateDir: string): ClusterConfig | null {
  const path = join(stateDir, "config", "running.conf");
  if (!existsSync(path)) return null;
  try {
    return parseConfiguration(decodeText(readFileSync(path)), path).config;
  } catch {
    return null;
  }
}
