// While packages are installed, nothing they bring may start or stay enabled. Three means, each undone exactly:
//   policy-rc.d       maintainer scripts ask it before they start, stop or restart anything: ours answers no
//   a systemd preset  `systemctl preset`, run by the maintainer scripts, enables nothing
//   links compared    what got enabled all the same (systems without systemctl, old init scripts) is disabled again
// The means are put back on a normal end, an error and a signal; after a SIGKILL or a power cut the next set-up finds
// the remains and puts them back first (`recoverQuietInstall`).
import { spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { SetupStop } from "./report.mjs";

const mark = "# Written by the Quorate set-up for the time of one package installation.";
const policyText = `#!/bin/sh\n${mark}\n# Nothing is started, stopped or restarted. If you see this, run the set-up again: it restores.\nexit 101\n`;

/** @param {string} root "/" outside of tests */
function places(root) {
  return {
    policy: join(root, "usr/sbin/policy-rc.d"),
    saved: join(root, "usr/sbin/policy-rc.d.before-quorate"),
    temporary: join(root, "usr/sbin/policy-rc.d.quorate-new"),
    preset: join(root, "run/systemd/system-preset/00-quorate-setup.preset"),
  };
}

/** lstat, so that a symlink that leads nowhere counts as there. @param {string} path */
function isThere(path) {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** @param {string} path */
function isOurs(path) {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status !== undefined && status.isFile() && readFileSync(path, "utf8").includes(mark);
}

/** Whether an interrupted set-up left something, or one is at work right now. @param {string} [root] */
export function hasQuietInstallRemains(root = "/") {
  const { policy, saved, temporary, preset } = places(root);
  return isThere(saved) || [policy, temporary, preset].some(isOurs);
}

/**
 * Puts back what an earlier set-up left when it was killed. Call it only while no
 * set-up installs packages.
 * @param {string} [root]
 * @returns {boolean} whether there was something to put back
 */
export function recoverQuietInstall(root = "/") {
  const { policy, saved, temporary, preset } = places(root);
  let restored = false;
  for (const leftover of [temporary, preset]) {
    if (isOurs(leftover)) {
      unlinkSync(leftover);
      restored = true;
    }
  }
  if (isThere(saved)) {
    if (isOurs(policy) || !isThere(policy)) {
      renameSync(saved, policy);
    } else {
      // Killed between link and rename: `saved` and the policy are one file. Or somebody wrote a new one: theirs stays.
      unlinkSync(saved);
    }
    return true;
  }
  if (isOurs(policy)) {
    unlinkSync(policy);
    return true;
  }
  return restored;
}

/**
 * From now on maintainer scripts start and enable nothing.
 * @param {string} [root]
 * @returns {() => void} puts everything back; may be called more than once
 */
export function beginQuietInstall(root = "/") {
  recoverQuietInstall(root);
  const { policy, saved, temporary, preset } = places(root);
  mkdirSync(dirname(policy), { recursive: true });
  writeFileSync(temporary, policyText, { mode: 0o755, flag: "wx" });
  if (isThere(policy)) {
    if (lstatSync(policy).isDirectory()) {
      unlinkSync(temporary);
      throw new SetupStop(
        `${policy} is a folder`,
        "Remove it: package installation asks a program of this name.",
      );
    }
    linkSync(policy, saved);
  }
  renameSync(temporary, policy);
  if (!existsSync(preset)) {
    mkdirSync(dirname(preset), { recursive: true });
    writeFileSync(preset, `${mark}\ndisable *\n`);
  }
  let undone = false;
  const undo = () => {
    if (!undone) {
      undone = true;
      process.off("exit", undo);
      recoverQuietInstall(root);
    }
  };
  process.on("exit", undo);
  return undo;
}

/**
 * Every link by which something starts at boot: systemd's wants, requires and aliases, and the start links of init.
 * @param {string} [root]
 * @returns {Map<string, string>} path of the link to its target
 */
export function bootLinks(root = "/") {
  const links = new Map();
  const systemd = join(root, "etc/systemd/system");
  const folders = [systemd];
  for (const entry of listFolder(systemd)) {
    if (entry.isDirectory() && /\.(wants|requires|upholds)$/.test(entry.name)) {
      folders.push(join(systemd, entry.name));
    }
  }
  for (const level of ["S", "2", "3", "4", "5"]) {
    folders.push(join(root, `etc/rc${level}.d`));
  }
  for (const folder of folders) {
    for (const entry of listFolder(folder)) {
      const isStart = folder.startsWith(systemd) || entry.name.startsWith("S");
      if (entry.isSymbolicLink() && isStart) {
        const path = join(folder, entry.name);
        links.set(path, readlinkSync(path));
      }
    }
  }
  return links;
}

/** @param {string} folder */
function listFolder(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * Takes back what became enabled since `before`.
 * @param {Map<string, string>} before
 * @param {string} [root]
 * @returns {string[]} names of the services that were disabled
 */
export function disableNewBootLinks(before, root = "/") {
  const disabled = new Set();
  for (const path of bootLinks(root).keys()) {
    if (before.has(path)) {
      continue;
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (path.startsWith(join(root, "etc/systemd/system"))) {
      unlinkSync(path);
      disabled.add(name);
    } else {
      const script = name.replace(/^S\d\d/, "");
      if (root !== "/" || spawnSync("update-rc.d", [script, "disable"], { stdio: "ignore" }).status !== 0) {
        renameSync(path, join(dirname(path), `K01${script}`));
      }
      disabled.add(script);
    }
  }
  if (disabled.size > 0 && root === "/" && existsSync("/run/systemd/system")) {
    spawnSync("systemctl", ["daemon-reload"], { stdio: "ignore" });
  }
  return [...disabled].sort();
}
