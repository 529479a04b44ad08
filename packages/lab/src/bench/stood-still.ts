/**
 * Samples during which the machine itself stood still, for `bench:failover` and `chaos` alike. Pure.
 *
 * Such a sample says nothing about us: it is kept, marked, and another is taken in its place. Only the witness's own
 * lateness counts (witness.ts), which nothing of ours can cause; what must never happen is counted in these samples
 * too; and a series of which more than half had to be set aside is not measured.
 */
import type { TallyReport } from "../tally.ts";
import type { Sample } from "./results.ts";

/** A tenth of a token: a renewal is due that often. */
const BOUND_TOKENS = 0.1;

/** The longest stand-still in the window; missing where nothing may run in real time: then nothing is set aside. */
export const STOOD_STILL = "stood_still_ms";

/** None of it is excused by a machine that does not run: these count in every sample, and make it count. */
export const ALWAYS_COUNTED: readonly string[] = [
  ...["dual_ms", "stale_answers", "unconverged"],
  ...["replay_differences", "crashes", "double_starts", "lost_writes"],
];

/** By how much the observer itself was late, and for how long the machine stood still, where that is known. */
export function latenessOf({ latenessMs, stoodStillMs }: TallyReport): Record<string, number> {
  return { lateness_ms: latenessMs, ...(stoodStillMs === null ? {} : { [STOOD_STILL]: stoodStillMs }) };
}

export function standStillBoundMs(tokenMs: number): number {
  return tokenMs * BOUND_TOKENS;
}

/** The machine stood still for at least a tenth of a token while this was taken, and nothing unforgivable was seen. */
export function isSetAside(sample: Pick<Sample, "values">, tokenMs: number): boolean {
  const { values } = sample;
  if ((values[STOOD_STILL] ?? 0) < standStillBoundMs(tokenMs)) return false;
  return ALWAYS_COUNTED.every((name) => (values[name] ?? 0) === 0);
}

export type Sifted<One> = {
  counted: One[];
  aside: One[];
  /** False when more than half had to be set aside: what is left says too little. */
  isMeasured: boolean;
};

export function sift<One extends Pick<Sample, "values">>(
  samples: readonly One[],
  tokenMs: number,
): Sifted<One> {
  const counted = samples.filter((sample) => !isSetAside(sample, tokenMs));
  const aside = samples.filter((sample) => isSetAside(sample, tokenMs));
  return { counted, aside, isMeasured: aside.length * 2 <= samples.length };
}

/** Whether another sample is to be taken: until `wanted` count, with at most twice as many tries. */
export function lacks(samples: readonly Pick<Sample, "values">[], wanted: number, tokenMs: number): boolean {
  return sift(samples, tokenMs).counted.length < wanted && samples.length < 2 * wanted;
}

/** `machine stood still 312 ms`; empty when this sample counts. */
export function stoodStillText(sample: Pick<Sample, "values">, tokenMs: number): string {
  if (!isSetAside(sample, tokenMs)) return "";
  return `machine stood still ${Math.round(sample.values[STOOD_STILL] ?? 0)} ms`;
}
