// `npm start`, `npm test`, `npm run bench:…`: the set-up first, then the command, with the arguments that follow.
// stdout belongs to the command alone, so that its last line is the last line.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { root, setup } from "./setup.mjs";
import { explainStop, SetupStop } from "./steps/report.mjs";
import { toolchainEnvironment, toolchainNode } from "./steps/toolchain.mjs";

/** @type {Readonly<Record<string, { file: string, needsRoot: boolean }>>} */
const commands = {
  lab: { file: "packages/lab/src/start.ts", needsRoot: true },
  test: { file: "deploy/checks/main.ts", needsRoot: false },
  "bench:failover": { file: "packages/lab/src/bench-failover.ts", needsRoot: true },
};

/** @type {readonly NodeJS.Signals[]} */
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGWINCH"];

/**
 * Runs the command to its end and gives its exit code. It has its own session and gets each signal from us exactly
 * once: a Ctrl-C reaches us twice, from the terminal and from npm. If we are killed, the kernel sends it a SIGTERM
 * (setpriv), so that it can still clean up.
 * @param {string} file @param {readonly string[]} args
 * @returns {Promise<number>}
 */
async function runToEnd(file, args) {
  const nodeArgs = [toolchainNode(root), "--disable-warning=ExperimentalWarning", join(root, file), ...args];
  const child = spawn("setpriv", ["--pdeathsig", "TERM", ...nodeArgs], {
    cwd: process.cwd(),
    env: toolchainEnvironment(root),
    stdio: "inherit",
    detached: true,
  });
  const lastSent = new Map();
  for (const signal of forwarded) {
    process.on(signal, () => {
      const now = performance.now();
      const isRepetition = signal !== "SIGWINCH" && now - (lastSent.get(signal) ?? -Infinity) < 500;
      lastSent.set(signal, now);
      if (!isRepetition) {
        child.kill(signal);
      }
    });
  }
  return await new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new SetupStop(`cannot run ${file}: ${error.message}`)));
    child.on("close", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

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
  await setup();
  if (command.needsRoot && process.getuid?.() !== 0) {
    throw new SetupStop(
      "this makes network namespaces, which only root may.",
      "Run the same command as root.",
    );
  }
  return await runToEnd(command.file, args);
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
