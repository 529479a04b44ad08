/** The known names that look most like what was asked for, the best first; empty when none comes near. */
export function closestNames(asked: string, known: readonly string[]): string[] {
  const judged = known.map((name) => ({ name, distance: distanceBetween(asked, name) }));
  return judged
    .filter(
      ({ name, distance }) => distance <= Math.max(2, Math.floor(name.length / 3)) || name.includes(asked),
    )
    .toSorted((left, right) => left.distance - right.distance || (left.name < right.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein: how many letters have to be put in, left out or changed. */
function distanceBetween(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let index = 1; index <= left.length; index += 1) {
    const next = [index];
    for (let other = 1; other <= right.length; other += 1) {
      const change = (row[other - 1] ?? 0) + (left[index - 1] === right[other - 1] ? 0 : 1);
      next.push(Math.min(change, (row[other] ?? 0) + 1, (next[other - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
