// Running other programs, and holding a lock that the kernel frees when we die.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { SetupStop } from "./report.mjs";

const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Runs a program to its end. Output is kept and given back; nothing is printed. The program has its own session, so
 * that a Ctrl-C reaches us alone: we end it and stop, except with `unbroken`, where the caller waits for its end.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, unbroken?: boolean }} [options]
 * @returns {Promise<{ exitCode: number, output: string }>}
 */
export async function runQuietly(command, args, options = {}) {
  const { unbroken = false, ...place } = options;
  const child = spawn(command, args, { ...place, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  /** @param {string} chunk */
  const keep = (chunk) => {
    output = (output + chunk).slice(-200_000);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  let isStopped = false;
  const onSignal = () => {
    isStopped = true;
    if (child.pid !== undefined) {
      process.kill(-child.pid, "SIGTERM");
    }
  };
  if (!unbroken) {
    for (const signal of endingSignals) {
      process.on(signal, onSignal);
    }
  }
  try {
    const exitCode = await new Promise((resolve, reject) => {
      child.on("error", (error) => reject(new SetupStop(`cannot run ${command}: ${error.message}`)));
      child.on("close", (code) => resolve(code ?? 1));
    });
    if (isStopped) {
      throw new SetupStop("interrupted.", "Run the same command again to go on.", 130);
    }
    return { exitCode, output };
  } finally {
    for (const signal of endingSignals) {
      process.off(signal, onSignal);
    }
  }
}

/**
 * A short question to a program; the answer is its stdout, or undefined when it cannot be run or fails.
 * @param {string} command @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env]
 */
export function ask(command, args, env = process.env) {
  const answer = spawnSync(command, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "ignore"] });
  return answer.status === 0 ? answer.stdout : undefined;
}

/** The last lines of a program's output, indented, for an error message. @param {string} output */
export function lastLines(output, count = 25) {
  const lines = output.trimEnd().split("\n").slice(-count);
  return lines.map((line) => `  | ${line}`).join("\n");
}

/**
 * Holds an exclusive lock on a file while `work` runs. flock(1) holds it for us and ends when our end of its pipe
 * closes, so a killed set-up leaves no stale lock behind.
 * @template T
 * @param {string} file
 * @param {() => void} onWait called once when another set-up holds the lock
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, onWait, work) {
  const holder = spawn("flock", ["--exclusive", file, "sh", "-c", "echo held; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const failed = once(holder, "close").then(([code]) => {
    throw new SetupStop(`cannot lock ${file} (flock ended with ${code})`);
  });
  failed.catch(() => {});
  const waiting = setTimeout(onWait, 300);
  try {
    await Promise.race([once(holder.stdout, "data"), failed]);
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
    holder.unref();
  }
}
