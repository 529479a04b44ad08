// The checks of `npm test`, in the order in which they run: what is quick and often wrong comes first.

/** A program that judges the whole checkout by its exit code. */
export type ProgramCheck = {
  readonly kind: "program";
  readonly name: string;
  readonly judges: string;
  readonly command: readonly [string, ...string[]];
  /** What usually repairs it; shown when it fails. */
  readonly remedy?: string;
  readonly timeoutMs: number;
};

/** A vitest project; each of its tests counts as one check. */
export type TestCheck = {
  readonly kind: "tests";
  readonly name: string;
  readonly judges: string;
  readonly needsRoot: boolean;
  readonly timeoutMs: number;
};

export type Check = ProgramCheck | TestCheck;

const minuteMs = 60_000;

export const checks: readonly Check[] = [
  {
    kind: "program",
    name: "format",
    judges: "biome: two blanks, double quotes, 110 columns",
    command: ["biome", "format", "--max-diagnostics=20", "."],
    remedy: "npx biome format --write .",
    timeoutMs: minuteMs,
  },
  {
    kind: "program",
    name: "lint",
    judges: "oxlint with types: promises, imports, the purity of the cores",
    command: ["oxlint", "--type-aware", "--format=stylish"],
    timeoutMs: 2 * minuteMs,
  },
  {
    kind: "program",
    name: "types",
    judges: "tsc over every package, service and test",
    command: ["tsc", "--noEmit", "-p", "tsconfig.json"],
    timeoutMs: 2 * minuteMs,
  },
  {
    kind: "program",
    name: "boundaries",
    judges: "turbo boundaries: who may import whom (turbo.json)",
    command: ["turbo", "boundaries"],
    timeoutMs: minuteMs,
  },
  {
    kind: "program",
    name: "dependencies",
    judges: "each package.json against the table of what its room may use",
    command: ["node", "deploy/checks/dependencies.ts"],
    timeoutMs: minuteMs,
  },
  {
    kind: "program",
    name: "dead-code",
    judges: "knip: unused files, exports and dependencies",
    command: ["knip", "--no-config-hints"],
    timeoutMs: minuteMs,
  },
  {
    kind: "program",
    name: "generated",
    judges: "documents and schemas are what their generators write",
    command: ["node", "deploy/checks/generated.ts"],
    remedy: "node deploy/checks/generated.ts --write",
    timeoutMs: minuteMs,
  },
  {
    kind: "tests",
    name: "unit",
    judges: "tests that need no lab, in parallel",
    needsRoot: false,
    timeoutMs: 12 * minuteMs,
  },
  {
    kind: "tests",
    name: "lab",
    judges: "tests on real hosts made of namespaces, one after the other",
    needsRoot: true,
    timeoutMs: 18 * minuteMs,
  },
];
