import { EXIT_CODES, type ExitCode, QuorateError } from "@quorate/contracts";
import {
  campaignJson,
  campaignText,
  type CampaignOptions,
  GENERATORS,
  generatorNamed,
  type RunOptions,
  runCampaign,
  runSeed,
  runText,
  shrink,
} from "@quorate/sim";
import { type Command, Option } from "commander";
import type { Output } from "../output.ts";
import { listScenarios, showScenario } from "./scenario.ts";

interface SimulateOptions {
  seeds: number;
  from: number;
  nodes: number;
  token: number;
  seconds: number;
  seed?: number;
  trace?: boolean;
  generator?: string;
  workers?: number;
  json?: boolean;
  scenario?: string;
  scenarios?: string;
  list?: boolean;
}

const SECOND_US = 1_000_000;
/** What coming back may take at least, in tokens, where the run is long enough. */
const HEAL_TOKENS = 15;
/** What shrinking may take, in runs of one violation. */
const SHRINK_RUNS = 200;
const SHRINK_FAILED_MAX = 3;
const PROGRESS_EVERY_MS = 10_000;

type WholeNumber = (minimum: number, maximum: number) => (text: string) => number;

/** `quorate sim`: the cores in a simulated world, under faults, seed by seed. */
export function addSimulate(
  program: Command,
  output: Output,
  wholeNumber: WholeNumber,
  end: (code: ExitCode) => void,
): void {
  const command = program
    .command("sim")
    .description(
      "run the decisions of a whole cluster in a simulated world under faults; exit code 1 when it breaks",
    )
    .option("--seeds <number>", "how many runs", wholeNumber(1, 10_000_000), 100)
    .option("--from <seed>", "the first seed", wholeNumber(0, 2 ** 31), 1)
    .option("--nodes <number>", "nodes in the cluster", wholeNumber(3, 9), 3)
    .option("--token <ms>", "totem.token", wholeNumber(100, 60_000), 1000)
    .option("--seconds <number>", "simulated time of each run", wholeNumber(20, 36_000), 60)
    .option(
      "--generator <name>",
      `one of: ${GENERATORS.map(({ name }) => name).join(", ")}; default: the seed decides`,
    )
    .option("--workers <number>", "threads; default: one per core", wholeNumber(1, 64))
    .addOption(new Option("--seed <seed>", "run this one seed only").argParser(wholeNumber(0, 2 ** 31)))
    .option("--trace", "with --seed or --scenario: print the whole story")
    .option("--scenario <name>", "live through this scenario, and print its log")
    .option("--list", "list the scenarios")
    .addOption(new Option("--scenarios <folder>", "where scenarios are; default: those of the source"))
    .option("--json", "print one last line of JSON");
  command.action(async () => end(await simulate(command.opts<SimulateOptions>(), output)));
}

async function simulate(options: SimulateOptions, output: Output): Promise<ExitCode> {
  const { generator, seed, trace, scenario } = options;
  if (options.list === true) return listScenarios(options, output);
  if (scenario !== undefined) return showScenario(scenario, options, output);
  if (generator !== undefined && generatorNamed(generator) === undefined) {
    const names = GENERATORS.map(({ name }) => name).join(", ");
    throw new QuorateError("USAGE", `There is no generator ${generator}.`, `Give one of: ${names}.`);
  }
  if (trace === true && seed === undefined) {
    throw new QuorateError(
      "USAGE",
      "--trace needs --seed or --scenario.",
      "Name the seed or the scenario whose story is wanted: --seed 7 --trace.",
    );
  }
  const lengthUs = options.seconds * SECOND_US;
  // The last quarter is for coming back; of a short run, up to half.
  const healUs = Math.max(lengthUs / 4, Math.min(lengthUs / 2, HEAL_TOKENS * options.token * 1000));
  const run = {
    nodes: options.nodes,
    tokenMs: options.token,
    faultUs: Math.round(lengthUs - healUs),
    healUs: Math.round(healUs),
    ...(generator === undefined ? {} : { generator }),
  };
  if (seed !== undefined && trace === true) return traceSeed({ ...run, seed }, options, output);
  return runMany(
    {
      ...run,
      seeds: seed === undefined ? options.seeds : 1,
      from: seed ?? options.from,
      ...(options.workers === undefined ? {} : { workers: options.workers }),
    },
    run,
    options,
    output,
  );
}

/** Replays one seed bit for bit, with its story. */
async function traceSeed(run: RunOptions, options: SimulateOptions, output: Output): Promise<ExitCode> {
  const result = await runSeed({ ...run, trace: true });
  if (options.json !== true) output.write(runText(result, true));
  else {
    const { violations, digest, events, schedule, cluster, trace } = result;
    const told = { seed: run.seed, seeds: 1, violations: violations.length, found: violations };
    output.write(`${JSON.stringify({ ...told, digest, events, cluster, schedule, trace })}\n`);
  }
  return result.violations.length === 0 ? EXIT_CODES.ok : EXIT_CODES.error;
}

async function runMany(
  campaign: CampaignOptions,
  run: Omit<RunOptions, "seed">,
  options: SimulateOptions,
  output: Output,
): Promise<ExitCode> {
  let done = 0;
  let toldMs = performance.now();
  const result = await runCampaign({
    ...campaign,
    onResult: () => {
      done += 1;
      if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
      toldMs = performance.now();
      output.complain(`${done} of ${campaign.seeds} seeds\n`);
    },
  });
  for (const failed of result.failed.slice(0, SHRINK_FAILED_MAX)) {
    output.complain(`shrinking seed ${failed.seed}\n`);
    const shortest = await shrink({ ...run, seed: failed.seed }, failed, { runsMax: SHRINK_RUNS });
    output.write(
      `${runText(shortest, false)}again, in full: quorate sim --seed ${failed.seed} --trace${again(options)}\n\n`,
    );
  }
  output.write(campaignText(result));
  if (options.json === true) output.write(`${JSON.stringify(campaignJson(result))}\n`);
  return result.failed.length === 0 ? EXIT_CODES.ok : EXIT_CODES.error;
}

/** The options that a replay needs besides the seed. */
function again({ nodes, token, seconds, generator }: SimulateOptions): string {
  const chosen = generator === undefined ? "" : ` --generator ${generator}`;
  return ` --nodes ${nodes} --token ${token} --seconds ${seconds}${chosen}`;
}
