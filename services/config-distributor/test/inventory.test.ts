import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  machineSubject,
  QuorateError,
  type VmRecord,
  type VmReport,
  VmReportSchema,
} from "@quorate/contracts";
import type { Bus } from "@quorate/runtime";
import { afterEach, expect, it } from "vitest";
import { CLUSTER, ORIGINAL, TestCluster, type TestNode, until } from "./fixture.ts";

const WITH_MACHINES = `${ORIGINAL}machines {\n}\n`;
const XML = "<domain><name>vm1</name></domain>";
const DIGEST = createHash("sha256").update(XML).digest("hex");

let cluster: TestCluster | undefined;
const others: Bus[] = [];
const timers: NodeJS.Timeout[] = [];
afterEach(async () => {
  for (const timer of timers.splice(0)) clearInterval(timer);
  for (const bus of others.splice(0)) await bus.close();
  await cluster?.remove();
});

function record(vm: string, change: Partial<VmRecord> = {}): VmRecord {
  return {
    vm,
    placement: { term: 1, number: 5 },
    revision: 1,
    definition: DIGEST,
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

/** The actuator of a node, as far as its machines are concerned: what it says it says again and again. */
async function hostOf(node: TestNode): Promise<{ say(records: VmRecord[]): void }> {
  const bus = node.connect("host");
  others.push(bus);
  await until("the bus", () => bus.connected);
  bus.serve("failover-actuator", "machine-definition", ({ digest }) => {
    if (digest === DIGEST) return { xml: XML };
    throw new QuorateError("DEFINITION_MISSING", "None.", "None.");
  });
  let sequence = 0;
  let last: VmRecord[] = [];
  const report = () => {
    sequence += 1;
    const said: VmReport = {
      node: node.id,
      incarnation: 1,
      sequence,
      adopted: { term: 1, number: 1 },
      view: { term: 1, number: 1 },
      copies: [],
      records: last,
      failures: [],
      memoryMib: 1000,
      vcpus: 2,
      storageGone: [],
    };
    bus.publish(machineSubject(CLUSTER, node.id, "report"), VmReportSchema, said);
  };
  timers.push(setInterval(report, 100));
  return {
    say(records) {
      last = records;
      report();
    },
  };
}

async function keptBy(node: TestNode): Promise<string[]> {
  const answer = await node.bus.request("config-distributor", "inventory", node.id, {}, 1000);
  if (!("records" in answer)) return [];
  return answer.records.map((each) => `${each.node} ${each.record.vm} ${each.record.wanted}`);
}

async function waitFor(what: string, node: TestNode, wanted: readonly string[]): Promise<number> {
  const began = performance.now();
  const isSo = async () => {
    try {
      return (await keptBy(node)).join() === wanted.join();
    } catch (error) {
      // What its distributor serves is not known to the bus yet.
      if (error instanceof QuorateError && error.code === "BUS_UNREACHABLE") return false;
      throw error;
    }
  };
  while (!(await isSo())) {
    if (performance.now() - began > 5000) throw new Error(`waited too long for: ${what}`);
  }
  return performance.now() - began;
}

function definitionAt(node: TestNode) {
  return node.bus.request("config-distributor", "machine-definition", node.id, { digest: DIGEST }, 1000);
}

async function start(text: string, change?: (node: TestNode) => void): Promise<TestCluster> {
  cluster = await TestCluster.start([2, 4], (node) => {
    writeFileSync(join(node.stateDir, "config", "running.conf"), text);
    writeFileSync(node.configFile, text, { mode: 0o640 });
    change?.(node);
  });
  return cluster;
}

it("is on every node that keeps it within a second of a change, with what the records name", async () => {
  const { nodes } = await start(WITH_MACHINES);
  const [two, four] = nodes as [TestNode, TestNode];
  const hosts = [await hostOf(two), await hostOf(four)];
  hosts[0]?.say([record("vm1")]);
  hosts[1]?.say([record("vm2")]);
  for (const node of nodes) await waitFor("both", node, ["2 vm1 running", "4 vm2 running"]);
  const lags: number[] = [];
  for (let turn = 0; turn < 20; turn++) {
    const wanted = turn % 2 === 0 ? "stopped" : "running";
    hosts[0]?.say([record("vm1", { wanted, revision: turn + 2 })]);
    lags.push(await waitFor("the change", four, [`2 vm1 ${wanted}`, "4 vm2 running"]));
  }
  const sorted = lags.toSorted((left, right) => left - right);
  const at = (part: number) => (sorted[Math.ceil(part * sorted.length) - 1] ?? 0).toFixed(1);
  process.stdout.write(`replication lag: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (n = ${lags.length})\n`);
  expect(Math.max(...lags)).toBeLessThan(1000);
  // The definition followed; it can be had when its writer is dead.
  let answer = await definitionAt(four).catch(() => null);
  const end = performance.now() + 3000;
  while (answer === null && performance.now() < end) answer = await definitionAt(four).catch(() => null);
  for (const bus of others.splice(0)) await bus.close();
  expect(await definitionAt(four)).toMatchObject({ xml: XML });
});

it("is not kept where it is not asked for, and that is said", async () => {
  const text = WITH_MACHINES.replace("prio: 99\n\t\treplication: on", "prio: 99\n\t\treplication: off");
  const { nodes } = await start(text);
  const [two, four] = nodes as [TestNode, TestNode];
  const host = await hostOf(two);
  host.say([record("vm1")]);
  await waitFor("the record", four, ["2 vm1 running"]);
  await expect(waitFor("it", two, ["-"])).rejects.toMatchObject({
    code: "REPLICA_OFF",
    hint: expect.stringContaining("replication: on"),
  });
  expect(existsSync(join(two.stateDir, "inventory"))).toBe(false);
});

it("does not exist without the section machines", async () => {
  const { nodes } = await start(ORIGINAL);
  const [two] = nodes as [TestNode, TestNode];
  await expect(waitFor("it", two, ["-"])).rejects.toMatchObject({ code: "REPLICA_OFF" });
});

it("is begun anew when its file is damaged, and filled by the next reports", async () => {
  const path = (node: TestNode) => join(node.stateDir, "inventory", "inventory.db");
  const { nodes } = await start(WITH_MACHINES, (node) => {
    if (node.id !== 4) return;
    mkdirSync(join(node.stateDir, "inventory"));
    writeFileSync(path(node), "no database at all, but longer than a header of SQLite would be".repeat(20));
  });
  const [two, four] = nodes as [TestNode, TestNode];
  expect(existsSync(`${path(four)}.corrupt`)).toBe(true);
  await waitFor("nothing", four, []);
  const host = await hostOf(two);
  host.say([record("vm1")]);
  await waitFor("the record", four, ["2 vm1 running"]);
});
