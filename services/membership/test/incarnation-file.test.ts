import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@quorate/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { IncarnationFile } from "../src/incarnation-file.ts";

const logger = createLogger({ service: "test", node: 2, level: "silent" });
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-incarnation-"));
  path = join(folder, "membership.state");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("rises with every start, also when the clock has gone back", () => {
  const ahead = Date.now() + 3_600_000;
  new IncarnationFile(folder, logger).write(ahead);
  expect(new IncarnationFile(folder, logger).next()).toBe(ahead + 1);
  expect(new IncarnationFile(folder, logger).next()).toBe(ahead + 2);
});

it("whatever is cut off or flipped in the file, the number is the next one or the clock's", {
  timeout: 180_000,
}, () => {
  const ahead = Date.now() + 3_600_000;
  new IncarnationFile(folder, logger).write(ahead);
  const good = readFileSync(path);
  const bad = [
    ...Array.from({ length: good.length }, (_, length) => good.subarray(0, length)),
    ...Array.from({ length: good.length * 8 }, (_, bit) => {
      const flipped = Buffer.from(good);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return flipped;
    }),
  ];
  for (const [index, bytes] of bad.entries()) {
    writeFileSync(path, bytes);
    const before = Date.now();
    const next = new IncarnationFile(folder, logger).next();
    expect(next).toBeGreaterThanOrEqual(before);
    expect(next).toBeLessThanOrEqual(Date.now());
    // It is on the disk again; each look costs a write.
    if (index % 100 === 0) expect(new IncarnationFile(folder, logger).next()).toBeGreaterThan(next);
  }
});

it("a disk that takes nothing keeps no node silent", () => {
  const file = new IncarnationFile(join(folder, "gone"), logger);
  expect(file.next()).toBeGreaterThan(Date.now());
  expect(file.durable).toBe(false);
});
