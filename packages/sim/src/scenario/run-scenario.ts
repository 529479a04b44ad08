import { QuorateError } from "@quorate/contracts";
import type { Violation } from "../options.ts";
import { QUIET } from "../schedule.ts";
import { World } from "../world.ts";
import { deedOf } from "./deeds.ts";
import type { Scenario } from "./folder.ts";
import { renderLog } from "./render.ts";
import type { ScriptStep } from "./script.ts";
import { seconds, stateOf, Story } from "./story.ts";

/** A script's time begins when the cluster has come up and is at rest. */
const RISE_TOKENS = 6;
const SETTLE_TOKENS = 10;
const SETTLE_LEAST_US = 10_000_000;

export type ScenarioResult = {
  /** What log.expect holds. */
  log: string;
  /** Of the invariants and of liveness; a hole that the script names is none, and one that stays shut is said. */
  violations: string[];
  /** Every line of the story, when asked for. */
  trace: string[];
};

/**
 * Lets a scenario happen. Equal ones give equal logs. Throws QuorateError SCENARIO_INVALID for a step that struck
 * nothing, with its number: a scenario that does not do what it says proves nothing.
 */
export async function runScenario(
  scenario: Scenario,
  options: { trace?: boolean } = {},
): Promise<ScenarioResult> {
  const { cluster, script } = scenario;
  const tokenUs = cluster.tokenMs * 1000;
  const beginUs = RISE_TOKENS * tokenUs;
  const endUs = beginUs + script.until;
  const waiting = new Set<ScriptStep>();
  const missed: string[] = [];
  // Hosts boot, and say so, while the world is still being made.
  let made: World | null = null;
  const story: Story = new Story(
    () => world,
    beginUs,
    (code, node) => onHeard(code, node),
  );
  const world: World = new World({
    cluster,
    schedule: {
      noise: { ...QUIET, ...withoutUndefined(script.noise) },
      actions: [],
      machines: script.machines,
    },
    noiseSeed: script.seed,
    faultUs: endUs,
    healUs: Math.max(SETTLE_LEAST_US, SETTLE_TOKENS * tokenUs),
    trace: options.trace ?? false,
    listen: (line) => {
      if (made?.faulty === true) story.listen(line);
    },
  });
  made = world;
  story.watchAddress(endUs);
  begin(0);
  world.at(endUs - 1, () => end());
  await world.run();
  if (world.violations.length === 0 && waiting.size > 0)
    missed.push(...[...waiting].map((step) => unheard(step)));
  if (missed.length > 0)
    throw new QuorateError(
      "SCENARIO_INVALID",
      `${scenario.folder}/script.json: ${missed.join("; ")}`,
      "Mend the script; --trace shows what each node said.",
    );
  return {
    log: `${renderLog(story.entries, script.show).join("\n")}\n`,
    violations: judge(world.violations),
    trace: world.trace,
  };

  function judge(found: readonly Violation[]): string[] {
    const { hole } = script;
    const opened = found.some(({ invariant }) => invariant === hole);
    const broken = found.filter(({ invariant }) => invariant !== hole);
    const violations = broken.map(({ invariant, message }) => `${invariant}: ${message}`);
    if (hole !== undefined && !opened)
      violations.push(`${hole} held; the script says that this hole is open`);
    return violations;
  }

  /** Steps come one after the other; one that waits for a word waits from its predecessor on. */
  function begin(index: number): void {
    const step = script.steps[index];
    if (step === undefined) return;
    if (step.at !== undefined) {
      world.at(beginUs + step.at, () => strike(step));
      begin(index + 1);
      return;
    }
    waiting.add(step);
  }

  function onHeard(code: string, node: number): void {
    const first = script.steps.find((step) => waiting.has(step));
    if (first === undefined || first.after !== code || (first.by !== undefined && first.by !== node)) return;
    waiting.delete(first);
    const next = () => {
      strike(first);
      begin(script.steps.indexOf(first) + 1);
    };
    // At once means before what was decided has left the process.
    if (first.later === undefined) next();
    else world.at(world.nowUs + first.later, next);
  }

  function strike(step: ScriptStep): void {
    const deed = deedOf(world, step);
    const place = `steps[${script.steps.indexOf(step)}] (${step.do})`;
    if (deed === null) {
      missed.push(`${place}: there is no such node at that instant`);
      return;
    }
    story.add(">>", "", deed.sentence);
    const why = deed.strike();
    if (why !== null) missed.push(`${place}: ${why}`);
  }

  function unheard(step: ScriptStep): string {
    const by = step.by === undefined ? "nobody" : `node ${step.by} never`;
    return `steps[${script.steps.indexOf(step)}] (${step.do}): ${by} said ${step.after}`;
  }

  function end(): void {
    story.finish();
    const holders = [...world.hosts.values()].filter((host) => host.answers).map((host) => host.id);
    const who = holders.length === 0 ? "Nobody answers" : `Node ${holders.join(" ")} answers`;
    story.add("cluster", "", `${who} at the end. ${stateOf(world)}`);
    const without =
      story.silentUs === 0
        ? "The address was never without an answer."
        : `The address was without an answer for ${seconds(story.silentUs)} s, ${seconds(story.longestSilenceUs)} s at a stretch.`;
    story.add("cluster", "", without);
  }
}

function withoutUndefined<Part extends object>(
  part: Part,
): { [Key in keyof Part]?: Exclude<Part[Key], undefined> } {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)) as never;
}
