import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parentPort, Worker } from "node:worker_threads";
import type { RunOptions, RunResult } from "./options.ts";
import { runSeed } from "./run.ts";

export type CampaignOptions = Omit<RunOptions, "seed" | "schedule" | "trace" | "cluster"> & {
  seeds: number;
  from: number;
  /** Default: one per core. One runs here, without a thread. */
  workers?: number;
  /** After every seed, in the order in which they end. */
  onResult?: (result: RunResult) => void;
  /** No further seed begins once it answers true. */
  enough?: () => boolean;
};

/** Sums over many seeds; what is worth looking at is kept whole. */
export type Campaign = {
  seeds: number;
  from: number;
  seconds: number;
  simulatedUs: number;
  elections: number;
  faults: Record<string, number>;
  holes: Record<string, number>;
  skipped: number;
  generators: Record<string, number>;
  /** The slowest return of the address, and of everything, after the faults. */
  slowestHolderUs: number;
  slowestSettledUs: number;
  /** Sorted by seed. */
  failed: RunResult[];
};

/** Runs seeds `from` to `from + seeds - 1` on every core. Throws what a worker throws. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { seeds, from, workers = availableParallelism(), onResult, enough = () => false, ...run } = options;
  const startedMs = performance.now();
  const campaign: Campaign = {
    seeds: 0,
    from,
    seconds: 0,
    simulatedUs: 0,
    elections: 0,
    faults: {},
    holes: {},
    skipped: 0,
    generators: {},
    slowestHolderUs: 0,
    slowestSettledUs: 0,
    failed: [],
  };
  const take = (result: RunResult) => {
    addUp(campaign, result);
    onResult?.(result);
  };
  let next = from;
  const nextSeed = () => (next < from + seeds && !enough() ? next++ : null);
  if (workers === 1 || seeds === 1) {
    for (let seed = nextSeed(); seed !== null; seed = nextSeed()) take(await runSeed({ ...run, seed }));
  } else {
    const count = Math.min(workers, seeds);
    await Promise.all(Array.from({ length: count }, () => runWorker(run, nextSeed, take)));
  }
  campaign.failed.sort((left, right) => left.seed - right.seed);
  campaign.seconds = (performance.now() - startedMs) / 1000;
  return campaign;
}

/** Bundled into one file, the file of the program is the worker's too: it calls `answerSeeds` in a thread. */
function workerFile(): URL {
  const beside = new URL("./worker.ts", import.meta.url);
  return existsSync(fileURLToPath(beside)) ? beside : new URL(import.meta.url);
}

function runWorker(
  run: Omit<RunOptions, "seed">,
  nextSeed: () => number | null,
  take: (result: RunResult) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerFile());
    const give = () => {
      const seed = nextSeed();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (seed !== null) return worker.postMessage({ ...run, seed });
      resolve();
      void worker.terminate();
    };
    worker.on("message", (result: RunResult) => {
      take(result);
      give();
    });
    worker.on("error", reject);
    give();
  });
}

/** In a worker thread: runs every seed that it is given and answers the result, until it is ended. */
export function answerSeeds(): void {
  const port = parentPort;
  port?.on("message", (options: RunOptions) => {
    runSeed(options).then(
      (result) => port.postMessage(result),
      (error: unknown) => {
        throw error;
      },
    );
  });
}

function addUp(campaign: Campaign, result: RunResult): void {
  campaign.seeds += 1;
  campaign.simulatedUs += result.simulatedUs;
  campaign.elections += result.elections;
  campaign.skipped += result.skipped.length;
  addEach(campaign.faults, result.faults);
  addEach(campaign.holes, result.holes);
  addEach(campaign.generators, { [result.generator]: 1 });
  campaign.slowestHolderUs = Math.max(campaign.slowestHolderUs, result.holderAfterUs ?? 0);
  campaign.slowestSettledUs = Math.max(campaign.slowestSettledUs, result.settledAfterUs ?? 0);
  if (result.violations.length > 0) campaign.failed.push(result);
}

function addEach(sums: Record<string, number>, counts: Record<string, number>): void {
  for (const [key, count] of Object.entries(counts)) sums[key] = (sums[key] ?? 0) + count;
}
