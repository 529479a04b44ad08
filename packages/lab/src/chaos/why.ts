/** Asks `quorate why` after a fault, and holds what it prints against what was done. */
import type { BenchLab } from "../bench/bench-lab.ts";
import type { Converged } from "../converged.ts";
import type { ChaosSample, Fault } from "./fault.ts";
import type { Injection } from "./injection.ts";

/** Null while this build of `quorate` has no such command. */
export async function askWhy(
  bench: BenchLab,
  fault: Fault,
  injection: Injection,
  after: Converged | null,
): Promise<ChaosSample["cause"]> {
  if (after === null) return null;
  const { quorate } = bench.lab.record();
  const result = await bench.lab.exec(after.master, [...quorate, "why", String(injection.node)]);
  const printed = `${result.stdout}${result.stderr}`.trim();
  if (/unknown command|too many arguments/i.test(printed)) return null;
  return {
    expected: fault.expectedCause.source,
    printed: printed.slice(0, 4000),
    isRight: fault.expectedCause.test(printed),
  };
}
