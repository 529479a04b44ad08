/**
 * A guard of the product, and the edit that removes it. The simulator must notice: a guard that it does not miss
 * is dead code, or the simulator has a hole. Mutations are applied to what node loads, never to the tree on disk.
 */

export type Edit = {
  /** Below the root of the repository. */
  readonly file: string;
  /** Must occur exactly once in the file; a test sees to it, so that no mutation rots. */
  readonly find: string;
  readonly replace: string;
};

/** Which runs are tried: seeds 1 to `seeds` of what this generator makes, for so many nodes at this token. */
export type Attempt = {
  readonly generator: string;
  readonly seeds: number;
  readonly nodes?: number;
  readonly tokenMs?: number;
};

export type Mutation = {
  readonly name: string;
  /** What protocol.md (or an ADR) says; a dagger where the page has one. */
  readonly rule: string;
  readonly edits: readonly [Edit, ...Edit[]];
  /**
   * What may break without the guard: an invariant (which one, the run says), the bounds on recovery, or either.
   * A core that throws is no catch: it would be the edit that is wrong.
   */
  readonly breaks: "safety" | "liveness" | "any";
  /** Tried in this order; not caught within all of them is a failure. */
  readonly attempts: readonly Attempt[];
  /**
   * Why no run misses this guard, where that was settled: what else holds, or what it is good for that no invariant
   * speaks of. Not run with the others then.
   */
  readonly settled?: string;
  /** What was learnt about it. */
  readonly note?: string;
};

/** The source with the edit made. Throws when the text to be replaced is not there exactly once. */
export function applyEdit(source: string, edit: Edit): string {
  const parts = source.split(edit.find);
  if (parts.length !== 2)
    throw new Error(`${edit.file}: the text to replace occurs ${parts.length - 1} times: ${edit.find}`);
  return parts.join(edit.replace);
}

/** How many seeds may be needed at the most, over all attempts. */
export function seedsMax(mutation: Mutation): number {
  return mutation.attempts.reduce((sum, { seeds }) => sum + seeds, 0);
}

/** The files that a mutation changes, for the table. */
export function whereOf(mutation: Mutation): string {
  return [
    ...new Set(mutation.edits.map(({ file }) => file.replace("packages/", "").replace("/src/", "/"))),
  ].join(", ");
}

/** Seeds of one generator. */
export function seedsOf(
  generator: string,
  seeds: number,
  setting: { nodes?: number; tokenMs?: number } = {},
): Attempt {
  return { generator, seeds, ...setting };
}

/** Whether a broken invariant of this name says that the guard is missed. */
export function isCatch(mutation: Mutation, invariant: string): boolean {
  switch (invariant) {
    case "LIVENESS":
      return mutation.breaks !== "safety";
    case "CRASH":
      return false;
    default:
      return mutation.breaks !== "liveness";
  }
}
