/** Pure arithmetic of samples. Percentiles are nearest-rank: a value that was really measured. */
export type Summary = { n: number; median: number; p99: number; max: number };

export function summarize(values: readonly number[]): Summary | null {
  const sorted = values.toSorted((left, right) => left - right);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  const [median, p99, max] = [rank(0.5), rank(0.99), sorted.at(-1)];
  if (median === undefined || p99 === undefined || max === undefined) return null;
  return { n: sorted.length, median, p99, max };
}
