import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { documentDigest } from "@quorate/corosync-conf";
import { Bus, createLogger } from "@quorate/runtime";
import { freePort } from "@quorate/runtime/test/free-port";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DOMAINS, HUGE_DOMAIN } from "./domains.ts";
import { confirmOff } from "../src/commands/confirm-off.ts";
import { initNode } from "../src/commands/init.ts";
import { machineLines, machineTable } from "../src/machine-lines.ts";
import { runCommand } from "../src/program.ts";
import { CLUSTER_CONF, temporaryFolder, until } from "./fixture.ts";
import { GIVEN, known, WAITS } from "./machine-fixture.ts";

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
    bus.serve("failover-actuator", "machine-move", () => ({ term: 1 }));
    bus.serve("failover-actuator", "machine-discover", () => ({ domains: [...DOMAINS, HUGE_DOMAIN] }));
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

  it("say at once why a machine is not moved", async () => {
    own = { ...known(), refusedMoves: [{ vm: "web", to: 4, why: "that node is full" }] };
    const moved = await quorate("vm", "move", "web", "4");
    expect(moved.err).toContain("web stays on node 2 and is not moved to node 4: that node is full.");
    expect(moved.code).not.toBe(0);
  });

  it("pass a refusal on as it is", async () => {
    const file = join(folder, "vm.xml");
    writeFileSync(file, "<domain/>");
    const refused = await quorate("vm", "define", file);
    expect(refused.code).toBe(EXIT_CODES.configuration);
    expect(refused.err).toContain(`${file}:2:3: no name.`);
    expect(refused.err).toContain("Give it one.");
  });

  it("take what libvirt knows under care by its name", async () => {
    expect((await quorate("vm", "discover")).out).toContain("quorate vm define --domain NAME --node 4");
    expect((await quorate("vm", "define", "--domain", "old1")).out).toContain(
      "old1 is under care on node 4.",
    );
    expect((await quorate("vm", "define", "--domain", "none")).err).toContain("vm discover");
    expect((await quorate("vm", "define", "--domain", "huge")).err).toContain("of huge has 293 KiB;");
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
