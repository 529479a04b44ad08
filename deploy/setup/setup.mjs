// `npm run setup`: everything that this checkout and this machine need, done once and checked quickly after that.
// Plain JavaScript that Debian's Node 18 runs, as it is what fetches the newer Node.
import { mkdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDebian, ensureDebianPackages } from "./steps/debian.mjs";
import { debianPackages, machinePackages } from "./steps/debian-packages.mjs";
import { ensureGuestKernel } from "./steps/guest-kernel.mjs";
import { withLock } from "./steps/process.mjs";
import { explainStop, SetupStop, say } from "./steps/report.mjs";
import { ensureToolchain } from "./steps/toolchain.mjs";
import { ensureBuild, ensureDependencies, linkCommands } from "./steps/workspace.mjs";

/** The checkout. */
export const root = dirname(dirname(dirname(realpathSync(fileURLToPath(import.meta.url)))));

/**
 * Does the whole set-up; throws SetupStop with what is wrong and what to do. With `machines` it also brings what the
 * lab's virtual machines need.
 * @param {{ machines?: boolean }} [options]
 */
export async function setup({ machines = false } = {}) {
  if (Number.parseInt(process.versions.node, 10) < 18) {
    throw new SetupStop(`this is Node ${process.versions.node}; the set-up needs 18 or later.`);
  }
  checkDebian();
  await ensureDebianPackages(machines ? [...debianPackages, ...machinePackages] : debianPackages);
  mkdirSync(join(root, ".toolchain"), { recursive: true });
  await withLock(
    join(root, ".toolchain/setup.lock"),
    () => say("waiting for another set-up in this checkout"),
    async () => {
      await ensureToolchain(root);
      if (machines) await ensureGuestKernel(root);
      await ensureDependencies(root);
      linkCommands(root);
      await ensureBuild(root);
    },
  );
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await setup({ machines: process.argv.includes("--vms") });
    say("ready. Try: npx quorate --help, npm start, npm test");
  } catch (error) {
    process.exitCode = explainStop(error);
  }
}
