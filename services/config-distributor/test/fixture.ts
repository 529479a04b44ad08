import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  compareConfigRefs,
  type ConfigRef,
  type EventEnvelope,
  EventEnvelopeSchema,
  eventSubject,
  type NodeId,
  type QuorumMessage,
} from "@quorate/contracts";
import { sameRef } from "@quorate/core-config";
import {
  Bus,
  createLogger,
  identifyProcess,
  type Lifecycle,
  monotonicUs,
  type ServiceContext,
  writePidFile,
} from "@quorate/runtime";
import { freePort } from "@quorate/runtime/test/free-port";
import { startDistributor } from "../src/app.ts";

export const CLUSTER = "VMmanager";

/** The original's file, with unicast and three nodes 2, 4, 8; node 4 ranks first. */
export const ORIGINAL = `# the original's
totem {
	transport: udpu
	config_version: 1
	cluster_name: ${CLUSTER}
	interface {
		bindnetaddr: 172.31.223.47
		mcastport: 5405
	}
}
quorum {
	expected_votes: 3
}
nodelist {
	node {
		ring0_addr: 172.31.223.46
		nodeid: 2
		prio: 99
		replication: on
	}
	node {
		ring0_addr: 172.31.223.47
		nodeid: 4
		prio: 100
		replication: on
	}
	node {
		ring0_addr: 172.31.223.48
		nodeid: 8
		prio: 98
		replication: on
	}
}
`;

export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited too long for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One node of the test: its own nats-server, its folders, a distributor, and a scripted evaluator. */
export class TestNode {
  readonly id: NodeId;
  readonly folder: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly keysDir: string;
  readonly configFile: string;
  readonly clientPort: number;
  readonly events: EventEnvelope[] = [];
  /** What the scripted evaluator has accepted. */
  accepted: ConfigRef | null = null;
  bus!: Bus;
  natsLog = "";
  #nats: ChildProcess | undefined;
  #stops: Array<() => Promise<void> | void> = [];
  #isRunning = false;

  constructor(id: NodeId, clientPort: number) {
    this.id = id;
    this.clientPort = clientPort;
    this.folder = mkdtempSync(join(tmpdir(), `quorate-distributor-${id}-`));
    this.stateDir = join(this.folder, "state");
    this.runDir = join(this.folder, "run");
    this.keysDir = join(this.folder, "keys");
    this.configFile = join(this.folder, "cluster.conf");
    for (const folder of [join(this.stateDir, "config"), join(this.runDir, "pids"), this.keysDir]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(join(this.stateDir, "config", "running.conf"), ORIGINAL);
    writeFileSync(this.configFile, ORIGINAL, { mode: 0o640 });
    writeFileSync(join(this.keysDir, "route-password"), "a".repeat(40));
    const credentials = { url: `nats://127.0.0.1:${clientPort}`, user: "service", password: "secret" };
    for (const name of ["bus.json", "reader.json"]) {
      writeFileSync(join(this.runDir, name), JSON.stringify(credentials));
    }
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  async startNats(routePort: number, otherRoutePorts: readonly number[]): Promise<void> {
    const routes = otherRoutePorts.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
    const file = join(this.folder, "test-nats.conf");
    // As a list: with a single user nats-server 2.9 forgets what other servers subscribed to when it reloads.
    writeFileSync(
      file,
      `listen: "127.0.0.1:${this.clientPort}"
max_payload: 8MB
authorization { users = [ { user: "service", password: "secret" } ] }
cluster { name: test, listen: "127.0.0.1:${routePort}", routes: [${routes}] }
`,
    );
    const child = spawn("nats-server", ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#nats = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.natsLog += text;
    });
    await until("nats-server ready", () => this.natsLog.includes("Server is ready"));
    const identity = identifyProcess(child.pid ?? 0);
    if (identity !== null) writePidFile(join(this.runDir, "pids", "nats-server.pid"), identity);
    this.bus = this.connect("test");
    await until("bus", () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended by itself:\n${this.natsLog}`);
      return this.bus.connected;
    });
    this.bus.subscribeLocal("stored", ({ ref, from }) => this.onStored?.(ref, from));
    this.bus.subscribe(eventSubject(CLUSTER, this.id, "config", "*"), EventEnvelopeSchema, (event) => {
      this.events.push(event);
    });
  }

  onStored: ((ref: ConfigRef, from: NodeId | null) => void) | undefined;

  connect(name: string): Bus {
    return new Bus({
      credentials: { url: `nats://127.0.0.1:${this.clientPort}`, user: "service", password: "secret" },
      clusterName: CLUSTER,
      nodeId: this.id,
      name,
      logger: createLogger({ service: name, node: this.id, level: "silent" }),
    });
  }

  async start(): Promise<void> {
    const context: ServiceContext = {
      service: "config-distributor",
      nodeId: this.id,
      bootId: "0123456789abcdef",
      stateDir: this.stateDir,
      runDir: this.runDir,
      keysDir: this.keysDir,
      configFile: this.configFile,
      runningConfFile: join(this.stateDir, "config", "running.conf"),
      authkeyFile: join(this.keysDir, "authkey"),
      healthPort: 0,
      credentials: { url: `nats://127.0.0.1:${this.clientPort}`, user: "service", password: "secret" },
      logger: createLogger({
        service: "config-distributor",
        node: this.id,
        level: process.env["QUORATE_TEST_LOG"] === undefined ? "silent" : "info",
      }),
    };
    const lifecycle: Lifecycle = {
      onStop: (_name, stop) => void this.#stops.push(stop),
      stopping: false,
    };
    await startDistributor(context, lifecycle);
    this.#isRunning = true;
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    for (const stop of this.#stops.reverse()) await stop();
    this.#stops = [];
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.bus.close();
    const child = this.#nats;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  running(): string {
    return readFileSync(join(this.stateDir, "config", "running.conf"), "utf8");
  }

  file(): string {
    return readFileSync(this.configFile, "utf8");
  }

  status() {
    return this.bus.request("config-distributor", "status", this.id, {}, 1000);
  }

  eventTypes(): string[] {
    return this.events.map((event) => event.type.replace("quorate.v1.config.", ""));
  }
}

/**
 * Nodes, and in the place of their quorum-evaluators a script: who leads in which term is set by the test,
 * the counting is done here, on what the distributors say they have stored.
 */
export class TestCluster {
  readonly nodes: TestNode[] = [];
  term = 0;
  leader: NodeId | null = null;
  committed: ConfigRef | null = null;
  part: Partial<QuorumMessage> = {};
  /** Nodes whose evaluator is silent or cut off. */
  readonly away = new Set<NodeId>();
  #timer: NodeJS.Timeout | undefined;

  /** `prepare`: what lies on a node's disk before its distributor starts. */
  static async start(
    ids: readonly NodeId[],
    prepare: (node: TestNode) => void = () => {},
  ): Promise<TestCluster> {
    const cluster = new TestCluster();
    try {
      await cluster.#start(ids, prepare);
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  async #start(ids: readonly NodeId[], prepare: (node: TestNode) => void): Promise<void> {
    const routePorts = await Promise.all(ids.map(() => freePort()));
    for (const [index, id] of ids.entries()) {
      const node = new TestNode(id, await freePort());
      this.nodes.push(node);
      node.onStored = (ref, from) => this.#take(node, ref, from);
      const others = routePorts.filter((_, other) => other !== index);
      await node.startNats(routePorts[index] ?? 0, others);
    }
    for (const node of this.nodes) {
      prepare(node);
      await node.start();
    }
    this.#timer = setInterval(() => this.speak(), 50);
  }

  node(id: NodeId): TestNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  /** `leader` has won `term`. */
  elect(leader: NodeId | null): void {
    this.term += 1;
    this.leader = leader;
    this.committed = null;
    this.speak();
  }

  /** Waits until every running node has the same committed document, of this version if it is given. */
  async converged(version?: number): Promise<ConfigRef> {
    const agrees = () => {
      const { committed } = this;
      return (
        committed !== null &&
        (version === undefined || committed.version === version) &&
        this.nodes.every(
          (node) => !node.isRunning || (node.accepted !== null && sameRef(node.accepted, committed)),
        )
      );
    };
    await until(`all on version ${version ?? "of the master"}`, agrees);
    if (this.committed === null) throw new Error("nothing is committed");
    return this.committed;
  }

  async remove(): Promise<void> {
    clearInterval(this.#timer);
    for (const node of this.nodes) await node.remove();
  }

  #take(node: TestNode, ref: ConfigRef, from: NodeId | null): void {
    if (this.away.has(node.id)) return;
    const isFirst = node.accepted === null;
    const counts = ref.term === this.term && from === this.leader;
    if (isFirst || (counts && compareConfigRefs(ref, node.accepted ?? ref) > 0)) {
      node.accepted = ref;
      this.#count();
      this.speak();
    }
  }

  #count(): void {
    const master = this.nodes.find((node) => node.id === this.leader)?.accepted ?? null;
    if (master === null || master.term !== this.term) return;
    const having = this.nodes.filter(
      (node) => !this.away.has(node.id) && node.accepted !== null && sameRef(node.accepted, master),
    );
    if (having.length * 2 > this.nodes.length) this.committed = master;
  }

  speak(): void {
    for (const node of this.nodes) {
      if (this.away.has(node.id) || node.accepted === null) continue;
      node.bus.publishLocal("quorum", {
        stampUs: monotonicUs(),
        node: node.id,
        bootId: "0123456789abcdef",
        term: this.term,
        role: this.leader === null ? "suspended" : node.id === this.leader ? "master" : "slave",
        leader: this.leader,
        masterLeaseEndUs: 0,
        nodeLeaseEndUs: 0,
        promise: null,
        view: {
          term: this.term,
          number: 1,
          members: this.nodes.map(({ id }) => ({ node: id, bootId: null })),
        },
        out: false,
        amnesic: false,
        votes: { total: 3, quorum: 2, present: 3 },
        quorate: this.leader === null ? "no" : "yes",
        fences: [],
        stored: node.accepted,
        committed: this.committed,
        joint: false,
        disarmedUntil: null,
        readmit: [],
        problems: [],
        reason: { code: "SCRIPT", message: "scripted" },
        ...this.part,
      });
      node.bus.publishLocal("peers", {
        stampUs: monotonicUs(),
        node: node.id,
        bootId: "0123456789abcdef",
        incarnation: 1,
        patience: 1,
        peers: this.nodes
          .filter((peer) => peer !== node)
          .map((peer) => ({
            node: peer.id,
            state: "joined" as const,
            sinceUs: 0,
            lastHeardUs: null,
            bootId: null,
            incarnation: null,
            config: this.away.has(peer.id) ? null : peer.accepted,
            links: [],
            reason: { code: "SCRIPT", message: "scripted" },
          })),
      });
    }
  }
}
