/**
 * Runs one mutation, or its control, in a process of its own, and prints what came of it as one line of JSON.
 *   node try-mutation.ts '{"mutation": NAME, "guarded": false, "attempts": [...]}'
 */
import { MUTATIONS } from "./index.ts";
import { loadMutated } from "./load-mutated.ts";
import { type Attempt, isCatch, type Mutation } from "./mutation.ts";

const DEFAULT_TOKEN_MS = 1000;
/** The generators' names for runs of core-failover's own world of virtual machines, and what ends those beside the gates. */
const MACHINE_WORLDS: Readonly<Record<string, "gates" | "proofs" | "watchdogs">> = {
  machines: "gates",
  "machines-proofs": "proofs",
  "machines-watchdogs": "watchdogs",
};

export type Order = {
  mutation: string;
  /** The guard stays in place: the very run must break nothing then. */
  guarded: boolean;
  attempts: readonly (Attempt & { from?: number })[];
};

export type Catch = {
  invariant: string;
  generator: string;
  seed: number;
  nodes: number;
  message: string;
  atUs: number;
};

export type Answer = {
  caught: Catch | null;
  /** Violations of what the mutation is not said to break: they do not count, and say that the list is wrong. */
  unexpected: Catch[];
  seedsRun: number;
  /** How many of the mutated files were loaded: a mutation of what nobody loads proves nothing. */
  filesLoaded: number;
};

const UNEXPECTED_MAX = 3;

/** Faults and healing last as many tokens as they do at the default one; nothing is healed when nobody looks. */
function lengths(mutation: Mutation, tokenMs: number) {
  return {
    faultUs: 45_000 * tokenMs,
    healUs: mutation.breaks === "safety" ? 0 : 15_000 * Math.max(tokenMs, DEFAULT_TOKEN_MS),
  };
}

type Found = { invariant: string; message: string; atUs: number };
type Options = {
  generator: string;
  seed: number;
  nodes: number;
  tokenMs: number;
  faultUs: number;
  healUs: number;
};

/** What runs a seed: the whole world, or the one of virtual machines. Loaded only now, with the cores as they are. */
async function runnerOf(attempts: Order["attempts"]): Promise<(options: Options) => Promise<Found | null>> {
  if (attempts.some(({ generator }) => generator in MACHINE_WORLDS)) {
    const { runMachines } = await import("./machine-world.ts");
    return ({ seed, generator }) => runMachines(seed, MACHINE_WORLDS[generator] ?? "gates");
  }
  const { runSeed } = await import("../run.ts");
  return async (options) => (await runSeed(options)).violations[0] ?? null;
}

async function tryMutation(order: Order): Promise<Answer> {
  const mutation = MUTATIONS.find(({ name }) => name === order.mutation);
  if (mutation === undefined) throw new Error(`no mutation ${order.mutation}`);
  const loaded = order.guarded ? new Set<string>() : loadMutated(mutation);
  const run = await runnerOf(order.attempts);
  const answer: Answer = { caught: null, unexpected: [], seedsRun: 0, filesLoaded: 0 };
  for (const attempt of order.attempts) {
    const { generator, seeds, from = 1, nodes = 3, tokenMs = DEFAULT_TOKEN_MS } = attempt;
    for (let seed = from; seed < from + seeds; seed += 1) {
      const violation = await run({ ...lengths(mutation, tokenMs), nodes, tokenMs, generator, seed });
      answer.seedsRun += 1;
      answer.filesLoaded = loaded.size;
      if (violation === null) continue;
      const { invariant, message, atUs } = violation;
      const found = { invariant, generator, seed, nodes, message, atUs };
      if (isCatch(mutation, invariant)) return { ...answer, caught: found };
      if (invariant !== "LIVENESS" && answer.unexpected.length < UNEXPECTED_MAX)
        answer.unexpected.push(found);
    }
  }
  return answer;
}

const order = JSON.parse(process.argv[2] ?? "") as Order;
process.stdout.write(`${JSON.stringify(await tryMutation(order))}\n`);
