import { type Mutation, seedsMax, whereOf } from "./mutation.ts";
import { isCaught, type Row } from "./run-table.ts";

/** What stands in the column "caught by". */
export function outcomeOf(row: Row): string {
  if (row.failure !== null) return `failed: ${row.failure.split("\n")[0] ?? ""}`;
  if (row.caught === null) {
    const other = row.unexpected[0];
    return other === undefined ? "not caught" : `not caught; ${other.invariant} broke: ${other.message}`;
  }
  return row.caught.invariant;
}

/** One line for a terminal. */
export function lineOf(row: Row): string {
  const { mutation } = row;
  const columns = [
    (isCaught(row) ? "ok" : "MISS").padEnd(4),
    mutation.name.padEnd(40),
    whereOf(mutation).padEnd(34),
    outcomeOf(row).padEnd(9),
    `${row.seeds}/${seedsMax(mutation)} seeds`.padEnd(14),
    row.caught === null ? "" : `${row.caught.generator} seed ${row.caught.seed}, ${row.caught.nodes} nodes`,
    row.controls.length === 0 ? "" : `(${row.controls.length} seeds break with the guard too)`,
  ];
  return columns.join("  ").trimEnd();
}

const HEAD = `<!-- Written by \`npm run sim:mutations -- --write\`. Not to be edited by hand. -->

# What the simulator catches

A simulator that finds nothing proves little until it is known what it would find. So each guard of the product is
removed in turn, alone, from what node loads (never on disk), and the cluster built so is run in the simulator until an
invariant breaks. A guard that is not missed within its stated number of seeds fails \`npm run sim:mutations\`. Where
two rules stand behind one another, both are removed together; the notes say so.

For every catch the same seed is run with the guard in place and must break nothing. **†** marks the rules of the design
that were put in because leaving them out broke an invariant of the first small model. "Seeds" is how many runs it took,
of how many allowed. INV-1 to INV-7 are the invariants of [safety.md](safety.md), LIVENESS the bounds on recovery.

`;

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** The page of the manual. */
export function pageOf(all: readonly Row[], settled: readonly Mutation[], total: number): string {
  const rows = all.filter((row) => row.mutation.settled === undefined);
  const lines = [
    "| guard | the rule | where | caught by | seeds | generator |",
    "|---|---|---|---|---|---|",
    ...rows.map((row) =>
      [
        "",
        `\`${row.mutation.name}\``,
        cell(row.mutation.rule),
        cell(whereOf(row.mutation)),
        isCaught(row) ? outcomeOf(row) : `**${cell(outcomeOf(row))}**`,
        `${row.seeds}/${seedsMax(row.mutation)}`,
        row.caught === null ? "" : `${row.caught.generator}, ${row.caught.nodes} nodes`,
        "",
      ]
        .join(" | ")
        .trim(),
    ),
  ];
  const caught = rows.filter(isCaught).length;
  const untried = total - rows.length;
  const rest =
    untried === 0
      ? ""
      : ` ${untried} more are listed and not yet run to their end: \`npm run sim:mutations -- --missing\` goes on with them.`;
  const summary = `${rows.length} guards were removed, ${caught} of them are missed.${rest}\n\n`;
  const notes = rows
    .filter((row) => row.mutation.note !== undefined)
    .map((row) => `- \`${row.mutation.name}\`: ${row.mutation.note}`);
  const noted = notes.length === 0 ? "" : `\n## Notes\n\n${notes.join("\n")}\n`;
  const reasons = settled.map(
    (mutation) => `- \`${mutation.name}\` (${whereOf(mutation)}). ${mutation.rule} ${mutation.settled}`,
  );
  const left = reasons.length === 0 ? "" : `\n${SETTLED}${reasons.join("\n")}\n`;
  return `${HEAD}${summary}${lines.join("\n")}\n${noted}${left}`;
}

const SETTLED = `## Guards that no invariant misses

Tried as the others were, and not caught. For each it is settled why: what else holds, or what it is good for that no
invariant speaks of.

`;
