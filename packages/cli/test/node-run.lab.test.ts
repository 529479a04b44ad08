import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVICES } from "@quorate/contracts";
import { pidFilePath, readPidFile } from "@quorate/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { initNode } from "../src/commands/init.ts";
import type { Status } from "../src/status.ts";
import { temporaryFolder, until } from "./fixture.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const NAMES = ["nats-server", ...SERVICES];
const NAMESPACE = `quorate-cli-${process.pid}`;
const CONF = `totem {
	config_version: 1
	cluster_name: alone
	transport: udpu
}
cluster_ip {
	address: 10.98.0.100
	CloudIpDev: vmbr0
	CloudMask: 24
}
nodelist {
	node {
		ring0_addr: 10.98.0.2
		nodeid: 2
		prio: 100
	}
}
`;

let folder: string;
let runDir: string;
let config: string;
let supervisors: ChildProcess[];

function inNamespace(...args: string[]): string[] {
  return ["netns", "exec", NAMESPACE, ...args];
}

/** `ip netns exec` becomes the command, so the child's pid is the supervisor's. */
function run(extra: string[] = []): { child: ChildProcess; said: () => string } {
  const where = [
    "--state-dir",
    join(folder, "state"),
    "--run-dir",
    runDir,
    "--keys-dir",
    join(folder, "keys"),
  ];
  const command = [
    process.execPath,
    MAIN,
    "node",
    "run",
    "--config",
    config,
    "--node-id",
    "2",
    ...where,
    ...extra,
  ];
  const child = spawn("ip", inNamespace(...command), { stdio: ["ignore", "pipe", "pipe"] });
  supervisors.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return { child, said: () => text };
}

function status(): Status {
  const args = inNamespace(process.execPath, MAIN, "status", "--json", "--run-dir", runDir);
  return JSON.parse(execFileSync("ip", args, { encoding: "utf8" })) as Status;
}

function pids(): Array<number | undefined> {
  return NAMES.map((name) => readPidFile(pidFilePath(runDir, name))?.pid);
}

beforeAll(() => {
  folder = temporaryFolder();
  runDir = join(folder, "run");
  config = join(folder, "cluster.conf");
  supervisors = [];
  writeFileSync(config, CONF);
  const ip = (...args: string[]) => execFileSync("ip", args);
  ip("netns", "add", NAMESPACE);
  ip("-n", NAMESPACE, "link", "set", "lo", "up");
  ip("-n", NAMESPACE, "link", "add", "vmbr0", "type", "bridge");
  ip("-n", NAMESPACE, "link", "set", "vmbr0", "up");
  ip("-n", NAMESPACE, "address", "add", "10.98.0.2/24", "dev", "vmbr0");
});

afterAll(() => {
  const left = execFileSync("ip", ["netns", "pids", NAMESPACE], { encoding: "utf8" });
  for (const pid of left.split("\n").filter((line) => line !== "")) process.kill(Number(pid), "SIGKILL");
  execFileSync("ip", ["netns", "del", NAMESPACE]);
  rmSync(folder, { recursive: true, force: true });
});

async function refused(extra: string[] = []): Promise<{ code: number; said: string }> {
  const { child, said } = run(extra);
  const [code] = (await once(child, "exit")) as [number];
  return { code, said: said() };
}

describe("quorate node run", () => {
  it("refuses what cannot work, each with a remedy", async () => {
    const without = await refused();
    expect(without.code).toBe(78);
    expect(without.said).toContain("quorate init --config");
    const init = {
      config,
      nodeId: 2,
      stateDir: join(folder, "state"),
      keysDir: join(folder, "keys"),
      force: false,
    };
    initNode(init);

    writeFileSync(config, CONF.replace("prio: 100", "prio: much"));
    expect(await refused()).toMatchObject({
      code: 78,
      said: expect.stringMatching(/cluster\.conf:\d+:\d+: /),
    });
    writeFileSync(config, CONF);

    chmodSync(join(folder, "keys", "authkey"), 0o644);
    expect(await refused()).toMatchObject({ code: 78, said: expect.stringContaining("chmod go=") });
    chmodSync(join(folder, "keys", "authkey"), 0o400);

    execFileSync("ip", ["-n", NAMESPACE, "address", "del", "10.98.0.2/24", "dev", "vmbr0"]);
    expect(await refused()).toMatchObject({
      code: 1,
      said: expect.stringContaining("ip address add 10.98.0.2"),
    });
    execFileSync("ip", ["-n", NAMESPACE, "address", "add", "10.98.0.2/24", "dev", "vmbr0"]);

    const script = 'require("node:net").createServer().listen(7402, "127.0.0.1", () => console.log("up"))';
    const squatter = spawn("ip", inNamespace(process.execPath, "-e", script), {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await once(squatter.stdout, "data");
    expect(await refused()).toMatchObject({ code: 1, said: expect.stringContaining("ss -ltnp") });
    squatter.kill("SIGKILL");
    await once(squatter, "exit");
    expect(existsSync(pidFilePath(runDir, "supervisor"))).toBe(false);
  });

  it("brings the node up; another on the same run directory is refused", async () => {
    run();
    await until("all processes", () => pids().every((pid) => pid !== undefined), 20_000);
    await until("master", () => status().role === "master", 30_000);
    expect(status()).toMatchObject({ quorate: "yes", leader: 2, clusterIp: { state: "present" } });
    const second = await refused();
    expect(second).toMatchObject({ code: 1, said: expect.stringContaining("runs this node already") });
  });

  it("starts again each process that is killed, and nothing else", async () => {
    for (const [index, name] of NAMES.entries()) {
      const before = pids();
      const killed = before[index] ?? 0;
      process.kill(killed, "SIGKILL");
      await until(`${name} again`, () => {
        const now = pids()[index];
        return now !== undefined && now !== killed;
      });
      expect(pids().filter((_pid, other) => other !== index)).toEqual(
        before.filter((_pid, other) => other !== index),
      );
    }
    await until("master", () => status().role === "master", 20_000);
  });

  it("leaves everything running when it is killed with -9; the next one adopts it", async () => {
    const before = pids();
    supervisors.at(-2)?.kill("SIGKILL");
    await until("gone", () => readPidFile(pidFilePath(runDir, "supervisor")) === null);
    expect(pids()).toEqual(before);
    // A file broken meanwhile is no reason to give up what runs.
    writeFileSync(config, CONF.replace("prio: 100", "prio: much"));
    const { said } = run();
    await until("adopted", () => said().split("node.process_adopted").length > NAMES.length, 20_000);
    expect(said()).toContain("cluster.conf:");
    expect(pids()).toEqual(before);
    const killed = before.at(-1) ?? 0;
    process.kill(killed, "SIGKILL");
    await until("noticed", () => pids().at(-1) !== undefined && pids().at(-1) !== killed);
    writeFileSync(config, CONF);
  });

  it("ends everything at SIGTERM after a clean leave, and leaves nothing behind", async () => {
    const supervisor = supervisors.at(-1);
    supervisor?.kill("SIGTERM");
    await once(supervisor ?? supervisors[0] ?? process, "exit");
    expect(supervisor?.exitCode).toBe(0);
    expect(readdirSync(join(runDir, "pids"))).toEqual([]);
    expect(execFileSync("ip", ["netns", "pids", NAMESPACE], { encoding: "utf8" })).toBe("");
    for (const name of NAMES) {
      expect(readFileSync(join(folder, "state", "log", `${name}.log`), "utf8")).not.toBe("");
    }
  });
});
