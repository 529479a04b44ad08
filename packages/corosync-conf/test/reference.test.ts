import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CONFIG_REFERENCE, formatDiagnostic, REFERENCE_SECTIONS, readClusterConfig } from "../src/index.ts";
import { renderReference } from "../src/reference-markdown.ts";
import { checkValue } from "../src/value-types.ts";

const NODES = `nodelist {
 node {
  nodeid: 1
  ring0_addr: 10.0.0.1
 }
}
`;

test("the manual is what the table says", () => {
  const file = join(import.meta.dirname, "../../../docs/manual/configuration.md");
  expect(readFileSync(file, "utf8")).toBe(renderReference());
});

test("the manual names every key and every section", () => {
  const manual = renderReference();
  for (const row of CONFIG_REFERENCE)
    for (const key of [row.key, ...(row.also ?? [])]) expect(manual).toContain(key);
  for (const row of REFERENCE_SECTIONS) expect(manual).toContain(`\`${row.section}`);
});

test("every default passes its own check", () => {
  for (const row of CONFIG_REFERENCE) {
    if (row.default !== undefined)
      expect(checkValue(row.type, row.key, row.default)).toMatchObject({ ok: true });
  }
});

test("every honoured key says its default, and every row belongs to a known section", () => {
  const sections = new Set(REFERENCE_SECTIONS.map((row) => row.section));
  for (const row of CONFIG_REFERENCE) {
    expect(sections).toContain(row.section);
    if (row.use === "honoured") expect(row.default ?? row.defaultMeaning, row.key).toBeDefined();
  }
});

test("no spelling means two things in one section", () => {
  const spellings = CONFIG_REFERENCE.flatMap((row) =>
    [row.key, ...(row.also ?? [])].map((key) => `${row.section}.${key}`),
  );
  expect(new Set(spellings).size).toBe(spellings.length);
});

const NUMBERS = CONFIG_REFERENCE.filter(
  ({ type, family }) => (type.kind === "integer" || type.kind === "token") && family === undefined,
);

describe("a word where a number must stand is refused, at its place", () => {
  test.each(NUMBERS.map((row) => ({ row, path: `${row.section}.${row.key}` })))("$path", ({ row }) => {
    const names = row.section.split(".");
    const opened = names.map((name) => `${name} {\n`).join("");
    const others = row.section.startsWith("nodelist") ? "" : NODES;
    const text = `${opened}${row.key}: many\n${"}\n".repeat(names.length)}${others}`;
    const result = readClusterConfig(text, "f");
    const lines = result.ok ? [] : result.diagnostics.map(formatDiagnostic);
    const place = `f:${names.length + 1}:${row.key.length + 3}`;
    expect(lines.filter((line) => line.startsWith(place))).toEqual([
      expect.stringContaining(`${place}: "${row.key}" must be a whole number, not "many"; `),
    ]);
  });
});
