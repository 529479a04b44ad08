// Node and pnpm of known versions in .toolchain, checked against the integrity hashes of the lock file. No install
// scripts run. A Node of version 24 or later that runs us is used as it is.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { lastLines, runQuietly } from "./process.mjs";
import { SetupStop, say } from "./report.mjs";

const newEnough = 24;

/**
 * Whether the machine brings its own good Node. Ours from .toolchain, which may be running this very script, does not
 * count: we would take it for the machine's and leave it out of the next toolchain.
 * @param {string} root
 */
function ownNodeIsNewEnough(root) {
  const isOurs = realpathSync(process.execPath).startsWith(join(realpathSync(root), ".toolchain", "/"));
  return !isOurs && Number.parseInt(process.versions.node, 10) >= newEnough;
}

/** @param {string} root the checkout */
function places(root) {
  const home = join(root, ".toolchain");
  return {
    home,
    modules: join(home, "node_modules"),
    bin: join(home, "node_modules/.bin"),
    stamp: join(home, "node_modules/.quorate-stamp"),
  };
}

/** What to install, with our Node or without it. @param {string} root @param {boolean} withNode */
function wanted(root, withNode) {
  const folder = join(root, "deploy/setup/toolchain");
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  if (!withNode) {
    delete manifest.optionalDependencies;
    delete lock.packages[""].optionalDependencies;
    for (const path of Object.keys(lock.packages)) {
      if (path.startsWith("node_modules/node-")) {
        delete lock.packages[path];
      }
    }
  }
  return { manifest: JSON.stringify(manifest, null, 2), lock: JSON.stringify(lock, null, 2) };
}

/**
 * Makes .toolchain hold what the lock file says. The new one is built beside the old one and swapped in, so that what
 * runs from the old one goes on.
 * @param {string} root
 */
export async function ensureToolchain(root) {
  const { home, modules, bin, stamp } = places(root);
  const withNode = !ownNodeIsNewEnough(root);
  const { manifest, lock } = wanted(root, withNode);
  const needed = withNode ? ["node", "pnpm"] : ["pnpm"];
  const isComplete = needed.every((name) => existsSync(join(bin, name)));
  const installed = existsSync(stamp) ? readFileSync(stamp, "utf8") : undefined;
  // A toolchain with a Node that we don't need is as good, and may be what other terminals use.
  if (isComplete && (installed === lock || installed === wanted(root, true).lock)) {
    return;
  }
  say("fetching Node and pnpm into .toolchain");
  const next = join(home, "next");
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { recursive: true });
  writeFileSync(join(next, "package.json"), manifest);
  writeFileSync(join(next, "package-lock.json"), lock);
  // Not `npm ci`: it wants every platform's optional package in the lock; `install` checks the hashes as well.
  const args = [
    "install",
    "--ignore-scripts",
    "--omit-lockfile-registry-resolved",
    "--no-audit",
    "--no-fund",
  ];
  const result = await runQuietly("npm", args, { cwd: next });
  if (result.exitCode !== 0) {
    throw new SetupStop(
      `npm could not fetch the toolchain (exit ${result.exitCode}):\n${lastLines(result.output)}`,
      "Is the npm registry reachable from here? `npm ping` tells.",
    );
  }
  linkBinaries(join(next, "node_modules"));
  for (const name of needed) {
    if (!existsSync(join(next, "node_modules/.bin", name))) {
      throw new SetupStop(
        `there is no ${name} for ${process.platform} on ${process.arch} in the toolchain.`,
        `Install Node ${newEnough} or later yourself and run the same command with it.`,
      );
    }
  }
  const nextStamp = join(next, "node_modules/.quorate-stamp");
  writeFileSync(nextStamp, lock);
  const old = join(home, "old");
  rmSync(old, { recursive: true, force: true });
  if (existsSync(modules)) {
    renameSync(modules, old);
  }
  renameSync(join(next, "node_modules"), modules);
  rmSync(old, { recursive: true, force: true });
  rmSync(next, { recursive: true, force: true });
}

/**
 * Makes .bin hold node and pnpm. Not left to npm: version 9 forgets bins of packages that its lock file names without an
 * address, and pnpm's own bin is a shell script that only a shell can start, until an install script (which we don't
 * run) replaces it with the native binary.
 * @param {string} modules
 */
function linkBinaries(modules) {
  const platform = `${process.platform}-${process.arch}`;
  const targets = { node: `node-${platform}/bin/node`, pnpm: `@pnpm/exe.${platform}/pnpm` };
  const bin = join(modules, ".bin");
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin);
  for (const [name, target] of Object.entries(targets)) {
    if (existsSync(join(modules, target))) {
      symlinkSync(`../${target}`, join(bin, name));
    }
  }
}

/** The Node that runs everything after the set-up. @param {string} root */
export function toolchainNode(root) {
  return ownNodeIsNewEnough(root) ? process.execPath : join(places(root).bin, "node");
}

/**
 * The environment for every tool: ours first in PATH, and none of them reports home.
 * @param {string} root
 * @returns {NodeJS.ProcessEnv}
 */
export function toolchainEnvironment(root) {
  const path = [places(root).bin, join(root, "node_modules/.bin"), process.env.PATH ?? ""].join(delimiter);
  return {
    ...process.env,
    PATH: path,
    DO_NOT_TRACK: "1",
    TURBO_TELEMETRY_DISABLED: "1",
    TURBO_NO_UPDATE_NOTIFIER: "1",
  };
}
