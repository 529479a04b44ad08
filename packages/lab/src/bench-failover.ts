/**
 * `npm run bench:failover [-- --only NAME --n N]`: takes the samples that are still missing and prints the table.
 * Exit code 1 when a reach is missed. It takes about an hour in full; it may be stopped and goes on later.
 */
import { join, resolve } from "node:path";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { Command } from "commander";
import { BenchLab, reportUnlessInterrupted, takeDownOnSignal } from "./bench/bench-lab.ts";
import { buildDigest, Results } from "./bench/results.ts";
import { SERIES, type Series } from "./bench/series.ts";
import { lacks, stoodStillText } from "./bench/stood-still.ts";
import { allKept, tableText } from "./bench/table.ts";
import { requireRoot } from "./lab.ts";
import { wholeNumber } from "./options.ts";
import { quoratePlan } from "./plan.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const LAB_NAME = "bench";

async function main(): Promise<number> {
  const program = new Command("bench:failover").description("the figures of docs, measured");
  program.option("--only <names...>", `of ${SERIES.map((series) => series.name).join(", ")}`);
  program.option("--n <samples>", "so many samples of each, instead of the usual number", wholeNumber);
  program.option("--fresh", "forget the samples of the chosen series first");
  program.option("--table", "print what there is, measure nothing");
  program.parse();
  const options = program.opts<{ only?: string[]; n?: number; fresh?: boolean; table?: boolean }>();
  const chosen = choose(options.only);
  const results = Results.open(join(ROOT, ".lab", "bench-failover.json"), buildDigest(ROOT));
  if (options.table !== true) {
    requireRoot();
    takeDownOnSignal(LAB_NAME);
    for (const series of chosen) {
      if (options.fresh === true) results.forget(series.name);
      await measure(series, options.n ?? series.n, results);
    }
  }
  const shown = SERIES.filter((series) => chosen.includes(series) || results.of(series.name).length > 0);
  const text = tableText(shown, (name) => results.of(name));
  process.stdout.write(text);
  return allKept(text) ? EXIT_CODES.ok : EXIT_CODES.error;
}

function choose(only: readonly string[] | undefined): Series[] {
  for (const name of only ?? []) {
    if (!SERIES.some((series) => series.name === name)) {
      const names = SERIES.map((series) => series.name).join(", ");
      throw new QuorateError("USAGE", `there is no series ${name}`, `There are: ${names}`);
    }
  }
  return SERIES.filter((series) => only === undefined || only.includes(series.name));
}

async function measure(series: Series, wanted: number, results: Results): Promise<void> {
  const { tokenMs } = series.topology;
  const isLacking = () => lacks(results.of(series.name), wanted, tokenMs);
  if (!isLacking()) return;
  await BenchLab.with(LAB_NAME, quoratePlan(ROOT, LAB_NAME, series.topology), async (bench) => {
    while (isLacking()) {
      const round = results.of(series.name).length;
      const sample = await series.take(bench, round);
      results.add(series.name, sample);
      const values = Object.entries(sample.values).map(([name, value]) => `${name} ${value}`);
      const still = stoodStillText(sample, tokenMs);
      const shown = [values.join(", "), ...(still === "" ? [] : [`SET ASIDE: ${still}`])].join("; ");
      process.stderr.write(`${series.name} ${round + 1}/${wanted} ${sample.label}: ${shown}\n`);
    }
  });
}

process.exitCode = await main().catch(reportUnlessInterrupted);
