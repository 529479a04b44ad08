import { decisionRule } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";
import { type Cause, causeOf } from "./causes.ts";
import { severitiesOf, stories } from "./headlines.ts";
import { clock } from "./phrases.ts";
import { isFirstOfBoot, isSameBoot, machinesOf, masterBefore, peerOf, roleAfter } from "./rows.ts";

export interface Explanation {
  /** One sentence that names the cause. */
  sentence: string;
  decision: JournalRow;
  cause: Cause | null;
  rule: string | null;
  otherwise: string | null;
  /** What led to it and what followed at once, oldest first; noise left out. */
  before: JournalRow[];
  after: JournalRow[];
  /** What has become of it since; empty when nothing has. */
  since: string;
}

const CHAIN_BEFORE = 12;
const CHAIN_AFTER = 10;
const AFTER_US = 3_000_000;

/** Steps of an election are details, and yet the chain is told by them. */
const TOLD_DETAILS: readonly string[] = [
  "STANDING",
  "VOTED",
  "heartbeats-missing",
  "link-silent",
  "answer-missing",
];

export function explain(rows: readonly JournalRow[], headline: JournalRow): Explanation {
  const cause = causeOf(rows, headline);
  const rule = decisionRule(headline.service, headline.code);
  const because = cause === null ? "" : ` because ${cause.phrase}`;
  const what = whatHappened(rows, headline);
  // The decision names its cause itself.
  const isItself =
    cause !== null &&
    (cause.rows.length === 0 ||
      (cause.rows.includes(headline) && what.endsWith(withoutStop(headline.message))));
  return {
    sentence: isItself ? `${what}.` : `${what}${because}.`,
    decision: headline,
    cause,
    rule: rule?.rule ?? null,
    otherwise: rule?.otherwise ?? null,
    before: chainBefore(rows, headline, cause),
    after: chainAfter(rows, headline).filter((row) => cause?.rows.includes(row) !== true),
    since: sinceThen(rows, headline),
  };
}

/** What was decided, without why. */
function whatHappened(rows: readonly JournalRow[], row: JournalRow): string {
  const at = `At ${clock(row.wallMs)}`;
  const who = `node ${row.node}`;
  const role = roleAfter(row);
  const term = row.facts["term"] ?? row.term;
  switch (role) {
    case "master":
      return `${at} ${who} became master of term ${term}`;
    case "suspended":
      return row.old === "master"
        ? `${at} ${who} lost the mastership${termBefore(rows, row)} and was suspended`
        : `${at} ${who} was suspended`;
    case "slave":
      return row.old === "master"
        ? `${at} ${who} gave the mastership${termBefore(rows, row)} up`
        : `${at} ${who} became slave`;
    case null:
      break;
  }
  switch (row.event) {
    case "quorum.master_changed":
      return typeof row.new === "number"
        ? isFirstOfBoot(rows, row)
          ? `${at} ${who} found node ${row.new} master of term ${term}`
          : `${at} node ${row.new} became master of term ${term}`
        : `${at} ${who} knew of no master any more`;
    case "quorum.quorum_changed":
      return `${at} ${who} ${row.new === "no" ? "lost quorum" : "gained quorum"}`;
    case "quorum.node_removed":
      return `${at} node ${peerOf(row)} was removed from the view by ${who}`;
    case "membership.peer_state_changed":
      return `${at} ${who} took node ${peerOf(row)} for ${String(row.new)}`;
    case "quorum.handover_started":
      return `${at} ${who} began to hand the mastership over${typeof row.new === "number" ? ` to node ${row.new}` : ""}`;
    case "failover.ability_changed":
      return `${at} ${who} became ${row.new === "able" ? "able" : "unable"} to serve`;
    default: {
      const crash = row.code === "CRASHED" ? `${row.service} ended by an error of its own: ` : "";
      return `${at} on ${who}: ${crash}${withoutStop(row.message)}`;
    }
  }
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, "");
}

function termBefore(rows: readonly JournalRow[], row: JournalRow): string {
  const won = rows.slice(0, rows.indexOf(row)).findLast((earlier) => roleAfter(earlier) === "master");
  const term = won?.facts["term"];
  return typeof term === "number" ? ` of term ${term}` : "";
}

function isTold(row: JournalRow): boolean {
  return row.weight !== "detail" || TOLD_DETAILS.includes(row.code);
}

function chainBefore(rows: readonly JournalRow[], headline: JournalRow, cause: Cause | null): JournalRow[] {
  const index = rows.indexOf(headline);
  const causes = new Set(cause?.rows ?? []);
  const oldest = Math.min(
    headline.monoUs - 3_000_000,
    ...[...causes].filter((row) => isSameBoot(row, headline)).map(({ monoUs }) => monoUs),
  );
  const machines = machinesOf(headline);
  const isItsOwn = (row: JournalRow) => machinesOf(row).some((vm) => machines.includes(vm));
  const isNear = (row: JournalRow) => isSameBoot(row, headline) && row.monoUs >= oldest && isTold(row);
  const near = withoutRepeats(
    rows.slice(0, index).filter((row) => causes.has(row) || isNear(row) || isItsOwn(row)),
  );
  const newest = new Set(near.slice(-CHAIN_BEFORE));
  // What was noticed only afterwards led to it all the same.
  const late = [...causes].filter((row) => rows.indexOf(row) > index);
  return [...near.filter((row) => causes.has(row) || newest.has(row)), ...late];
}

function chainAfter(rows: readonly JournalRow[], headline: JournalRow): JournalRow[] {
  const index = rows.indexOf(headline);
  return withoutRepeats(
    rows
      .slice(index + 1)
      .filter(
        (row) =>
          isSameBoot(row, headline) && row.monoUs - headline.monoUs <= AFTER_US && row.weight !== "detail",
      ),
  ).slice(0, CHAIN_AFTER);
}

/** The same sentence twice in a row says nothing new. */
function withoutRepeats(rows: readonly JournalRow[]): JournalRow[] {
  return rows.filter((row, index) => rows.findIndex(({ message }) => message === row.message) === index);
}

function sinceThen(rows: readonly JournalRow[], headline: JournalRow): string {
  const later = rows.slice(rows.indexOf(headline) + 1);
  const role = later.findLast((row) => roleAfter(row) !== null);
  const words: string[] = [];
  if (role !== undefined) {
    const master = masterBefore([...rows, role], role);
    const of =
      roleAfter(role) === "slave" && typeof master === "number" && master !== role.node
        ? ` of node ${master}`
        : "";
    words.push(`Node ${role.node} is ${roleAfter(role)}${of} since ${clock(role.wallMs)}.`);
  }
  const more = stories(later, severitiesOf(rows)).filter((story) => !story.includes(headline)).length;
  if (more > 1) words.push("Other things happened since; `quorate log` lists them.");
  return words.join(" ");
}
