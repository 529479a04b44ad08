// `npm start`, `npm test`, `npm run bench:…`: the set-up first, then the command, with the arguments that follow.
// stdout belongs to the command alone, so that its last line is the last line.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root, setup } from "./setup.mjs";
import { explainStop, SetupStop } from "./steps/report.mjs";
import { runToEnd } from "./steps/run-to-end.mjs";
import { toolchainEnvironment, toolchainNode } from "./steps/toolchain.mjs";

/** `machines`: needs what the virtual machines need, also without --vms. */
/** @type {Readonly<Record<string, { file: string, needsRoot: boolean, machines?: boolean }>>} */
const commands = {
  lab: { file: "packages/lab/src/start.ts", needsRoot: true },
  test: { file: "deploy/checks/main.ts", needsRoot: false, machines: true },
  chaos: { file: "packages/lab/src/chaos.ts", needsRoot: true },
  "sim:mutations": { file: "packages/sim/src/mutations/main.ts", needsRoot: false },
  "sim:scenarios": { file: "packages/sim/src/scenario/main.ts", needsRoot: false },
  "sim:adaptive": { file: "packages/sim/src/adaptive/main.ts", needsRoot: false },
  "bench:failover": { file: "packages/lab/src/bench-failover.ts", needsRoot: true },
  "bench:vms": { file: "packages/lab/src/bench-vms.ts", needsRoot: true, machines: true },
};

async function main() {
  const [name = "", ...args] = process.argv.slice(2);
  const command = commands[name];
  if (command === undefined) {
    const names = Object.keys(commands).join(" | ");
    throw new SetupStop(
      `"${name}" is no command of this script.`,
      `usage: node deploy/setup/run.mjs <${names}> [args]`,
      64,
    );
  }
  if (!existsSync(join(root, command.file))) {
    throw new SetupStop(
      `${command.file} is not in this checkout.`,
      "Is the checkout complete? `git status` tells.",
    );
  }
  // Guests are for x64; elsewhere the tests do without them.
  const machines = command.machines === true && process.arch === "x64";
  await setup({ machines: machines || args.some((word) => /^--vms(=|$)/.test(word)) });
  if (command.needsRoot && process.getuid?.() !== 0) {
    throw new SetupStop(
      "this makes network namespaces, which only root may.",
      "Run the same command as root.",
    );
  }
  const nodeArgs = ["--disable-warning=ExperimentalWarning", join(root, command.file), ...args];
  return await runToEnd(toolchainNode(root), nodeArgs, toolchainEnvironment(root));
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = explainStop(error);
  if (process.argv[2] === "test") {
    // Whoever reads the count gets one: the set-up is a check that failed.
    process.stdout.write("0 passed, 1 failed\n");
  }
}
