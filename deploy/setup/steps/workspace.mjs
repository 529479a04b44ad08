// The workspace's dependencies (pnpm) and bundles (turbo, rolldown); quick when nothing changed.
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { lastLines, runQuietly } from "./process.mjs";
import { SetupStop, say } from "./report.mjs";
import { toolchainEnvironment } from "./toolchain.mjs";

/** One hash over everything that decides what node_modules must hold. @param {string} root */
function dependencyHash(root) {
  const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"];
  for (const group of ["packages", "services"]) {
    for (const name of readdirSync(join(root, group)).sort()) {
      files.push(`${group}/${name}/package.json`);
    }
  }
  const hash = createHash("sha256");
  for (const file of files) {
    const path = join(root, file);
    hash.update(`${file}\n${existsSync(path) ? readFileSync(path, "utf8") : "missing"}\n`);
  }
  return hash.digest("hex");
}

/** `pnpm install --frozen-lockfile`, when something changed since the last time. @param {string} root */
export async function ensureDependencies(root) {
  const stamp = join(root, "node_modules/.quorate-stamp");
  const hash = dependencyHash(root);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) {
    return;
  }
  say("installing the workspace's dependencies");
  // CI: pnpm asks no questions.
  const env = { ...toolchainEnvironment(root), CI: "true" };
  const result = await runQuietly("pnpm", ["install", "--frozen-lockfile"], { cwd: root, env });
  if (result.exitCode !== 0) {
    throw new SetupStop(
      `pnpm could not install the dependencies (exit ${result.exitCode}):\n${lastLines(result.output)}`,
      "If a package.json changed, update the lock file: .toolchain/node_modules/.bin/pnpm install",
    );
  }
  writeFileSync(stamp, hash);
}

/** One-file bundles in dist/ of each service and of the command line, rebuilt only where needed. @param {string} root */
export async function ensureBuild(root) {
  const env = toolchainEnvironment(root);
  const args = ["run", "build", "--output-logs=errors-only", "--ui=stream"];
  const result = await runQuietly("turbo", args, { cwd: root, env });
  if (result.exitCode !== 0) {
    throw new SetupStop(`the build failed (exit ${result.exitCode}):\n${lastLines(result.output, 60)}`);
  }
}

/**
 * Makes `npx quorate` and `npx quorate-lab` find the launchers. Not through dependencies of the root package: turbo
 * takes those for dependencies of every package, which would hide every wrong import.
 * @param {string} root
 */
export function linkCommands(root) {
  const folder = join(root, "node_modules/.bin");
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(join(root, "packages")).sort()) {
    const manifest = join(root, "packages", name, "package.json");
    if (!existsSync(manifest)) {
      continue;
    }
    const bin = JSON.parse(readFileSync(manifest, "utf8")).bin ?? {};
    for (const [command, file] of Object.entries(bin)) {
      const link = join(folder, command);
      const target = join("../../packages", name, file);
      if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target) {
        continue;
      }
      rmSync(link, { force: true });
      symlinkSync(target, link);
    }
  }
}
