// Debian packages: what is missing, and its installation without starting or enabling anything.
import { readFileSync } from "node:fs";
import { ask, lastLines, runQuietly, withLock } from "./process.mjs";
import {
  beginQuietInstall,
  bootLinks,
  disableNewBootLinks,
  hasQuietInstallRemains,
  recoverQuietInstall,
} from "./quiet-install.mjs";
import { SetupStop, say } from "./report.mjs";

const aptOptions = [
  "-y",
  "--no-install-recommends",
  "-o",
  "DPkg::Lock::Timeout=120",
  "-o",
  "Dpkg::Options::=--force-confold",
  "-o",
  "Dpkg::Use-Pty=0",
];

function aptEnvironment() {
  // needrestart would restart services that run already.
  return {
    ...process.env,
    DEBIAN_FRONTEND: "noninteractive",
    NEEDRESTART_MODE: "l",
    NEEDRESTART_SUSPEND: "1",
  };
}

/** Stops with a clear message where this is not Debian 12 or a later one. @param {string} [file] */
export function checkDebian(file = "/etc/os-release") {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // An empty text is refused below.
  }
  /** @param {string} key */
  const value = (key) => new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  const family = [value("ID"), ...value("ID_LIKE").split(" ")];
  if (!family.includes("debian")) {
    throw new SetupStop(
      `this system calls itself "${value("PRETTY_NAME") || "unknown"}"; the set-up knows Debian 12 and later.`,
      "Run it on Debian, for example in a virtual machine or a privileged container.",
    );
  }
  const version = Number.parseInt(value("VERSION_ID"), 10);
  if (value("ID") === "debian" && version < 12) {
    throw new SetupStop(
      `this is Debian ${version}; nftables here is too old for the gates.`,
      "Use Debian 12 or later.",
    );
  }
}

/** @typedef {{ name: string, why: string }} DebianPackage */

/** Those that dpkg does not call installed. @param {readonly DebianPackage[]} packages */
export function missingPackages(packages) {
  const names = packages.map((entry) => entry.name);
  // dpkg-query fails as a whole when it has never heard of one name; what it knows is on stdout all the same.
  const answer = ask("sh", [
    "-c",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format language
    "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' \"$@\" 2>/dev/null || true",
    "sh",
    ...names,
  ]);
  const installed = new Set();
  for (const line of (answer ?? "").split("\n")) {
    const [name, status] = line.split(" ");
    if (status === "installed") {
      installed.add(name);
    }
  }
  return packages.filter((entry) => !installed.has(entry.name));
}

/**
 * Installs what is missing; says what. Without root and with something missing it stops and says what to do.
 * @param {readonly DebianPackage[]} packages
 */
export async function ensureDebianPackages(packages) {
  const missing = missingPackages(packages);
  if (missing.length === 0) {
    if (process.getuid?.() === 0 && hasQuietInstallRemains()) {
      await withMachineLock(async () => recoverQuietInstall());
      say("restored policy-rc.d, which an interrupted set-up had replaced");
    }
    return;
  }
  const names = missing.map((entry) => entry.name);
  const width = Math.max(16, ...names.map((name) => name.length));
  const table = missing.map((entry) => `  ${entry.name.padEnd(width)} ${entry.why}`).join("\n");
  if (process.getuid?.() !== 0) {
    throw new SetupStop(
      `you are not root, and these Debian packages are missing:\n${table}`,
      `Run the same command as root, or install them first:\n  sudo apt-get install --no-install-recommends ${names.join(" ")}`,
    );
  }
  say(
    `installing ${names.length} missing Debian package${names.length === 1 ? "" : "s"}, starting none of them:`,
  );
  process.stderr.write(`${table}\n`);
  await withMachineLock(() => installPackages(missing));
}

/** One package installation of ours at a time, whatever checkout it comes from. @param {() => Promise<unknown>} work */
async function withMachineLock(work) {
  await withLock(
    "/run/lock/quorate-setup.lock",
    () => say("waiting for another set-up on this machine"),
    work,
  );
}

/** @param {readonly DebianPackage[]} packages */
async function installPackages(packages) {
  let interrupted = false;
  const onSignal = () => {
    if (!interrupted) {
      interrupted = true;
      say("interrupted: the package installation is brought to its end first");
    }
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) {
    process.on(signal, onSignal);
  }
  const linksBefore = bootLinks();
  const undo = beginQuietInstall();
  try {
    await aptInstall(packages.map((entry) => entry.name));
  } finally {
    const disabled = disableNewBootLinks(linksBefore);
    undo();
    if (disabled.length > 0) {
      say(`left disabled, as they were not here before: ${disabled.join(", ")}`);
    }
    for (const signal of signals) {
      process.off(signal, onSignal);
    }
  }
  const still = missingPackages(packages).map((entry) => entry.name);
  if (still.length > 0) {
    throw new SetupStop(`apt-get ended well, yet these packages are still missing: ${still.join(", ")}`);
  }
  if (interrupted) {
    throw new SetupStop("interrupted.", "Run the same command again to go on.", 130);
  }
}

/** @param {readonly string[]} names */
async function aptInstall(names) {
  const env = aptEnvironment();
  const candidates = ask("apt-cache", ["policy", ...names], { ...env, LC_ALL: "C" }) ?? "";
  const known = candidates.split("\n").filter((line) => /^ {2}Candidate: (?!\(none\))/.test(line)).length;
  let updated = false;
  if (known < names.length) {
    await aptUpdate(env);
    updated = true;
  }
  let result = await runQuietly("apt-get", ["install", ...aptOptions, ...names], { env, unbroken: true });
  if (result.exitCode !== 0 && !updated) {
    // The usual reason: the package lists are older than the mirror.
    await aptUpdate(env);
    result = await runQuietly("apt-get", ["install", ...aptOptions, ...names], { env, unbroken: true });
  }
  if (result.exitCode !== 0) {
    throw new SetupStop(
      `apt-get could not install the packages (exit ${result.exitCode}):\n${lastLines(result.output)}`,
      `Try it by hand: apt-get install --no-install-recommends ${names.join(" ")}`,
    );
  }
}

/** @param {NodeJS.ProcessEnv} env */
export async function aptUpdate(env = aptEnvironment()) {
  say("apt-get update");
  const result = await runQuietly("apt-get", ["update", "-o", "DPkg::Lock::Timeout=120"], {
    env,
    unbroken: true,
  });
  if (result.exitCode !== 0) {
    // Old lists may still do; if not, the installation itself says so.
    say(`apt-get update failed (exit ${result.exitCode}); going on with the lists that are here`);
  }
}
