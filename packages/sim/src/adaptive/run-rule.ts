/**
 * Runs one adaptive rule's weather, with the rule or without, in a process of its own; prints what came of it as one
 * line of JSON.
 *   node run-rule.ts '{"name": NAME, "withRule": false, "seeds": 5}'
 */
import { loadMutated } from "../mutations/load-mutated.ts";
import { ADAPTIVE_RULES, FALSE_ALARMS } from "./rules.ts";

export type Order = { name: string; withRule: boolean; seeds: number };

export type Tally = {
  hours: number;
  /** Removals and lost masterships. */
  falseAlarms: number;
  /** Views made after the cluster was whole. */
  viewChanges: number;
  /** Of safety. */
  violations: number;
  filesLoaded: number;
};

const TOKEN_MS = 1000;
const FAULT_US = 60_000_000;
/** By then the cluster is whole: what happens before is no alarm. */
const WHOLE_S = 5;

async function runRule({ name, withRule, seeds }: Order): Promise<Tally> {
  const rule = ADAPTIVE_RULES.find((each) => each.name === name);
  const [first, ...others] = rule?.off ?? [];
  if (rule === undefined || first === undefined) throw new Error(`no adaptive rule ${name}`);
  const loaded = withRule
    ? new Set<string>()
    : loadMutated({
        name,
        rule: rule.rule,
        edits: [first, ...others],
        breaks: "any",
        attempts: [],
      });
  const { runSeed } = await import("../run.ts");
  const tally: Tally = { hours: 0, falseAlarms: 0, viewChanges: 0, violations: 0, filesLoaded: 0 };
  for (let seed = 1; seed <= seeds; seed += 1) {
    const schedule = rule.schedule(seed, TOKEN_MS * 1000, FAULT_US);
    const result = await runSeed({
      seed,
      schedule,
      tokenMs: TOKEN_MS,
      faultUs: FAULT_US,
      healUs: 0,
      trace: true,
    });
    tally.hours += result.simulatedUs / 3_600_000_000;
    // That a quarantined node is still out when the weather ends is the rule itself.
    tally.violations += result.violations.filter(({ invariant }) => invariant !== "LIVENESS").length;
    for (const line of result.trace) {
      if (Number.parseFloat(line) < WHOLE_S) continue;
      if (FALSE_ALARMS.some((code) => line.includes(` ${code}: `))) tally.falseAlarms += 1;
      // Everybody adopts a view; the master's word counts.
      if (line.includes(" NODE_READMITTED: ") || line.includes(" NODE_SILENT: ")) tally.viewChanges += 1;
    }
  }
  tally.filesLoaded = loaded.size;
  return tally;
}

const order = JSON.parse(process.argv[2] ?? "") as Order;
process.stdout.write(`${JSON.stringify(await runRule(order))}\n`);
