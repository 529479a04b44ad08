// The kernel that the lab's guests boot: Debian's own for virtual machines, unpacked into .toolchain/guest-kernel. It is
// not installed: this machine goes on booting what it boots.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aptUpdate } from "./debian.mjs";
import { guestKernelPackage } from "./debian-packages.mjs";
import { ask, lastLines, runQuietly } from "./process.mjs";
import { SetupStop, say } from "./report.mjs";

/**
 * Makes .toolchain/guest-kernel hold vmlinuz and the modules' tree. One that is there stays, however old: guests need
 * no newer one.
 * @param {string} root the checkout
 */
export async function ensureGuestKernel(root) {
  const place = join(root, ".toolchain/guest-kernel");
  if (existsSync(join(place, "version"))) {
    return;
  }
  if (process.arch !== "x64") {
    throw new SetupStop(`the lab's guests are for x64; this machine is ${process.arch}.`);
  }
  const name = await kernelPackage();
  say(`fetching ${name} for the lab's guests into .toolchain (unpacked, not installed)`);
  const next = `${place}.next`;
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { recursive: true });
  // As the user that runs us: apt's own sandbox user cannot write here. Apt checks the file against the signed lists.
  await orStop("apt-get", ["-o", "APT::Sandbox::User=root", "download", name], next);
  const [file] = readdirSync(next).filter((entry) => entry.endsWith(".deb"));
  await orStop("dpkg-deb", ["--extract", file ?? "", "unpacked"], next);
  const version = name.replace("linux-image-", "");
  renameSync(join(next, "unpacked/boot", `vmlinuz-${version}`), join(next, "vmlinuz"));
  const trees = ["usr/lib/modules", "lib/modules"].map((tree) => join(next, "unpacked", tree, version));
  const tree = trees.find((candidate) => existsSync(candidate));
  if (tree === undefined) {
    throw new SetupStop(`${name} has no modules where they are expected.`);
  }
  renameSync(tree, join(next, "modules"));
  rmSync(join(next, "unpacked"), { recursive: true });
  rmSync(join(next, file ?? ""));
  // Last: what has a version is complete.
  writeFileSync(join(next, "version"), `${version}\n`);
  rmSync(place, { recursive: true, force: true });
  renameSync(next, place);
}

/** The package with the kernel itself, as the lists of this machine have it now. */
async function kernelPackage() {
  const find = () =>
    /^\s*Depends: (linux-image-\S+)$/m.exec(ask("apt-cache", ["depends", guestKernelPackage]) ?? "")?.[1];
  let name = find();
  if (name === undefined && process.getuid?.() === 0) {
    await aptUpdate();
    name = find();
  }
  if (name === undefined) {
    throw new SetupStop(
      `apt does not know ${guestKernelPackage}, whose kernel the lab's guests boot.`,
      "Run as root: apt-get update",
    );
  }
  return name;
}

/** @param {string} command @param {readonly string[]} args @param {string} cwd */
async function orStop(command, args, cwd) {
  const result = await runQuietly(command, args, { cwd });
  if (result.exitCode !== 0) {
    throw new SetupStop(
      `${command} could not bring the guests' kernel (exit ${result.exitCode}):\n${lastLines(result.output)}`,
      "Are Debian's package lists here and its mirror reachable? As root: apt-get update",
    );
  }
}
