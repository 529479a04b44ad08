// A boundary that nobody has seen hold is a wish: wrong imports are planted in a copy of the sources, and the same
// commands that `npm test` runs must refuse them.
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const root = dirname(dirname(dirname(import.meta.dirname)));
const sources = [
  ".gitignore",
  ".oxlintrc.json",
  "deploy",
  "package.json",
  "packages",
  "pnpm-lock.yaml",
  "pnpm-workspace.yaml",
  "services",
  "tsconfig.json",
  "turbo.json",
];

let copy = "";

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), "quorate-boundaries-"));
  for (const name of sources) {
    cpSync(join(root, name), join(copy, name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !/\/(dist|\.turbo)$/.test(path),
    });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
});

afterEach(() => {
  rmSync(copy, { recursive: true, force: true });
});

function run(command: string, ...args: readonly string[]): { exitCode: number | null; output: string } {
  const end = spawnSync(command, args, {
    cwd: copy,
    encoding: "utf8",
    env: { ...process.env, QUORATE_ROOT: copy },
  });
  return { exitCode: end.status, output: end.stdout + end.stderr };
}

function plantImport(file: string, specifier: string): void {
  appendFileSync(
    join(copy, file),
    `\nimport * as planted from ${JSON.stringify(specifier)};\nexport { planted };\n`,
  );
}

function plantDependency(room: string, dependency: string): void {
  const file = join(copy, room, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies?: Record<string, string> };
  manifest.dependencies = { ...manifest.dependencies, [dependency]: "workspace:*" };
  writeFileSync(file, JSON.stringify(manifest));
}

function lintPlanted(text: string): { exitCode: number | null; output: string } {
  const file = join(copy, "packages/core-quorum/src/planted.ts");
  writeFileSync(file, `${text}\n`);
  return run("oxlint", file);
}

test("the untouched copy passes", () => {
  expect(run("turbo", "boundaries").output).toContain("no issues found");
  expect(run("node", "deploy/checks/dependencies.ts")).toMatchObject({ exitCode: 0, output: "" });
  const harmless = 'import * as contracts from "@quorate/contracts";\nexport { contracts };';
  expect(lintPlanted(harmless)).toMatchObject({ exitCode: 0 });
});

test("an import of a room that is no dependency is refused", () => {
  plantImport("packages/core-quorum/src/index.ts", "@quorate/core-membership");
  const end = run("turbo", "boundaries");
  expect(end.exitCode).toBe(1);
  expect(end.output).toContain("cannot import package `@quorate/core-membership`");
});

test("an import that leaves the package by its path is refused", () => {
  plantImport("services/membership/src/main.ts", "../../quorum-evaluator/src/main.ts");
  const end = run("turbo", "boundaries");
  expect(end.exitCode).toBe(1);
  expect(end.output).toContain("leaves the package");
});

test("making the wrong room a dependency does not help: tags and table refuse it", () => {
  plantDependency("services/membership", "@quorate/core-quorum");
  plantImport("services/membership/src/main.ts", "@quorate/core-quorum");
  const tags = run("turbo", "boundaries");
  expect(tags.exitCode).toBe(1);
  expect(tags.output).toContain("found without any tag listed in allowlist");
  const table = run("node", "deploy/checks/dependencies.ts");
  expect(table.exitCode).toBe(1);
  expect(table.output).toContain(
    "services/membership/package.json: @quorate/core-quorum is not for this room",
  );
});

test("a service may not use another service", () => {
  plantDependency("services/membership", "@quorate/quorum-evaluator");
  expect(run("turbo", "boundaries").exitCode).toBe(1);
  expect(run("node", "deploy/checks/dependencies.ts").exitCode).toBe(1);
});

test("a registry package that is not for the room is refused", () => {
  plantDependency("packages/core-quorum", "zod");
  const end = run("node", "deploy/checks/dependencies.ts");
  expect(end.exitCode).toBe(1);
  expect(end.output).toContain("packages/core-quorum/package.json: zod is not for this room");
});

test("a room without its tag is refused", () => {
  rmSync(join(copy, "packages/host/turbo.json"));
  expect(run("node", "deploy/checks/dependencies.ts").exitCode).toBe(1);
});

test.each([
  ["node:*", "no-restricted-imports", 'import { readFileSync } from "node:fs";\nexport { readFileSync };'],
  [
    "a builtin without its prefix",
    "no-restricted-imports",
    'import { readFileSync } from "fs";\nexport { readFileSync };',
  ],
  [
    "the runtime",
    "no-restricted-imports",
    'import * as runtime from "@quorate/runtime";\nexport { runtime };',
  ],
  [
    "another core",
    "no-restricted-imports",
    'import * as other from "@quorate/core-config";\nexport { other };',
  ],
  ["a lazy import of node:*", "no-restricted-imports", 'export const planted = () => import("node:fs");'],
  ["the wall clock", "no-restricted-globals", "export const planted = () => Date.now();"],
  ["the other clock", "no-restricted-globals", "export const planted = () => performance.now();"],
  ["a timer", "no-restricted-globals", "export const planted = () => setTimeout(() => {}, 1);"],
  ["chance", "no-restricted-properties", "export const planted = () => Math.random();"],
  ["a promise", "no-restricted-globals", "export const planted = () => Promise.resolve(1);"],
  ["an async function", "no-async-await", "export async function planted() {\n  return 1;\n}"],
  ["the process", "no-restricted-globals", "export const planted = () => process.pid;"],
  ["the global object", "no-restricted-globals", "export const planted = () => globalThis.Date;"],
])("a core may not use %s", (_what, rule, text) => {
  const end = lintPlanted(text);
  expect(end.output).toContain(rule);
  expect(end.exitCode).toBe(1);
});
