/** A service with a real core ends by a broken assertion of that core: what it leaves replays, to the same end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crashRecordings } from "@quorate/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { replay } from "../src/commands/recording.ts";

let folder: string;
let run: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-crash-"));
  run = join(folder, "run");
  mkdirSync(run);
  const bus = { url: "nats://127.0.0.1:1", user: "a", password: "b" };
  writeFileSync(join(run, "bus.json"), JSON.stringify(bus));
  const node = {
    nodeId: 2,
    clusterName: "crashing",
    stateDir: folder,
    runDir: run,
    keysDir: folder,
    configFile: "x",
    busPort: 1,
    healthBase: 0,
  };
  writeFileSync(join(run, "node.json"), JSON.stringify(node));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const source = (path: string) => JSON.stringify(join(import.meta.dirname, "../..", path));

/** The evaluator's core, stepped as the evaluator does, `ticks` times and then with what it does not know. */
async function crash(ticks: number): Promise<{ code: unknown; said: string }> {
  const script = join(folder, "main.ts");
  writeFileSync(
    script,
    `import { InputRecorder, runService } from ${source("runtime/src/index.ts")};
     import { initialState, startQuorum, stepQuorum } from ${source("core-quorum/src/index.ts")};
     import { hostConfig } from ${source("corosync-conf/src/index.ts")};
     const nodes = [2, 4, 8].map((id) => \` node {\\n  ring0_addr: 10.0.0.\${id}\\n  nodeid: \${id}\\n }\`).join("\\n");
     const text = \`totem {\\n config_version: 1\\n cluster_name: C\\n transport: udpu\\n}\\nnodelist {\\n\${nodes}\\n}\\n\`;
     await runService("quorum-evaluator", async ({ nodeId }) => {
       const config = hostConfig(text, "cluster.conf");
       const ref = { term: 0, version: 1, digest: "ab".repeat(32) };
       const boot = { nowUs: 1, bootId: "00000000000000aa", seed: 1 };
       let state = startQuorum(initialState(config, ref, nodeId), boot);
       const recorder = new InputRecorder();
       const step = (input) => {
         ({ state } = recorder.run(state, input, () => stepQuorum(state, input)));
       };
       for (let tick = 1; tick <= ${ticks}; tick++) step({ kind: "tick", nowUs: tick * 20000, drainedUs: 0 });
       setImmediate(() => step({ kind: "unheard-of", nowUs: ${ticks + 1} * 20000, drainedUs: 0 }));
       await new Promise((resolve) => setTimeout(resolve, 60000));
     });`,
  );
  const args = [script, "--node-id", "2", "--state-dir", folder, "--run-dir", run];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => void (said += part));
  const [code] = await once(child, "exit");
  return { code, said };
}

it("replays to the same error, and the log names the file", { timeout: 60_000 }, async () => {
  const { code, said } = await crash(300);
  expect(code).toBe(1);
  const [left, ...more] = crashRecordings(folder);
  expect(more).toEqual([]);
  expect(left?.service).toBe("quorum-evaluator");
  const path = left?.path ?? "";
  expect(said).toContain(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const { text, exit, json } = replay(path, false);
  expect(text).toMatch(/cluster crashing.*\nnode 2 quorum-evaluator: 301 steps, .*equal, digest/);
  expect(text).toMatch(/the last step ended it, here too: .*unheard-of/);
  expect(exit).toBe(0);
  expect(json).toMatchObject({ equal: true });
  // Sealed like any other recording.
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, bytes.length - 10));
  expect(() => replay(path, false)).toThrow(/damaged or cut off/);
});

it("ends all the same when there is no place for it", { timeout: 60_000 }, async () => {
  writeFileSync(join(folder, "crash"), "in the way");
  chmodSync(join(folder, "crash"), 0o400);
  const { code, said } = await crash(3);
  expect(code).toBe(1);
  expect(said).toMatch(/not kept: .*EEXIST/);
});
