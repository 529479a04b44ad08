import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Mutation } from "./mutation.ts";
import type { Answer, Catch, Order } from "./try-mutation.ts";

/** What became of one mutation. */
export type Row = {
  mutation: Mutation;
  caught: Catch | null;
  unexpected: Catch[];
  /** How many seeds it took, over all attempts. */
  seeds: number;
  /** Seeds that break something with the guard in place too: faults of product or simulator, and no catch. */
  controls: Catch[];
  /** The run itself failed: out of time, out of memory, a mutation of a file that nobody loads. */
  failure: string | null;
  seconds: number;
};

const CHILD = join(import.meta.dirname, "try-mutation.ts");
const execute = promisify(execFile);
const TIME_LIMIT_MS = 30 * 60_000;

async function inChild(order: Order): Promise<Answer> {
  const args = ["--disable-warning=ExperimentalWarning", CHILD, JSON.stringify(order)];
  const { stdout } = await execute(process.execPath, args, {
    timeout: TIME_LIMIT_MS,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Answer;
}

/** What is left to try after a seed of one of the attempts, that seed left out. */
function attemptsAfter(attempts: Order["attempts"], caught: Catch): Order["attempts"] {
  const index = attempts.findIndex((each) => isOf(each, caught));
  const attempt = attempts[index];
  if (attempt === undefined) return [];
  const from = caught.seed + 1;
  const seeds = (attempt.from ?? 1) + attempt.seeds - from;
  const rest = attempts.slice(index + 1);
  return seeds > 0 ? [{ ...attempt, from, seeds }, ...rest] : rest;
}

function isOf(attempt: Order["attempts"][number], caught: Catch): boolean {
  const { from = 1, seeds, generator, nodes = 3 } = attempt;
  return (
    generator === caught.generator &&
    nodes === caught.nodes &&
    caught.seed >= from &&
    caught.seed < from + seeds
  );
}

/** Removes one guard, looks for the seed that notices, and runs that very seed with the guard in place. */
export async function runMutation(mutation: Mutation, seedsLimit: number | null): Promise<Row> {
  const startedMs = performance.now();
  const row: Row = {
    mutation,
    caught: null,
    unexpected: [],
    seeds: 0,
    controls: [],
    failure: null,
    seconds: 0,
  };
  const files = new Set(mutation.edits.map(({ file }) => file)).size;
  let attempts: Order["attempts"] = mutation.attempts.map((attempt) => ({
    ...attempt,
    seeds: seedsLimit === null ? attempt.seeds : Math.min(attempt.seeds, seedsLimit),
  }));
  try {
    while (attempts.length > 0) {
      const answer = await inChild({ mutation: mutation.name, guarded: false, attempts });
      row.seeds += answer.seedsRun;
      row.unexpected.push(...answer.unexpected);
      if (answer.filesLoaded !== files)
        throw new Error(`${answer.filesLoaded} of the ${files} mutated files were loaded`);
      const { caught } = answer;
      if (caught === null) break;
      const attempt = attempts.find((each) => isOf(each, caught));
      if (attempt === undefined) throw new Error("a catch of no attempt");
      const control = await inChild({
        mutation: mutation.name,
        guarded: true,
        attempts: [{ ...attempt, from: caught.seed, seeds: 1 }],
      });
      if (control.caught === null) {
        row.caught = caught;
        break;
      }
      row.controls.push(control.caught);
      attempts = attemptsAfter(attempts, caught);
    }
  } catch (error) {
    row.failure = error instanceof Error ? error.message.slice(0, 2000) : String(error);
  }
  row.seconds = (performance.now() - startedMs) / 1000;
  return row;
}

/** Whether the guard is missed by the simulator, and by nothing else in the run. */
export function isCaught(row: Row): boolean {
  return row.caught !== null && row.failure === null;
}

/** Runs them all, `jobs` at a time; tells of each when it is done, and answers in the order given. */
export async function runMutations(
  mutations: readonly Mutation[],
  options: { jobs: number; seedsLimit: number | null; done(row: Row): void },
): Promise<Row[]> {
  const rows: Row[] = [];
  const waiting = [...mutations.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, mutation] = next;
      const row = await runMutation(mutation, options.seedsLimit);
      rows[index] = row;
      options.done(row);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
  return rows;
}
