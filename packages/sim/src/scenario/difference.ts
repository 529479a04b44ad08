/** The first line in which two logs differ, in words; null when they are equal. */
export function firstDifference(expected: string, seen: string): string | null {
  if (expected === seen) return null;
  const wanted = expected.split("\n");
  const got = seen.split("\n");
  const index = got.findIndex((line, at) => line !== wanted[at]);
  const at = index < 0 ? got.length : index;
  return [
    `line ${at + 1} of log.expect differs`,
    `  expected: ${wanted[at] ?? "(the end)"}`,
    `  seen:     ${got[at] ?? "(the end)"}`,
  ].join("\n");
}
