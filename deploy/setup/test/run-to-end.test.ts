// Ctrl-C must end the lab once and let it clean up, whoever sends the signal and however often.
import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";

const root = dirname(dirname(dirname(import.meta.dirname)));
const module = join(root, "deploy/setup/steps/run-to-end.mjs");

/** Says its pid, then each signal; ends 200 ms after the first, as one that cleans up does. */
const program = `
let count = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    count += 1;
    console.log("got " + signal);
    if (count === 1) setTimeout(() => { console.log("cleaned up after " + count); process.exit(7); }, 200);
  });
}
setInterval(() => {}, 1000);
console.log("pid " + process.pid);
`;

const launcher = `
import { runToEnd } from ${JSON.stringify(module)};
process.exitCode = await runToEnd(process.execPath, ["-e", ${JSON.stringify(program)}]);
`;

let started: ChildProcessByStdio<null, Readable, null> | undefined;

afterEach(() => {
  started?.kill("SIGKILL");
  started = undefined;
});

async function start(): Promise<{ launcher: ChildProcessByStdio<null, Readable, null>; lines: Interface }> {
  started = spawn(process.execPath, ["--input-type=module", "-e", launcher], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: started.stdout });
  await new Promise((resolve) => lines.once("line", resolve));
  return { launcher: started, lines };
}

async function restOf(lines: Interface): Promise<readonly string[]> {
  const said: string[] = [];
  lines.on("line", (line) => said.push(line));
  await new Promise((resolve) => lines.once("close", resolve));
  return said;
}

describe("runToEnd", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s twice at once reaches the program once",
    async (signal) => {
      const { launcher: process, lines } = await start();
      const exitCode = new Promise((resolve) => process.once("close", resolve));
      process.kill(signal);
      process.kill(signal);
      expect(await restOf(lines)).toEqual([`got ${signal}`, "cleaned up after 1"]);
      expect(await exitCode).toBe(7);
    },
  );

  test("if we are killed, the program is told to end", async () => {
    const { launcher: process, lines } = await start();
    process.kill("SIGKILL");
    // How often it is told depends on how long it takes to hear of it.
    const rest = await restOf(lines);
    expect(rest[0]).toBe("got SIGTERM");
    expect(rest.at(-1)).toMatch(/^cleaned up after /);
  });
});

describe("launch", () => {
  test("runs a file under a Node that is new enough, and tells it the name it was called by", () => {
    // Where the set-up fetched no Node, the machine's own has to be found.
    const isFetched = existsSync(join(root, ".toolchain/node_modules/.bin/node"));
    const path = isFetched ? "/usr/bin:/bin" : `${dirname(process.execPath)}:/usr/bin:/bin`;
    const end = spawnSync(
      join(root, "deploy/setup/launch"),
      ["deploy/setup/test/fixtures/show-launch.mjs", "corolistener", "-l", "a b"],
      { encoding: "utf8", env: { ...process.env, PATH: path } },
    );
    const shown = JSON.parse(end.stdout) as { major: number; calledAs: string; args: string[] };
    expect(shown).toMatchObject({ calledAs: "corolistener", args: ["-l", "a b"] });
    expect(shown.major).toBeGreaterThanOrEqual(24);
  });

  test("the set-up links the command line under all the names it answers to", () => {
    const { bin } = JSON.parse(readFileSync(join(root, "packages/cli/package.json"), "utf8")) as {
      bin: Record<string, string>;
    };
    expect(bin).toEqual({
      corolistener: "bin/quorate",
      "corosync-quorumtool": "bin/quorate",
      quorate: "bin/quorate",
    });
    for (const name of Object.keys(bin)) {
      expect(realpathSync(join(root, "node_modules/.bin", name))).toBe(
        join(root, "packages/cli/bin/quorate"),
      );
    }
  });

  test("a link of another name to the launcher is the same program", () => {
    const folder = mkdtempSync(join(tmpdir(), "quorate-launch-"));
    try {
      symlinkSync(join(root, "packages/cli/bin/quorate"), join(folder, "corolistener"));
      const { version } = JSON.parse(readFileSync(join(root, "packages/cli/package.json"), "utf8")) as {
        version: string;
      };
      const end = spawnSync(join(folder, "corolistener"), ["--version"], { encoding: "utf8" });
      expect(end.stdout + end.stderr).toContain(version);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
