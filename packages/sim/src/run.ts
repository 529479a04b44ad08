import { drawGenerator, GENERATORS, generatorNamed } from "./generators/index.ts";
import type { ClusterSetup, RunOptions, RunResult } from "./options.ts";
import { Random } from "./random.ts";
import { World } from "./world.ts";

export const DEFAULT_TOKEN_MS = 1000;
/** One simulated minute at the default token: faults for three quarters of it. */
export const DEFAULT_FAULT_US = 45_000_000;
export const DEFAULT_HEAL_US = 15_000_000;

/** The cluster that a seed runs on: sizes are as asked, rings, transport and priorities vary. */
export function clusterOf(seed: number, nodes: number, tokenMs: number): ClusterSetup {
  const random = Random.forked(seed, "cluster");
  return {
    tokenMs,
    nodes: Array.from({ length: nodes }, (_, index) => ({
      id: index + 1,
      prio: random.chance(0.1) && index > 2 ? 0 : 100 - index,
      votes: 1,
    })),
    rings: random.chance(0.3) ? 2 : 1,
    transport: random.chance(0.3) ? "udp" : "udpu",
  };
}

/**
 * Runs one seed: makes its schedule, or takes the given one, and lets the world go until its end or the first
 * violation. Equal options give equal results. Throws on an unknown generator only.
 */
export async function runSeed(options: RunOptions): Promise<RunResult> {
  const { seed } = options;
  const cluster = options.cluster ?? clusterOf(seed, options.nodes ?? 3, options.tokenMs ?? DEFAULT_TOKEN_MS);
  const faultUs = options.faultUs ?? DEFAULT_FAULT_US;
  const healUs = options.healUs ?? DEFAULT_HEAL_US;
  const tokenUs = cluster.tokenMs * 1000;
  const generator =
    options.generator === undefined
      ? drawGenerator(Random.forked(seed, "generator"))
      : generatorNamed(options.generator);
  if (generator === undefined) {
    const known = GENERATORS.map((each) => each.name).join(", ");
    throw new Error(`no generator ${options.generator}; there are ${known}`);
  }
  const random = Random.forked(seed, `schedule ${generator.name}`);
  const schedule = options.schedule ?? generator.generate({ cluster, tokenUs, faultUs, random });
  const world = new World({
    cluster,
    schedule,
    noiseSeed: seed,
    faultUs,
    healUs,
    trace: options.trace ?? false,
    freeze: options.freeze ?? false,
  });
  await world.run();
  return {
    seed,
    generator: options.schedule === undefined ? generator.name : "given",
    cluster,
    schedule,
    violations: world.violations,
    holes: Object.fromEntries(world.checker.holes),
    faults: Object.fromEntries([...world.faults].toSorted(([left], [right]) => (left < right ? -1 : 1))),
    skipped: world.skipped,
    simulatedUs: world.nowUs,
    events: world.events,
    elections: world.checker.elections,
    holderAfterUs: world.settling.holderAfterUs,
    settledAfterUs: world.settling.settledAfterUs,
    digest: world.digest,
    trace: world.trace,
  };
}
