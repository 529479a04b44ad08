import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ConfSection, Diagnostic } from "../src/index.ts";
import {
  decodeText,
  encodeText,
  formatDiagnostic,
  parseDocument,
  printDocument,
  readClusterConfig,
  renderCheck,
  renderShow,
} from "../src/index.ts";
import { generatedText } from "./arbitrary-text.ts";
import { corpus } from "./corpus.ts";

/** Everything the tree says, in the order of the file, and that its offsets point at it. */
function said(section: ConfSection, text: string, path = ""): string[] {
  return section.entries.flatMap((entry) => {
    const lineStart = text.slice(entry.start);
    if (entry.kind === "section") {
      expect(lineStart.slice(entry.column - 1).startsWith(entry.name)).toBe(true);
      return [`${path}${entry.name}{`, ...said(entry, text, `${path}${entry.name}{`)];
    }
    expect(lineStart.slice(entry.column - 1).startsWith(entry.key)).toBe(true);
    expect(text.slice(entry.valueStart, entry.valueEnd)).toBe(entry.value);
    expect(entry.start + entry.valueColumn - 1).toBe(entry.valueStart);
    expect(text.slice(0, entry.start).split("\n")).toHaveLength(entry.line);
    return [`${path}${entry.key}=${entry.value}`];
  });
}

test("whatever the grammar allows is read in full, and printed back as it was", () => {
  fc.assert(
    fc.property(generatedText, (generated) => {
      const parsed = parseDocument(generated.text, "f");
      if (!parsed.ok) throw new Error(parsed.diagnostics.map(formatDiagnostic).join("\n"));
      expect(said(parsed.document.root, generated.text)).toEqual(generated.said);
      expect(printDocument(parsed.document)).toBe(generated.text);
    }),
    { numRuns: 500 },
  );
});

function checkPlaces(diagnostics: readonly Diagnostic[], text: string): void {
  const lines = text.split("\n");
  for (const { line, column, what, remedy } of diagnostics) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    expect(`${what}${remedy}`).not.toMatch(/[\n\0]/);
    expect(remedy).not.toBe("");
  }
}

/** Whatever the text, an answer comes, its places lie in the text, and what is accepted can be shown. */
function survives(text: string): void {
  const result = readClusterConfig(text, "f");
  checkPlaces(result.ok ? result.warnings : result.diagnostics, text);
  expect([0, 78]).toContain(renderCheck("f", result).exitCode);
  if (result.ok) expect(renderShow(result)).toContain("totem.token");
}

test("no text makes it throw", () => {
  const bits = fc.constantFrom(
    "{",
    "}",
    ":",
    "\n",
    "#",
    " ",
    "\t",
    "\r",
    "\0",
    "\u00a0",
    "node",
    "totem",
    "nodelist",
    "nodeid",
    "1",
    "10.0.0.1",
    "ring0_addr",
    "\ud800",
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), survives), { numRuns: 300 });
  fc.assert(
    fc.property(
      fc.array(bits, { maxLength: 60 }).map((words) => words.join("")),
      survives,
    ),
    { numRuns: 500 },
  );
});

test("no damage to a real file makes it throw", () => {
  const texts = corpus().map(({ text }) => text);
  const damage = fc.record({
    text: fc.constantFrom(...texts),
    at: fc.nat({ max: 1200 }),
    length: fc.nat({ max: 40 }),
    instead: fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom("{", "}", "0", "-1", ":", "\n", "99999999999999999999"),
    ),
  });
  fc.assert(
    fc.property(damage, ({ text, at, length, instead }) => {
      const start = Math.min(at, text.length);
      survives(text.slice(0, start) + instead + text.slice(start + length));
    }),
    { numRuns: 1000 },
  );
});

test("any bytes survive as text", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(Buffer.compare(encodeText(decodeText(bytes)), bytes)).toBe(0);
    }),
    { numRuns: 1000 },
  );
  expect(decodeText(new Uint8Array([0xff, ...new TextEncoder().encode("\u044f\u0800\u20ac\u{1f5a7}")]))).toBe(
    "\udcff\u044f\u0800\u20ac\u{1f5a7}",
  );
  const escaped = new TextEncoder().encode("\u{1f5a7}\ufeff\u044f");
  for (let cut = 0; cut <= escaped.length; cut += 1) {
    const bytes = new Uint8Array([...escaped.subarray(0, cut), 0xff, ...escaped.subarray(cut)]);
    expect(Buffer.compare(encodeText(decodeText(bytes)), bytes)).toBe(0);
  }
});

test("a large file takes no long time", () => {
  const line = `${" ".repeat(100)}key${" ".repeat(100)}:${" ".repeat(200)}value${"\t".repeat(90)}\n`;
  for (const text of [
    line.repeat(2000),
    " ".repeat(1_000_000),
    "a: b # c\n".repeat(100_000),
    "x\n".repeat(500_000),
    "totem {\ntokenx: 1\n}\n".repeat(50_000),
  ]) {
    // Time on the processor, not on the wall: other tests run at the same time.
    const before = process.threadCpuUsage();
    readClusterConfig(text, "f");
    const { user } = process.threadCpuUsage(before);
    expect(user).toBeLessThan(5_000_000);
  }
});

test("corosync finds no broken syntax in what we accept", () => {
  const folder = mkdtempSync(join(tmpdir(), "corosync-syntax-"));
  const file = join(folder, "f.conf");
  const accepted = generatedText.filter(
    ({ text }) =>
      parseDocument(text, "f").ok && text.split("\n").every((line) => Buffer.byteLength(line) < 511),
  );
  try {
    fc.assert(
      fc.property(accepted, ({ text }) => {
        writeFileSync(file, text);
        const { stderr, stdout } = spawnSync("corosync", ["-t", "-c", file], {
          encoding: "utf8",
          timeout: 20_000,
        });
        expect(`${stdout}${stderr}`).not.toContain("parser error");
      }),
      { numRuns: 25 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
