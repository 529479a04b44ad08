/**
 * `npm run sim:adaptive [-- --seeds N]`: false alarms per simulated hour with and without each adaptive rule, on the
 * same seeds. Exit code 1 when a rule does not lower them, or costs an invariant.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { ADAPTIVE_RULES } from "./rules.ts";
import type { Order, Tally } from "./run-rule.ts";

const run = promisify(execFile);

async function tallyOf(order: Order): Promise<Tally> {
  const argv = ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "run-rule.ts")];
  const { stdout } = await run(process.execPath, [...argv, JSON.stringify(order)]);
  return JSON.parse(stdout) as Tally;
}

const perHour = (count: number, hours: number): string => (hours === 0 ? "-" : (count / hours).toFixed(0));

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { seeds: { type: "string", default: "5" } } });
  const seeds = Number(values.seeds);
  if (!Number.isInteger(seeds) || seeds < 1) {
    process.stderr.write("USAGE: --seeds must be a whole number of at least 1\n");
    return 64;
  }
  process.stdout.write(
    "| rule | weather | seeds | false alarms/h without | with | views/h without | with | invariants broken |\n",
  );
  process.stdout.write("|---|---|---:|---:|---:|---:|---:|---:|\n");
  let good = true;
  for (const { name, weather } of ADAPTIVE_RULES) {
    const without = await tallyOf({ name, withRule: false, seeds });
    const kept = await tallyOf({ name, withRule: true, seeds });
    const alarms = [without, kept].map((tally) => perHour(tally.falseAlarms, tally.hours));
    const views = [without, kept].map((tally) => perHour(tally.viewChanges, tally.hours));
    const violations = without.violations + kept.violations;
    const cells = [name, weather, seeds, ...alarms, ...views, violations];
    process.stdout.write(`| ${cells.join(" | ")} |\n`);
    good &&=
      without.filesLoaded > 0 &&
      kept.violations === 0 &&
      kept.falseAlarms / kept.hours < without.falseAlarms / without.hours;
  }
  return good ? 0 : 1;
}

process.exitCode = await main();
