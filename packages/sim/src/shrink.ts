import type { Invariant, RunOptions, RunResult } from "./options.ts";
import { runSeed } from "./run.ts";
import { type FaultAction, QUIET, type Schedule } from "./schedule.ts";

export type ShrinkOptions = {
  /** How many runs it may take at most. Default 200. */
  runsMax?: number;
  /** Looked at before every run: true stops with what was reached so far. */
  enough?: () => boolean;
};

/**
 * The shortest schedule found under which the same invariant is violated: without noise if that does, then without
 * every action that can be spared (ddmin, Zeller 2002). Not the shortest there is: a smaller one may need two actions
 * changed at once. Returns the run of it, traced. `failed` must have a violation.
 */
export async function shrink(
  options: RunOptions,
  failed: RunResult,
  { runsMax = 200, enough = () => false }: ShrinkOptions = {},
): Promise<RunResult> {
  const [violation] = failed.violations;
  if (violation === undefined) throw new Error("nothing to shrink: no invariant was violated");
  let runs = 0;
  const attempt = async (schedule: Schedule): Promise<RunResult | null> => {
    if (runs >= runsMax || enough()) return null;
    runs += 1;
    const result = await runSeed({ ...options, schedule, trace: false });
    return breaks(result, violation.invariant) ? result : null;
  };
  // What came after the violation had no part in it.
  let best: Schedule = {
    noise: failed.schedule.noise,
    actions: failed.schedule.actions.filter((action) => action.atUs <= violation.atUs),
  };
  if ((await attempt({ ...best, noise: QUIET })) !== null) best = { ...best, noise: QUIET };
  for (let parts = 2; best.actions.length > 0; ) {
    const fewer = await withoutAPart(best, parts, attempt);
    if (fewer !== null) {
      best = fewer;
      parts = Math.max(2, parts - 1);
    } else if (parts >= best.actions.length) break;
    else parts = Math.min(best.actions.length, parts * 2);
  }
  return { ...(await runSeed({ ...options, schedule: best, trace: true })), generator: failed.generator };
}

function breaks(result: RunResult, invariant: Invariant): boolean {
  return result.violations.some((violation) => violation.invariant === invariant);
}

async function withoutAPart(
  schedule: Schedule,
  parts: number,
  attempt: (schedule: Schedule) => Promise<RunResult | null>,
): Promise<Schedule | null> {
  const { actions } = schedule;
  const length = Math.ceil(actions.length / parts);
  for (let from = 0; from < actions.length; from += length) {
    const fewer: FaultAction[] = [...actions.slice(0, from), ...actions.slice(from + length)];
    const shorter = { ...schedule, actions: fewer };
    if ((await attempt(shorter)) !== null) return shorter;
  }
  return null;
}
