import { assertNever } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";
import { headlineOf, type Severities, severitiesOf, stories, TOLD_FROM } from "./headlines.ts";
import { machinesOf, peerOf, roleAfter } from "./rows.ts";
import type { WhyTarget } from "./target.ts";

/** "Around" a time: the story that is nearest within this. */
const NEAR_MS = 10 * 60_000;

/** The decision that is to be explained; null when these rows know nothing of what was asked for. */
export function choose(rows: readonly JournalRow[], target: WhyTarget): JournalRow | null {
  const severities = severitiesOf(rows);
  switch (target.kind) {
    case "last":
      return headlineOf(stories(rows, severities).at(-1) ?? [], severities);
    case "node":
      return aboutNode(rows, severities, target.node);
    case "term":
      return aboutTerm(rows, severities, target.term);
    case "time":
      return aboutTime(rows, severities, target.atMs);
    case "vm":
      return aboutMachine(rows, target.vm);
    default:
      return assertNever(target);
  }
}

/** The last thing of importance in which that node is the one that something happened to. */
function aboutNode(rows: readonly JournalRow[], severities: Severities, node: number): JournalRow | null {
  const about = rows.filter((row) => {
    if (row.event === "quorum.master_changed") return row.new === node || row.old === node;
    const peer = peerOf(row);
    if (row.node === node) return peer === null || roleAfter(row) !== null;
    return peer === node;
  });
  const told = headlineOf(stories(about, severities).at(-1) ?? [], severities);
  return told ?? about.findLast(({ weight }) => weight !== "detail") ?? null;
}

/** The last that was decided of it. */
function aboutMachine(rows: readonly JournalRow[], vm: string): JournalRow | null {
  const about = rows.filter((row) => machinesOf(row).includes(vm));
  return about.findLast(({ weight }) => weight !== "detail") ?? about.at(-1) ?? null;
}

/** Who became master of that term here; else what is said of it most loudly. */
function aboutTerm(rows: readonly JournalRow[], severities: Severities, term: number): JournalRow | null {
  const of = rows.filter((row) => row.facts["term"] === term);
  const won = of.find(
    (row) =>
      roleAfter(row) === "master" || (row.event === "quorum.master_changed" && typeof row.new === "number"),
  );
  return (
    won ??
    headlineOf(of, severities) ??
    rows.find((row) => row.term === term && (severities.get(row) ?? 0) >= TOLD_FROM) ??
    null
  );
}

function aboutTime(rows: readonly JournalRow[], severities: Severities, atMs: number): JournalRow | null {
  const distance = (row: JournalRow) => Math.abs(row.wallMs - atMs);
  const near = stories(rows, severities).filter((story) => story.some((row) => distance(row) <= NEAR_MS));
  const nearest = near.toSorted(
    (left, right) => Math.min(...left.map(distance)) - Math.min(...right.map(distance)),
  )[0];
  if (nearest !== undefined) return headlineOf(nearest, severities);
  const plain = rows.filter((row) => distance(row) <= NEAR_MS && row.weight !== "detail");
  return plain.toSorted((left, right) => distance(left) - distance(right))[0] ?? null;
}
