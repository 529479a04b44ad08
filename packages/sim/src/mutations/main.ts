/**
 * `npm run sim:mutations [-- --only NAME,… --seeds N --jobs N --missing --table --json
 * --write]`: removes each guard in turn
 * and sees whether the simulator notices. Exit code 1 when one is not noticed. --missing goes on with what no earlier
 * run has caught, --table runs nothing and counts what is recorded, --write makes docs/manual/mutations.md of everything recorded.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { MUTATIONS } from "./index.ts";
import { ROOT } from "./load-mutated.ts";
import { type Mutation, seedsMax } from "./mutation.ts";
import { Records } from "./records.ts";
import { isCaught, type Row, runMutations } from "./run-table.ts";
import { lineOf, outcomeOf, pageOf } from "./table-text.ts";

/** In parts of earlier runs too: the whole table takes hours on a busy machine. */
const RECORDS = ".lab/sim-mutations.json";
const PAGE = "docs/manual/mutations.md";

function wholeNumber(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new QuorateError("USAGE", `--${option} ${text} is not a number from 1 on.`, `--${option} 50`);
  return Number(text);
}

function chosen(only: readonly string[] | undefined): readonly Mutation[] {
  const names = only?.flatMap((each) => each.split(","));
  for (const name of names ?? []) {
    if (MUTATIONS.some((mutation) => mutation.name === name)) continue;
    const known = MUTATIONS.map((mutation) => mutation.name).join(", ");
    throw new QuorateError("USAGE", `There is no guard ${name}.`, `There are: ${known}`);
  }
  return MUTATIONS.filter(({ name, settled }) => names?.includes(name) ?? settled === undefined);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      seeds: { type: "string" },
      jobs: { type: "string" },
      json: { type: "boolean", default: false },
      missing: { type: "boolean", default: false },
      table: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  return values;
}

function asJson(rows: readonly Row[]): string {
  return JSON.stringify({
    guards: rows.length,
    caught: rows.filter(isCaught).length,
    rows: rows.map((row) => ({
      guard: row.mutation.name,
      files: row.mutation.edits.map(({ file }) => file),
      caught: isCaught(row),
      outcome: outcomeOf(row),
      by: row.caught,
      unexpected: row.unexpected,
      controls: row.controls,
      seeds: row.seeds,
      seedsMax: seedsMax(row.mutation),
      seconds: Math.round(row.seconds * 10) / 10,
    })),
  });
}

async function main(): Promise<number> {
  const options = readOptions();
  const records = Records.open(join(ROOT, RECORDS));
  const mutations = chosen(options.only);
  const seedsLimit = wholeNumber("seeds", options.seeds);
  const isKnown = (mutation: Mutation) => {
    const row = records.of(mutation);
    return row !== null && isCaught(row);
  };
  const open = options.missing ? mutations.filter((mutation) => !isKnown(mutation)) : mutations;
  const wanted = options.table ? [] : open;
  const failed = new Map<string, Row>();
  await runMutations(wanted, {
    jobs: wholeNumber("jobs", options.jobs) ?? availableParallelism(),
    seedsLimit,
    done: (row) => {
      // A run that failed says nothing of the guard.
      if (row.failure === null) records.keep(row);
      else failed.set(row.mutation.name, row);
      const stream = options.json ? process.stderr : process.stdout;
      stream.write(`${lineOf(row)}\n`);
    },
  });
  const rows = mutations.flatMap((mutation) => failed.get(mutation.name) ?? records.of(mutation) ?? []);
  if (options.write) {
    const settled = MUTATIONS.filter((mutation) => mutation.settled !== undefined);
    const all = MUTATIONS.flatMap((mutation) => records.of(mutation) ?? []);
    writeFileSync(join(ROOT, PAGE), pageOf(all, settled, MUTATIONS.length - settled.length));
  }
  const caught = rows.filter(isCaught).length;
  if (options.json) process.stdout.write(`${asJson(rows)}\n`);
  else process.stdout.write(`${caught} of ${rows.length} guards are missed when they are away\n`);
  const sound = rows.every((row) => row.controls.length === 0);
  if (!sound)
    process.stderr.write("some seeds break with every guard in place: run them with `quorate sim`\n");
  return caught === rows.length && sound ? EXIT_CODES.ok : EXIT_CODES.error;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof QuorateError) {
    process.stderr.write(`${error.code}: ${error.message} ${error.hint}\n`);
    process.exitCode = EXIT_CODES.usage;
  } else if (
    error instanceof TypeError &&
    "code" in error &&
    String(error.code).startsWith("ERR_PARSE_ARGS")
  ) {
    process.stderr.write(`USAGE: ${error.message}\n`);
    process.exitCode = EXIT_CODES.usage;
  } else throw error;
}
