import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_CODES, QuorateError, type VmRecord, type VmReport } from "@quorate/contracts";
import { documentDigest } from "@quorate/corosync-conf";
import { Bus, createLogger } from "@quorate/runtime";
import { freePort } from "@quorate/runtime/test/free-port";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DOMAINS } from "./domains.ts";
import { confirmOff } from "../src/commands/confirm-off.ts";
import { initNode } from "../src/commands/init.ts";
import {
  type KnownMachines,
  machineLines,
  machineTable,
  proofNeeded,
  relocatable,
} from "../src/machine-lines.ts";
import { runCommand } from "../src/program.ts";
import { lostStorageText } from "../src/status-storages.ts";
import { machineGuarantees, machineRows, machinesStatus } from "../src/status-machines.ts";
import { CLUSTER_CONF, temporaryFolder, until } from "./fixture.ts";

const GIVEN = { term: 3, number: 100 };

function record(vm: string, change: Partial<VmRecord> = {}): VmRecord {
  return {
    vm,
    placement: GIVEN,
    revision: 1,
    definition: "d",
    memoryMib: 96,
    vcpus: 1,
    prio: 0,
    wanted: "running",
    storage: "shared",
    storages: [],
    gated: true,
    released: null,
    ...change,
  };
}

function report(node: number, records: VmRecord[], running: string[] = []): VmReport {
  return {
    node,
    incarnation: 1,
    sequence: 1,
    adopted: GIVEN,
    view: { term: 3, number: 1 },
    copies: running.map((vm) => ({
      vm,
      state: "running" as const,
      placement: GIVEN,
      confirmed: true,
      wasOut: false,
    })),
    records,
    failures: [],
    memoryMib: 1000,
    vcpus: 4,
    storageGone: [],
  };
}

const WAITS = "db waits: no host has room for 4096 MiB.";

/** web runs, db has no room, old is stopped on a host that a move took it from, disk lies on one host. */
function known(change: Partial<KnownMachines> = {}): KnownMachines {
  const reports = [
    report(2, [record("old", { wanted: "stopped", released: { to: null } }), record("web")], ["web"]),
    report(
      4,
      [
        record("db", { memoryMib: 4096, vcpus: 2, prio: 5, released: { to: null } }),
        record("disk", { storage: "local", gated: false }),
        record("gone", { wanted: "undefined", released: { to: null } }),
        record("raw", { gated: false }),
        record("web", { placement: { term: 2, number: 7 }, released: { to: null } }),
      ],
      ["disk", "raw"],
    ),
  ];
  const entry = (vm: string, owner: number | null) => ({ vm, owner, placement: GIVEN, movingTo: null });
  return {
    ok: true,
    report: reports[1] ?? null,
    reports,
    table: [entry("db", null), entry("disk", 4), entry("old", null), entry("raw", 4), entry("web", 2)],
    blocked: [{ vm: "db", reason: { code: "VM_NO_ROOM", message: WAITS } }],
    obstacles: [{ vm: "disk", obstacles: ["disk vda lies on this host alone (/var/disk.img)"] }],
    problems: [],
    ...change,
  };
}

describe("machines under care", () => {
  it("stand in one table with what each waits for and what no lease fences", () => {
    expect(machineTable(machineLines(known(), known()))).toBe(
      `NAME  NODE  STATE    WANTED   PRIO  MEMORY    VCPUS  RELOCATABLE
db    -     stopped  running  5     4096 MiB  2      yes
disk  4     running  running  0     96 MiB    1      no: local disk
old   -     stopped  stopped  0     96 MiB    1      yes
raw   4     running  running  0     96 MiB    1      not by lease
web   2     running  running  0     96 MiB    1      yes
db: ${WAITS}
disk: disk vda lies on this host alone (/var/disk.img)
raw: something of it passes by the gates
`,
    );
    expect(machineTable([])).toContain("quorate vm define FILE");
  });

  it("are told by the newest word, and where that is kept", () => {
    const lines = machineLines(known(), null);
    expect(lines.map(({ vm, node, keeper }) => [vm, node, keeper])).toEqual([
      ["db", null, 4],
      ["disk", 4, 4],
      ["old", null, 2],
      ["raw", 4, 4],
      ["web", 2, 2],
    ]);
  });

  it("say when one is cut off or on its way", () => {
    const cut = known();
    const copy = cut.reports[0]?.copies[0];
    if (copy !== undefined) copy.confirmed = false;
    const moving = { vm: "raw", owner: 4, placement: GIVEN, movingTo: 8 };
    const text = machineTable(machineLines(cut, { ...cut, table: [moving] }));
    expect(text).toMatch(/^web +2 +running, cut off/m);
    expect(text).toMatch(/^raw +4 +moving to 8/m);
  });
});

describe("machines in the status", () => {
  const said = (own: KnownMachines, master: KnownMachines | null = own) => ({
    value: { own, master },
    ageMs: 0,
    problem: "",
  });

  it("are counted, with what waits and what cannot be relocated, beforehand", () => {
    expect(machineRows(machinesStatus(said(known())))).toEqual([
      "3 run, 1 waits, 1 stopped",
      WAITS,
      "disk is relocatable not at all: disk vda lies on this host alone (/var/disk.img)",
      "raw is relocatable not by lease: something of it passes by the gates; when node 4 is silent, it waits until you switch it off and say so: quorate node confirm-off 4",
    ]);
    expect(machineRows(machinesStatus(said(known(), null)))[0]).toContain("no master is known");
    expect(machineRows(machinesStatus(null))).toEqual([]);
  });

  it("tell which hosts a device can switch off, and what has become of that", () => {
    const own = known({
      powerDevices: [2, 4],
      offProofs: [{ node: 8, witness: "operator", agoMs: 4200 }],
      offAttempts: [{ node: 2, failures: 3, why: "no route." }],
    });
    expect(machineRows(machinesStatus(said(own))).slice(3)).toEqual([
      "raw is relocatable not by lease: something of it passes by the gates; when node 4 is silent, its power device switches it off first",
      "power devices: node 2, 4",
      "node 8 is taken for off on an operator's word, 4 s ago",
      "node 2 is being switched off by its power device; it failed 3 times, the last time: no route.",
    ]);
    expect(machineTable(machineLines(own, own))).toMatch(/^raw +.* by power device$/m);
    const beside = (change: Partial<KnownMachines>) => machineGuarantees(said(known(change)))[1];
    expect(beside({})).toMatchObject({ inForce: false, detail: expect.stringContaining("confirm-off") });
    expect(beside({ powerDevices: [2] })).toMatchObject({
      inForce: false,
      detail: expect.stringContaining("not those of node 4"),
    });
    expect(beside({ powerDevices: [2, 4] })).toMatchObject({ inForce: true });
    const broken = { code: "TOOL_MISSING", message: "none.", facts: { subject: "power-device/2" } };
    expect(beside({ powerDevices: [2, 4], problems: [broken] })).toMatchObject({ inForce: false });
  });

  it("name the storage that does not answer, whom, and whether it is to blame", () => {
    const SAN = "10.0.9.1:10809";
    const base = known();
    const needing = record("web", { storages: [SAN] });
    const lost = (...nodes: number[]) => {
      const reports = base.reports.map((each) => ({
        ...each,
        records: each.node === 2 ? [needing] : each.records,
        storageGone: nodes.includes(each.node) ? [SAN] : [],
      }));
      return { ...base, reports };
    };
    const textOf = (own: KnownMachines) =>
      machinesStatus(said(own))?.lostStorages.map((each) => lostStorageText(each));
    expect(textOf(lost())).toEqual([]);
    expect(textOf(lost(2))).toEqual([
      `Storage ${SAN} does not answer node 2: nothing that needs it is placed there. Needed there by web.`,
    ]);
    expect(textOf(lost(2, 4))?.[0]).toContain(`answers none of the nodes 2, 4: the storage is to blame`);
    const table = machineTable(machineLines(lost(2), lost(2)));
    expect(table).toContain(`web: its storage ${SAN} does not answer node 2`);
  });

  it("that were started under a watchdog are shown so, with what that takes, and a host that is about to be reset", () => {
    const raw = record("raw", { gated: false, watchdogUs: 10_000_000 });
    const watchdog = { timeoutMs: 10_000, state: "starving" as const };
    const own = known({ reports: [report(4, [raw], ["raw"])], watchdog });
    const [line] = machineLines(own, own);
    expect(line === undefined ? "" : relocatable(line)).toBe("by watchdog");
    expect(line === undefined ? "" : proofNeeded(line)).toContain("a token and 33 s");
    const rows = machineRows(machinesStatus(said(own)));
    expect(rows).toContain("the watchdog of this host IS NOT FED and resets it within 10 s");
    expect(machineGuarantees(said(own)).at(-1)?.detail).toContain("33 s and a token after the fence");
  });

  it("are fenced by what is truly in force, which is said", () => {
    expect(machineGuarantees(null)).toEqual([]);
    const inForce = (own: KnownMachines) =>
      machineGuarantees(said(own)).map(({ name, inForce: is }) => `${name}: ${is}`);
    expect(inForce(known())).toEqual(["machines' gates: true", "machines beside the gates: false"]);
    const trouble = {
      code: "TOOL_FAILED",
      message: "nft.",
      facts: { subject: "gates/renew-gates", failures: 2 },
    };
    expect(inForce(known({ problems: [trouble] }))[0]).toBe("machines' gates: false");
    const silent = { value: null, ageMs: null, problem: "Nobody answers." };
    expect(machineGuarantees(silent)[0]).toMatchObject({ inForce: false, detail: "Nobody answers." });
  });
});

describe("the commands", () => {
  let folder: string;
  let server: ChildProcess;
  const buses: Bus[] = [];
  let where: string[];
  let leader: number | null = 4;
  let own = known();
  const wishes: object[] = [];

  function serve(node: number, port: number): Bus {
    const bus = new Bus({
      credentials: { url: `nats://127.0.0.1:${port}`, user: "service", password: "x" },
      clusterName: "VMmanager",
      nodeId: node,
      name: "test",
      logger: createLogger({ service: "test", node, level: "silent" }),
    });
    buses.push(bus);
    bus.serve("failover-actuator", "machines", () => own);
    bus.serve("failover-actuator", "machine-wish", (body) => {
      wishes.push({ node, ...body });
      return {};
    });
    return bus;
  }

  beforeAll(async () => {
    folder = temporaryFolder();
    const runDir = join(folder, "run");
    const stateDir = join(folder, "state");
    const config = join(folder, "cluster.conf");
    where = ["--run-dir", runDir];
    writeFileSync(config, CLUSTER_CONF);
    initNode({ config, nodeId: 4, stateDir, keysDir: join(folder, "keys"), force: false });
    const port = await freePort();
    mkdirSync(runDir);
    const node = {
      nodeId: 4,
      clusterName: "VMmanager",
      stateDir,
      runDir,
      keysDir: folder,
      configFile: config,
    };
    writeFileSync(join(runDir, "node.json"), JSON.stringify({ ...node, busPort: port, healthBase: 0 }));
    const url = `nats://127.0.0.1:${port}`;
    writeFileSync(join(runDir, "bus.json"), JSON.stringify({ url, user: "service", password: "x" }));
    server = spawn(
      "nats-server",
      ["-a", "127.0.0.1", "-p", String(port), "--user", "service", "--pass", "x"],
      {
        stdio: "ignore",
      },
    );
    const bus = serve(4, port);
    serve(2, port);
    await until("the bus", () => buses.every(({ connected }) => connected));
    const ref = { term: 1, version: 1, digest: documentDigest(CLUSTER_CONF) };
    bus.serve("config-distributor", "status", () => ({
      stored: ref,
      committed: ref,
      fileNote: null,
      text: CLUSTER_CONF,
      problems: [],
    }));
    bus.serve("quorum-evaluator", "status", () => ({ quorum: judgement() }));
    bus.serve("failover-actuator", "machine-plan", ({ down }) => ({
      term: 1,
      placed: down.map((from) => ({ vm: "web", from, to: 8 })),
      left: [
        { vm: "db", reason: { code: "VM_NO_ROOM", message: WAITS } },
        { vm: "raw", reason: { code: "VM_WAITS_FOR_DEVICE", message: "raw waits for it." } },
      ],
      unreachable: [{ node: 8, storage: "10.0.9.1:10809" }],
      orderedWithinMs: 2500,
    }));
    bus.serve("failover-actuator", "machine-confirm-off", ({ node }) => {
      wishes.push({ off: node });
      return {
        term: 7,
        placed: [{ vm: "raw", to: 4 }],
        left: [{ vm: "db", reason: { code: "VM_NO_ROOM", message: WAITS } }],
      };
    });
    bus.serve("failover-actuator", "machine-discover", () => ({ domains: DOMAINS }));
    bus.serve("failover-actuator", "machine-define", ({ xml }) => {
      if (xml === "<old1/>") return { vm: "old1", obstacles: [] };
      throw new QuorateError("DEFINITION_BROKEN", "the definition:2:3: no name.", "Give it one.");
    });
  });
  afterAll(async () => {
    for (const bus of buses) await bus.close();
    server.kill("SIGKILL");
    await once(server, "exit");
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    leader = 4;
    own = known();
    wishes.length = 0;
  });

  function judgement() {
    const ref = { term: 1, version: 1, digest: "ab".repeat(32) };
    return {
      stampUs: Number(process.hrtime.bigint() / 1000n),
      node: 4,
      bootId: "0123456789abcdef",
      term: 1,
      role: leader === null ? ("suspended" as const) : ("master" as const),
      leader,
      masterLeaseEndUs: 0,
      nodeLeaseEndUs: 0,
      promise: null,
      view: { term: 1, number: 1, members: [] },
      out: false,
      amnesic: false,
      votes: { total: 3, quorum: 2, present: 3 },
      quorate: "yes" as const,
      fences: [],
      stored: ref,
      committed: ref,
      joint: false,
      disarmedUntil: null,
      readmit: [],
      problems: [],
      reason: { code: "MASTER", message: "Master." },
    };
  }

  async function quorate(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const ended = { code: 0, out: "", err: "" };
    ended.code = await runCommand("quorate", [...args, ...where], {
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

  it("list and show what is known, and say when no master decides", async () => {
    expect((await quorate("vm", "list")).out).toBe(machineTable(machineLines(own, own)));
    expect((await quorate("vm", "show", "web")).out).toBe(
      `name         web
node         2
state        running
wanted       running
priority     0
memory       96 MiB
vcpus        1
relocatable  yes
copy         on node 2, running, placement 3.100
`,
    );
    expect((await quorate("vm", "show", "db")).out).toContain(`waits        ${WAITS}`);
    leader = null;
    expect((await quorate("vm", "list")).out).toContain("No master is known");
    const missing = await quorate("vm", "show", "nobody");
    expect(missing.code).not.toBe(0);
    expect(missing.err).toContain("No machine nobody is under care.");
  });

  it("write a wish where the machine's newest record is kept, stopped ones too", async () => {
    expect((await quorate("vm", "start", "old")).out).toBe("old on node 2 is to be running.\n");
    expect((await quorate("vm", "policy", "web", "--prio", "7")).out).toBe(
      "web on node 2 has the priority 7.\n",
    );
    expect(wishes).toMatchObject([
      { node: 2, vm: "old", wanted: "running", prio: null },
      { node: 2, vm: "web", wanted: null, prio: 7 },
    ]);
    own = known({ table: [{ vm: "web", owner: 8, placement: GIVEN, movingTo: null }] });
    const busy = await quorate("vm", "stop", "web");
    expect(busy.err).toContain("web is on its way from node 2 to node 8.");
    expect(wishes).toHaveLength(2);
  });

  it("say what to type for one that waits for a proof", async () => {
    expect((await quorate("vm", "show", "raw")).out).toContain("quorate node confirm-off 4");
    own = known({ powerDevices: [4] });
    expect((await quorate("vm", "show", "raw")).out).toContain("its power device switches it off first");
    expect((await quorate("vm", "show", "web")).out).not.toContain("silent");
  });

  it("plan by the master's word, and refuse what is no supposition", async () => {
    expect((await quorate("plan", "--if", "node 2 down")).out).toBe(
      `Without node 2, starts ordered within 2500 ms of the death:
web: from node 2 to node 8
db: would not run. ${WAITS}
raw: would wait. raw waits for it.
Storage 10.0.9.1:10809 does not answer node 8: nothing that needs it goes there.
`,
    );
    expect((await quorate("plan", "--if", "node 2 up")).err).toContain('quorate plan --if "node 4 down"');
    leader = null;
    expect((await quorate("plan", "--if", "node 2 down")).err).toContain("There is no master");
  });

  it("pass a refusal on as it is", async () => {
    const file = join(folder, "vm.xml");
    writeFileSync(file, "<domain/>");
    const refused = await quorate("vm", "define", file);
    expect(refused.code).toBe(EXIT_CODES.configuration);
    expect(refused.err).toContain("the definition:2:3: no name.");
    expect(refused.err).toContain("Give it one.");
    expect((await quorate("vm", "define", join(folder, "none.xml"))).err).toContain("ENOENT");
  });

  it("take what libvirt knows under care by its name", async () => {
    expect((await quorate("vm", "discover")).out).toContain("quorate vm define --domain NAME --node 4");
    expect((await quorate("vm", "define", "--domain", "old1")).out).toContain(
      "old1 is under care on node 4.",
    );
    expect((await quorate("vm", "define", "--domain", "none")).err).toContain("vm discover");
    expect((await quorate("vm", "define")).code).toBe(EXIT_CODES.usage);
  });

  it("take a person's word that a host is off, and nothing less", async () => {
    const refused = await quorate("node", "confirm-off", "2");
    expect(refused.code).toBe(EXIT_CODES.usage);
    expect(refused.err).toContain("--yes");
    const asked: string[] = [];
    const typing = (text: string) => (words: string) => {
      asked.push(words);
      return Promise.resolve(text);
    };
    const places = { runDir: where[1] };
    await expect(confirmOff(places, "2", typing("yes"))).rejects.toThrow("nothing was done");
    expect(asked[0]).toContain("each of them runs\ntwice");
    expect(wishes).toEqual([]);
    await confirmOff(places, "2", typing("2"));
    const said = await quorate("node", "confirm-off", "2", "--yes");
    expect(said.out).toBe(
      `Node 2 is taken for off in term 7, on your word. Keep it off until its machines run elsewhere.
raw: starts on node 4
db: waits on. ${WAITS}
`,
    );
    expect(wishes).toEqual([{ off: 2 }, { off: 2 }]);
    expect((await quorate("node", "confirm-off", "99", "--yes")).code).toBe(EXIT_CODES.noSuchThing);
    leader = null;
    expect((await quorate("node", "confirm-off", "2", "--yes")).err).toContain("There is no master");
  });
});
