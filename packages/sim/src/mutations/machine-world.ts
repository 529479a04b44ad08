import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "./load-mutated.ts";

type MachineWorld = { violations: readonly string[]; nowUs: number; blockedReasons(): string[] };
type Schedules = {
  runSchedule(seed: number): MachineWorld;
  runProofSchedule(seed: number): MachineWorld;
  runWatchdogSchedule(seed: number): MachineWorld;
  hasConverged(world: MachineWorld): boolean;
};

const SCHEDULES = "packages/core-failover/test/vm-schedule.ts";

/**
 * One seed of core-failover's own world of virtual machines: three hosts, shared storage, live moves, a model of the
 * quorum that keeps its rules. Half a minute of faults, then everything has to run. A room's tests are no module of
 * it, so it is found by its path. With `proofs` there is a machine that no gate holds, and operators who vouch for hosts; with
 * `watchdogs` there are these in the place of operators.
 */
export async function runMachines(
  seed: number,
  beside: "gates" | "proofs" | "watchdogs",
): Promise<{ invariant: string; message: string; atUs: number } | null> {
  const { runSchedule, runProofSchedule, runWatchdogSchedule, hasConverged } = (await import(
    pathToFileURL(join(ROOT, SCHEDULES)).href
  )) as Schedules;
  const run = { gates: runSchedule, proofs: runProofSchedule, watchdogs: runWatchdogSchedule }[beside];
  const world = run(seed);
  const [message] = world.violations;
  const atUs = Math.round(world.nowUs);
  // What it says without a number is of a gate that outlives its lease, or of a disk written twice.
  if (message !== undefined) return { invariant: /^INV-\d/.exec(message)?.[0] ?? "INV-3", message, atUs };
  if (!hasConverged(world))
    return { invariant: "LIVENESS", message: world.blockedReasons().join("; "), atUs };
  return null;
}
