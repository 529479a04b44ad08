import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder, until } from "./nats-fixture.ts";

let folder: string;
let children: ChildProcess[];

beforeEach(() => {
  folder = temporaryFolder();
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function writeRunFiles(): void {
  mkdirSync(join(folder, "run"));
  const node = {
    nodeId: 2,
    clusterName: "x",
    stateDir: folder,
    runDir: folder,
    keysDir: folder,
    configFile: "x",
  };
  writeFileSync(join(folder, "run", "node.json"), JSON.stringify({ ...node, busPort: 1, healthBase: 0 }));
  const bus = { url: "nats://127.0.0.1:1", user: "a", password: "b" };
  writeFileSync(join(folder, "run", "bus.json"), JSON.stringify(bus));
}

/** A service of a few lines, started as the supervisor does. */
function start(body: string): { child: ChildProcess; said: () => string } {
  const kit = join(import.meta.dirname, "../src/index.ts");
  const script = join(folder, "main.ts");
  writeFileSync(
    script,
    `import { runService } from ${JSON.stringify(kit)};
     import { QuorateError } from ${JSON.stringify(join(import.meta.dirname, "../../contracts/src/index.ts"))};
     await runService("membership", async (context, lifecycle) => { ${body} });`,
  );
  const args = [script, "--node-id", "2", "--state-dir", folder, "--run-dir", join(folder, "run")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return { child, said: () => text };
}

describe("a service's life", () => {
  it("ends at SIGTERM with what it registered, last first, exit 0", async () => {
    writeRunFiles();
    const { child, said } = start(`
      lifecycle.onStop("first", () => console.log("stop first"));
      lifecycle.onStop("second", async () => console.log("stop second"));
      setInterval(() => {}, 1000);
      console.log("up", context.nodeId, context.authkeyFile);`);
    await until("up", () => said().includes("up 2"));
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said()).toMatch(/stop second\nstop first/);
  });

  it("is cut short when a part does not stop", async () => {
    writeRunFiles();
    const { child, said } = start(`
      lifecycle.onStop("stuck", () => new Promise(() => {}));
      setInterval(() => {}, 1000);
      console.log("up");`);
    await until("up", () => said().includes("up"));
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("ends with the error's code and remedy in the log, whoever threw it", async () => {
    writeRunFiles();
    const { child, said } = start(`
      setTimeout(() => { throw new QuorateError("KEY_MODE", "The key is open.", "chmod it."); }, 1);`);
    expect(await once(child, "exit")).toEqual([78, null]);
    expect(said()).toContain('"code":"KEY_MODE","hint":"chmod it.","message":"The key is open."');
  });

  it("ends with 1 and the stack when a promise fails that nobody watches", async () => {
    writeRunFiles();
    const { child, said } = start(
      `void Promise.reject(new Error("a broken invariant")); setInterval(() => {}, 1000);`,
    );
    expect(await once(child, "exit")).toEqual([1, null]);
    expect(said()).toContain("a broken invariant");
  });

  it("says what to do when the node was never started here", async () => {
    const { child, said } = start("");
    expect(await once(child, "exit")).toEqual([69, null]);
    expect(said()).toContain("quorate node run");
  });
});
