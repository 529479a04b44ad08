/** What a bench does: takes the samples that are still missing, series by series, and prints the table. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { Command } from "commander";
import type { LabTopology } from "../configuration.ts";
import { requireRoot } from "../lab.ts";
import { wholeNumber } from "../options.ts";
import { takeDownOnSignal } from "./bench-lab.ts";
import { buildDigest, Results, type Sample } from "./results.ts";
import type { Series } from "./series.ts";
import { lacks, stoodStillText } from "./stood-still.ts";
import { allKept, tableText } from "./table.ts";

export type BenchPlan<Bench> = {
  /** Of the npm script, and of the file with the samples. */
  name: string;
  description: string;
  root: string;
  labName: string;
  series: readonly Series<Bench>[];
  /** Brings a lab up, runs `body` on it, takes it down. */
  within: (topology: LabTopology, body: (bench: Bench) => Promise<void>) => Promise<void>;
  /** With --document all that is measured is written there. */
  document?: { path: string; textOf: (table: string) => string };
};

type BenchOptions = { only?: string[]; n?: number; fresh?: boolean; table?: boolean; document?: boolean };

/** The exit code: 1 when a reach is missed. */
export async function runBench<Bench>(plan: BenchPlan<Bench>): Promise<number> {
  const { series, root } = plan;
  const program = new Command(plan.name).description(plan.description);
  program.option("--only <names...>", `of ${series.map(({ name }) => name).join(", ")}`);
  program.option("--n <samples>", "so many samples of each, instead of the usual number", wholeNumber);
  program.option("--fresh", "forget the samples of the chosen series first");
  program.option("--table", "print what there is, measure nothing");
  if (plan.document !== undefined) program.option("--document", `write ${plan.document.path}`);
  program.parse();
  const options = program.opts<BenchOptions>();
  const chosen = choose(series, options.only);
  const file = `${plan.name.replace(":", "-")}.json`;
  const results = Results.open(join(root, ".lab", file), buildDigest(root));
  if (options.table !== true) {
    requireRoot();
    takeDownOnSignal(plan.labName);
    for (const one of chosen) {
      if (options.fresh === true) results.forget(one.name);
      await measure(plan, one, options.n ?? one.n, results);
    }
  }
  const shown = series.filter((one) => chosen.includes(one) || results.of(one.name).length > 0);
  const text = tableText(shown, (name) => results.of(name));
  process.stdout.write(text);
  const { document } = plan;
  if (options.document === true && document !== undefined)
    writeFileSync(document.path, document.textOf(text));
  return allKept(text) ? EXIT_CODES.ok : EXIT_CODES.error;
}

function choose<Bench>(
  series: readonly Series<Bench>[],
  only: readonly string[] | undefined,
): Series<Bench>[] {
  for (const name of only ?? []) {
    if (!series.some((one) => one.name === name)) {
      const names = series.map((one) => one.name).join(", ");
      throw new QuorateError("USAGE", `there is no series ${name}`, `There are: ${names}`);
    }
  }
  return series.filter(({ name }) => only === undefined || only.includes(name));
}

async function measure<Bench>(
  plan: BenchPlan<Bench>,
  series: Series<Bench>,
  wanted: number,
  results: Results,
): Promise<void> {
  const { samplesPerLab = Number.POSITIVE_INFINITY } = series;
  const isLacking = () => lacks(results.of(series.name), wanted, series.topology.tokenMs);
  while (isLacking()) {
    await plan.within(series.topology, async (bench) => {
      for (let taken = 0; taken < samplesPerLab && isLacking(); taken += 1) {
        const round = results.of(series.name).length;
        const sample = await series.take(bench, round);
        results.add(series.name, sample);
        process.stderr.write(`${series.name} ${round + 1}/${wanted} ${sampleText(series, sample)}\n`);
      }
    });
  }
}

function sampleText<Bench>(series: Series<Bench>, sample: Sample): string {
  const values = Object.entries(sample.values).map(([name, value]) => `${name} ${value}`);
  const still = stoodStillText(sample, series.topology.tokenMs);
  const shown = [values.join(", "), ...(still === "" ? [] : [`SET ASIDE: ${still}`])].join("; ");
  return `${sample.label}: ${shown}`;
}
