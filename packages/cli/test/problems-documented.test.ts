import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** Where things that are degraded get their codes, and how they are written there. */
const sources: readonly { file: string; from?: string; pattern: RegExp }[] = [
  { file: "packages/cli/src/degradation.ts", pattern: /\badd\("([a-z_]+)"|code: "([a-z_]+)"/g },
  { file: "services/membership/src/problems.ts", pattern: /code: "([A-Z_]+)"/g },
  { file: "services/membership/src/net/ring-set.ts", pattern: /(?<=code: .*)"([A-Z_]+)"/g },
  {
    file: "packages/core-membership/src/receive.ts",
    from: "function duplicateNode(",
    pattern: /code: "([a-z-]+)"/g,
  },
  { file: "packages/core-quorum/src/outgoing.ts", from: "function problems(", pattern: /code: "([A-Z_]+)"/g },
  {
    file: "packages/core-failover/src/report.ts",
    pattern: /\b(?:add|no)\(\s*"([A-Z_]+)"|code: "([A-Z_]+)"/g,
  },
  { file: "packages/core-config/src/problems.ts", pattern: /code: "([A-Z_]+)"/g },
  { file: "packages/core-config/src/operator-file.ts", pattern: /code: "([A-Z_]+)"/g },
  { file: "packages/core-config/src/following.ts", from: "function forked(", pattern: /code: "([A-Z_]+)"/g },
];

/** Stand in these files too, and never for something that is degraded. */
const WELL: readonly string[] = ["OK", "CAUGHT_UP", "REPAIRED", "RESTAMPED"];

function codesOf({ file, from, pattern }: (typeof sources)[number]): string[] {
  const text = read(file);
  const start = from === undefined ? 0 : text.indexOf(from);
  expect(start, `${from} is in ${file}`).toBeGreaterThanOrEqual(0);
  const codes = [...text.slice(start).matchAll(pattern)].map((match) => match[1] ?? match[2] ?? "");
  expect(codes.length, `codes in ${file}`).toBeGreaterThan(0);
  return codes.filter((code) => !WELL.includes(code));
}

describe("the manual's table of what may be degraded", () => {
  const page = read("docs/manual/operations.md");
  const table = page.slice(page.indexOf("## What may be degraded"), page.indexOf("## Why did it do that"));

  it.each(sources)("names every code of $file", (source) => {
    const missing = codesOf(source).filter((code) => !table.includes(`\`${code}\``));
    expect([...new Set(missing)].sort()).toEqual([]);
  });
});
