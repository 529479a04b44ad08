import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConfigRef, type EventEnvelope, QuorateError } from "@quorate/contracts";
import { documentDigest, readClusterConfig, setConfigVersion, printDocument } from "@quorate/corosync-conf";
import { Bus, createLogger, EventPublisher, readBusCredentials } from "@quorate/runtime";
import { freePort } from "@quorate/runtime/test/free-port";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventLine } from "../src/commands/events.ts";
import { initNode } from "../src/commands/init.ts";
import { logLine } from "../src/commands/log.ts";
import { runCommand } from "../src/program.ts";
import { CLUSTER_CONF, temporaryFolder, until } from "./fixture.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");

interface Ended {
  code: number;
  out: string;
  err: string;
}

async function quorate(args: string[], calledAs = "quorate"): Promise<Ended> {
  const ended: Ended = { code: 0, out: "", err: "" };
  ended.code = await runCommand(calledAs, args, {
    write: (part) => {
      ended.out += part;
    },
    complain: (part) => {
      ended.err += part;
    },
    isTerminal: false,
  });
  return ended;
}

let folder: string;
let runDir: string;
let stateDir: string;
let file: string;
let server: ChildProcess;
let bus: Bus;
let events: EventPublisher;
let where: string[];
let committed: ConfigRef;
let text = CLUSTER_CONF;
let leader = 4;

/** The register of one document, for the command line to change. */
function serveDistributor(): void {
  committed = { term: 1, version: 1, digest: documentDigest(text) };
  bus.serve("config-distributor", "status", () => ({
    stored: committed,
    committed,
    fileNote: null,
    text,
    problems: [],
  }));
  bus.serve("config-distributor", "propose", (body) => {
    if (body.base.digest !== committed.digest) throw new QuorateError("CONFIG_STALE", "Too late.", "Again.");
    const parsed = readClusterConfig(body.text, "proposal");
    if (!parsed.ok) throw new QuorateError("CONFIG_INVALID", "No.", "No.");
    const version = committed.version + 1;
    expect(parsed.config.configVersion).toBe(version);
    text = printDocument(setConfigVersion(parsed.document, version));
    committed = { term: 1, version, digest: documentDigest(text) };
    return { ref: committed };
  });
}

function serveEvaluator(): void {
  bus.serve("quorum-evaluator", "status", () => ({
    quorum: {
      stampUs: Number(process.hrtime.bigint() / 1000n),
      node: 4,
      bootId: "0123456789abcdef",
      term: 1,
      role: leader === 4 ? ("master" as const) : ("slave" as const),
      leader,
      masterLeaseEndUs: 0,
      nodeLeaseEndUs: 0,
      promise: null,
      view: { term: 1, number: 1, members: [2, 4, 8].map((node) => ({ node, bootId: null })) },
      out: false,
      amnesic: false,
      votes: { total: 3, quorum: 2, present: 3 },
      quorate: "yes" as const,
      fences: [],
      stored: committed,
      committed,
      joint: false,
      disarmedUntil: null,
      readmit: [],
      problems: [],
      reason: { code: "MASTER", message: "Master." },
    },
  }));
  bus.serve("quorum-evaluator", "move", ({ target }) => {
    setTimeout(() => {
      leader = target;
    }, 50);
    return { term: 1 };
  });
}

beforeAll(async () => {
  folder = temporaryFolder();
  runDir = join(folder, "run");
  stateDir = join(folder, "state");
  file = join(folder, "cluster.conf");
  where = ["--run-dir", runDir];
  writeFileSync(file, CLUSTER_CONF);
  initNode({ config: file, nodeId: 4, stateDir, keysDir: join(folder, "keys"), force: false });
  const port = await freePort();
  mkdirSync(runDir);
  mkdirSync(join(stateDir, "log"));
  const node = { nodeId: 4, clusterName: "VMmanager", stateDir, runDir, keysDir: folder, configFile: file };
  writeFileSync(join(runDir, "node.json"), JSON.stringify({ ...node, busPort: port, healthBase: 0 }));
  const url = `nats://127.0.0.1:${port}`;
  writeFileSync(join(runDir, "bus.json"), JSON.stringify({ url, user: "service", password: "x" }));
  const args = ["-a", "127.0.0.1", "-p", String(port), "--user", "service", "--pass", "x"];
  server = spawn("nats-server", args, { stdio: "ignore" });
  const logger = createLogger({ service: "test", node: 4, level: "silent" });
  bus = new Bus({
    credentials: readBusCredentials(runDir),
    clusterName: "VMmanager",
    nodeId: 4,
    name: "test",
    logger,
  });
  events = new EventPublisher({ bus, service: "test", runDir, logger });
  await until("the bus", () => bus.connected);
  serveDistributor();
  serveEvaluator();
});

afterAll(async () => {
  await bus.close();
  server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

describe("commands on a node whose membership and actuator are down", () => {
  it("print the field's layouts under the field's names", async () => {
    const [ours, theirs] = await Promise.all([
      quorate(["nodes", ...where]),
      quorate(["-l", ...where], "corolistener"),
    ]);
    expect(ours.code).toBe(0);
    expect(theirs.out).toBe(ours.out);
    expect(ours.out).toContain("\n          4    172.31.223.47    joined             M       100\n");
    expect(ours.out).toContain("\n          2    172.31.223.46   unknown             -        99\n");
    const status = await quorate(["-s", ...where], "corosync-quorumtool");
    expect(status.code).toBe(0);
    expect(status.out).toContain("\nQuorate:          Yes\n");
    const list = await quorate(["-l", ...where], "corosync-quorumtool");
    expect(list.out).toContain("\n         4          1 172.31.223.47 (local)\n");
  });

  it("say in status who is silent", async () => {
    const status = JSON.parse((await quorate(["status", "--json", ...where])).out);
    expect(status).toMatchObject({ node: { id: 4 }, leader: 4, configuration: { committed: true } });
    const silent = status.degraded.map(({ code, facts }: { code: string; facts?: { service?: string } }) => [
      code,
      facts?.service,
    ]);
    expect(silent).toEqual(
      ["membership", "failover-actuator", "journal"].map((name) => ["service_silent", name]),
    );
  });

  it("change priorities, arm and disarm, apply a file, each as one version", async () => {
    const prio = await quorate(["node", "prio", "172.31.223.48", "250", ...where]);
    expect(prio.out).toContain("Committed as version 2");
    expect(text).toContain("\t\tprio: 250\n");
    const off = await quorate(["disarm", "--for", "30m", "--json", ...where]);
    expect(JSON.parse(off.out)).toMatchObject({ changed: true, ref: { version: 3 } });
    expect(text).toContain("disarmed_until");
    expect((await quorate(["arm", ...where])).out).toContain("version 4");
    expect(text).not.toContain("disarmed_until");
    expect((await quorate(["config", "apply", file, ...where])).out).toContain("version 5");
    expect(text).toBe(CLUSTER_CONF.replace("config_version: 1", "config_version: 5"));
    expect((await quorate(["config", "show", ...where])).out).toBe(text);
  });

  it("move the master and wait until it has moved", async () => {
    const moved = await quorate(["master", "move", "8", "--json", ...where]);
    expect(JSON.parse(moved.out)).toMatchObject({ master: 8, term: 1 });
    expect((await quorate(["master", "move", "8", ...where])).out).toContain("already");
    leader = 4;
  });

  it("print events as they come", async () => {
    const env = { ...process.env, QUORATE_CALLED_AS: "quorate" };
    const child = spawn(process.execPath, [MAIN, "events", ...where], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      out += part;
    });
    await until(
      "an event",
      () => {
        events.publish("config", "armed", {
          old: null,
          new: null,
          reason: { code: "operator_arm", message: "Automation is on again." },
          facts: {},
        });
        return out.includes("\n");
      },
      60_000,
    );
    child.kill("SIGTERM");
    expect(out).toMatch(/^\S+Z node 4 config\.armed: Automation is on again\. \(operator_arm\)\n/);
  }, 90_000);

  it("end with the agreed exit codes and a remedy", async () => {
    const expected: Array<[string[], number, string]> = [
      [["node", "prio", "9", "1", ...where], 105, "The list has: 2 (172.31.223.46)"],
      [["disarm", "--for", "soon", ...where], 64, "--for 30m"],
      [["node", "prio", "4", "-1", ...where], 64, "A whole number from 0"],
      [["node", "prio", "4", "2147483648", ...where], 64, "A whole number from 0 to 2147483647"],
      [["bogus"], 64, "unknown command"],
      [["config", "check", join(folder, "none")], 78, "Cannot read"],
      [["status", "--run-dir", join(folder, "no")], 69, "what to do:"],
    ];
    const ends = await Promise.all(expected.map(([args]) => quorate(args)));
    ends.forEach((end, index) => {
      const [args, code, words] = expected[index] ?? [[], 0, ""];
      expect([args, end.code], end.err).toEqual([args, code]);
      expect(end.err).toContain(words);
    });
    const broken = join(folder, "broken.conf");
    writeFileSync(broken, CLUSTER_CONF.replace("prio: 99", "prio: high"));
    const check = await quorate(["config", "check", broken, "--json"]);
    expect(check.code).toBe(78);
    expect(JSON.parse(check.out)).toMatchObject({
      ok: false,
      config: null,
      diagnostics: [{ severity: "error", file: broken, line: 22, column: 9 }],
    });
    const words = await quorate(["config", "check", broken]);
    expect(words.code).toBe(78);
    expect(words.out).toMatch(/broken\.conf:22:9: .*\n.*broken\.conf: refused: 1 error\n$/);
    expect(words.out + words.err).not.toContain("config check");
  });

  it("look into the state folder when the bus is down", async () => {
    const dead = join(folder, "dead");
    mkdirSync(dead);
    const args = ["--run-dir", dead, "--state-dir", stateDir];
    const status = JSON.parse((await quorate(["status", "--json", ...args])).out);
    expect(status).toMatchObject({
      node: { id: 4 },
      role: "unknown",
      term: 0,
      configuration: { version: 1, committed: false, source: "file" },
    });
    expect(status.ages.evaluatorFile).toBeGreaterThanOrEqual(0);
    expect((await quorate(["quorum", "-s", ...args])).code).toBe(2);
    expect((await quorate(["arm", ...args])).code).toBe(69);
  });
});

describe("quorate config", () => {
  it("check says everything at once, warnings too when it refuses", async () => {
    const conf = join(folder, "checked.conf");
    const warned = CLUSTER_CONF.replace("expected_votes: 3", "expected_votes: 2");
    writeFileSync(conf, warned);
    const good = await quorate(["config", "check", conf, "--json"]);
    expect(good.code).toBe(0);
    expect(JSON.parse(good.out)).toMatchObject({ ok: true, diagnostics: [{ severity: "note", line: 7 }] });
    writeFileSync(conf, warned.replace("prio: 99", "prio: high"));
    const refused = await quorate(["config", "check", conf]);
    expect(refused.code).toBe(78);
    expect(refused.out).toMatch(
      /checked\.conf:7:\d+: note: .*\n.*checked\.conf:22:9: .*\n.*refused: 1 error\n/,
    );
    const third = "\tnode {\n\t\tring0_addr: 172.31.223.48\n\t\tnodeid: 8\n\t\tprio: 98\n\t}\n";
    expect(warned).toContain(third);
    writeFileSync(conf, warned.replace("expected_votes: 2", "two_node: 1").replace(third, ""));
    const dangerous = await quorate(["config", "check", conf, "--json"]);
    expect(dangerous.code).toBe(78);
    expect(JSON.parse(dangerous.out)).toMatchObject({
      ok: false,
      diagnostics: [{ severity: "dangerous", line: 7 }, { severity: "warning" }],
      config: { clusterName: "VMmanager" },
    });
  });

  it("show --effective marks what is a default", async () => {
    const { out } = await quorate(["config", "show", "--effective", ...where]);
    expect(out).toMatch(/^totem\.token +1000 +default$/m);
    expect(out).toMatch(/^totem\.cluster_name +VMmanager +line 3$/m);
    expect(out).toMatch(/^quorum\.quorum +2 +derived$/m);
    const { values } = JSON.parse((await quorate(["config", "show", "--effective", "--json", ...where])).out);
    expect(values).toContainEqual({ path: "totem.token", value: "1000", origin: "default" });
  });
});

describe("quorate log", () => {
  it("merges what the processes wrote, by time, as sentences", async () => {
    const at = (second: number) => `2026-11-22T10:00:0${second}.000Z`;
    const entry = { level: "info", service: "membership", node: 4 };
    const first = JSON.stringify({ ...entry, time: at(1), message: "one" });
    const third = JSON.stringify({ ...entry, time: at(3), message: "three", hint: "Look.", port: 5 });
    writeFileSync(join(stateDir, "log", "membership.log"), `${first}\n${third}\n`);
    writeFileSync(
      join(stateDir, "log", "quorum-evaluator.log"),
      `${JSON.stringify({ ...entry, time: at(2), message: "two" })}\n`,
    );
    const { out } = await quorate(["log", "--raw", ...where]);
    expect(out).toBe(
      `${at(1)} membership info: one\n${at(2)} quorum-evaluator info: two\n` +
        `${at(3)} membership info: three What to do: Look. (port=5)\n`,
    );
    expect((await quorate(["log", "-n", "1", "quorum-evaluator", ...where])).out).toContain("two");
    expect((await quorate(["log", "nobody", ...where])).code).toBe(64);
    expect(logLine("nats-server", "[7] 2026/11/22 16:52:45.889961 [INF] Ready").text).toContain(
      "nats-server inf: Ready",
    );
  });

  it("goes on in the older file when the newest was rotated lately", async () => {
    const at = (second: number) => `2026-11-22T11:00:0${second}.000Z`;
    const entry = (second: number, message: string) =>
      `${JSON.stringify({ level: "info", time: at(second), message })}\n`;
    const path = join(stateDir, "log", "rotated.log");
    writeFileSync(`${path}.2`, entry(1, "one"));
    writeFileSync(`${path}.1`, entry(2, "two") + entry(3, "three"));
    writeFileSync(path, entry(4, "four"));
    const log = async (limit: number) => (await quorate(["log", "rotated", "-n", `${limit}`, ...where])).out;
    const words = (out: string) => [...out.matchAll(/info: (\w+)/g)].map((match) => match[1]);
    expect(words(await log(1))).toEqual(["four"]);
    expect(words(await log(2))).toEqual(["three", "four"]);
    expect(words(await log(9))).toEqual(["one", "two", "three", "four"]);
  });

  it("follows over a rotation without losing what came just before it", async () => {
    const path = join(stateDir, "log", "followed.log");
    const raw = (message: string) => `${JSON.stringify({ level: "info", message })}\n`;
    writeFileSync(path, raw("first"));
    const child = spawn(process.execPath, [MAIN, "log", "-f", "followed", ...where], {
      env: { ...process.env, QUORATE_CALLED_AS: "quorate" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      out += part;
    });
    await until("the first line", () => out.includes("first"), 60_000);
    writeFileSync(`${path}.1`, raw("first") + raw("second"));
    writeFileSync(path, "");
    await until("the line before the rotation", () => out.includes("second"));
    writeFileSync(path, raw("third"));
    await until("the line after it", () => out.includes("third"));
    child.kill("SIGTERM");
    expect(out.match(/first|second|third/g)).toEqual(["first", "second", "third"]);
  }, 90_000);
});

describe("quorate events", () => {
  it("marks what does not have its registered form", () => {
    const event: EventEnvelope = {
      specversion: "1.0",
      id: "4-0123456789abcdef-1",
      source: "/quorate/VMmanager/4/membership",
      type: "quorate.v1.quorum.term_raised",
      time: "2026-11-22T10:00:00.000Z",
      datacontenttype: "application/json",
      nodeid: 4,
      bootid: "0123456789abcdef",
      sequence: 1,
      data: { old: 1, new: 2, reason: "VOTED", message: "Voted.", facts: {} },
    };
    expect(eventLine(event)).toBe("2026-11-22T10:00:00.000Z node 4 quorum.term_raised: Voted. (VOTED)\n");
    expect(eventLine({ ...event, data: { ...event.data, new: "two" } })).toMatch(
      /: Voted\. \(VOTED\) \[not of the registered form: data\.new: .+\]\n$/,
    );
    expect(eventLine({ ...event, type: "quorate.v1.quorum.unheard_of" })).toContain(
      "[unknown to this version]",
    );
  });
});
