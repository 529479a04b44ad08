// Runs a program in the foreground, on our own stdin, stdout and stderr, and hands signals on.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { SetupStop } from "./report.mjs";

/** @type {readonly NodeJS.Signals[]} */
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGWINCH"];

/** Two of the same signal within this time are one: a Ctrl-C reaches us from the terminal and from npm. */
const repetitionMs = 500;

/**
 * Runs a program to its end and gives its exit code (128 + the signal's number when a signal ended it). It has its own
 * session, so each signal reaches it exactly once, from us. If we are killed, the kernel sends it a SIGTERM (setpriv), so
 * that it can still clean up. It cannot read keys from the terminal.
 * @param {string} command @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<number>}
 */
export async function runToEnd(command, args, env = process.env) {
  const child = spawn("setpriv", ["--pdeathsig", "TERM", command, ...args], {
    env,
    stdio: "inherit",
    detached: true,
  });
  const lastSentMs = new Map();
  for (const signal of forwarded) {
    process.on(signal, () => {
      const nowMs = performance.now();
      const isRepetition =
        signal !== "SIGWINCH" && nowMs - (lastSentMs.get(signal) ?? -Infinity) < repetitionMs;
      if (!isRepetition) {
        lastSentMs.set(signal, nowMs);
        child.kill(signal);
      }
    });
  }
  return await new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new SetupStop(`cannot run ${command}: ${error.message}`)));
    child.on("close", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
