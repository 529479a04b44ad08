/** Crash-only, on the product as it is shipped: damaged state, a full disk, and what was decided, decided again. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hostDir } from "../src/host.ts";
import { DEFAULT_TOPOLOGY, VIP } from "../src/index.ts";
import type { LabPlan } from "../src/plan.ts";
import { ProductLab } from "./product-lab.ts";

const TEST_LIMIT_MS = 240_000;

let product: ProductLab;

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    process.stderr.write(`${product.logTails()}\n`);
  });
});

function stateOf(id: number, ...names: string[]): string {
  return join(hostDir(product.lab.record(), id), "state", ...names);
}

/** One bit in the middle of the file. */
function flipBit(path: string): void {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

function refused(name: string): unknown {
  return expect.objectContaining({ code: "STATE_REFUSED", message: expect.stringContaining(`/${name} `) });
}

describe("state that the disk gave back wrong", { timeout: TEST_LIMIT_MS }, () => {
  beforeAll(async () => {
    product = await ProductLab.up("crash", DEFAULT_TOPOLOGY);
    return () => product.down();
  }, TEST_LIMIT_MS);

  it("the evaluator's: the node has no vote until the master re-admits it, then it has one again", async () => {
    const before = await product.whole();
    const [slave = 0] = before.slaves;
    const observed = (await product.observer()).observe();
    await product.lab.kill(slave);
    flipBit(stateOf(slave, "evaluator.json"));
    await product.lab.start(slave);
    const back = await product.until(slave, ({ amnesic, view, quorate, degraded }) => {
      const isNamed = degraded.some(({ code }) => code === "STATE_REFUSED");
      return isNamed && !amnesic && quorate === "yes" && view?.members.includes(slave) === true;
    });
    // It came by a committed configuration, which changed nothing else.
    expect(back.configuration.version).toBeGreaterThan(before.version);
    expect(back.degraded).toEqual([refused("evaluator.json")]);
    expect(back.votes).toMatchObject({ total: 3, present: 3 });
    const history = await product.shell(slave, "quorate config log -n 1");
    expect(history).toContain(`lets nodes vote again that lost their state: ${slave}`);
    expect(await product.shell(slave, "quorate log --raw -n 400")).toContain("STATE_CORRUPT");
    await product.shell(slave, "rm /var/lib/quorate/evaluator.json.refused");
    const after = await product.whole();
    expect(after.master).toBe(before.master);
    expect(after.term).toBe(before.term);
    expect(observed.report().dualMs).toBe(0);
    observed.close();
    // Its vote counts: with the other slave gone, master and it are the quorum.
    const other = before.slaves.find((id) => id !== slave) ?? 0;
    await product.lab.kill(other);
    await product.until(before.master, ({ view }) => view?.members.includes(other) === false);
    expect(await product.status(before.master)).toMatchObject({ role: "master", quorate: "yes" });
    await product.lab.start(other);
    await product.whole();
  });

  it("the others': each is refused and named, and the node is whole without it", async () => {
    const before = await product.whole();
    const [slave = 0] = before.slaves;
    await product.lab.kill(slave);
    const names = ["config/running.conf", "membership.state"];
    for (const name of names) flipBit(stateOf(slave, name));
    await product.lab.start(slave);
    const back = await product.until(
      slave,
      ({ degraded, quorate, configuration }) =>
        quorate === "yes" &&
        configuration.committed &&
        degraded.every(({ code }) => code === "STATE_REFUSED"),
    );
    expect(back.amnesic).toBe(false);
    expect(back.degraded).toHaveLength(2);
    expect(back.degraded).toEqual(expect.arrayContaining(names.map(refused)));
    for (const name of names) rmSync(stateOf(slave, `${name}.refused`));
    const after = await product.whole();
    expect(after.version).toBe(before.version);
  });

  it("and files of the run directory, while the node runs: repaired for the process that needs them", async () => {
    const { slaves } = await product.whole();
    const [slave = 0] = slaves;
    const files = "cd /run/quorate; sed 's/\"digest\".*//' node.json; cat bus.json";
    const before = await product.shell(slave, files);
    await product.shell(
      slave,
      "cd /run/quorate; truncate -s 20 node.json; truncate -s 0 bus.json reader.json",
    );
    const pid = await product.lab.signalNamed(slave, "membership", "SIGKILL");
    await product.until(
      slave,
      ({ peers, ages }) => ages.peers !== null && peers.every(({ state }) => state === "joined"),
    );
    await product.whole();
    expect(pid).toBeGreaterThan(0);
    expect(await product.shell(slave, files)).toBe(before);
    // It was started once: no start found a broken file.
    const starts = "grep -c '\"started\"' /var/lib/quorate/log/membership.log";
    expect(Number(await product.shell(slave, starts))).toBe(4);
    expect(await product.shell(slave, "tail -n 40 /var/lib/quorate/log/membership.log")).not.toContain(
      "STATE_TORN",
    );
  });

  it("what was decided in a failover is decided again from a recording, and no secret is in it", async () => {
    const before = await product.whole();
    await product.lab.kill(before.master);
    const [first = 0] = before.slaves;
    const { leader } = await product.until(first, ({ leader: now }) => now !== null && now !== before.master);
    const master = leader ?? 0;
    await product.until(master, ({ role, service }) => role === "master" && service.state === "ready");
    const made = await product.quorate(master, "record", "--out", "/tmp/one.gz", "--json");
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(made.stdout)).toMatchObject({ services: 4, missing: [] });
    const replayed = await product.quorate(master, "replay", "/tmp/one.gz");
    expect(replayed.stdout).not.toContain("NOT EQUAL");
    expect(replayed.code).toBe(0);
    for (const service of ["membership", "quorum-evaluator", "failover-actuator", "config-distributor"]) {
      expect(replayed.stdout).toMatch(
        new RegExp(`node ${master} ${service}: \\d+ steps, \\d+ reasons?: equal`),
      );
    }
    const text = gunzipSync(
      Buffer.from(await product.shell(master, "base64 -w0 /tmp/one.gz"), "base64"),
    ).toString();
    expect(text).toContain('"ELECTED"');
    const key = Buffer.from(await product.shell(master, "base64 -w0 /etc/quorate/keys/authkey"), "base64");
    const password = await product.shell(master, "cat /etc/quorate/keys/route-password");
    const bus = JSON.parse(await product.shell(master, "cat /run/quorate/bus.json")) as { password: string };
    const secrets = [
      ...(["base64", "hex", "latin1"] as const).map((form) => key.subarray(0, 24).toString(form)),
      password.trim(),
      bus.password,
    ];
    for (const secret of secrets) expect(text.includes(secret)).toBe(false);
    // Of the whole cluster, from one node: who is down is named.
    const names = product.ids.map(String);
    const all = await product.quorate(master, "record", "--out", "/tmp/all.gz", "--node", ...names);
    expect(all.code).toBe(0);
    expect(all.stdout).toContain("8 services");
    expect(all.stdout).toContain(`not in it: membership of node ${before.master}`);
    expect((await product.quorate(first, "replay", "/tmp/none.gz")).code).toBe(78);
    expect((await product.quorate(master, "replay", "/tmp/all.gz")).code).toBe(0);
    await product.lab.start(before.master);
    await product.whole();
  });
});

const ROOM = "24m";

/** The state folder of every host on a small disk of its own. */
function onSmallDisks(plan: LabPlan): LabPlan {
  const mount = ["mount", "-t", "tmpfs", "-o", `size=${ROOM},mode=0700`, "tmpfs", "/var/lib/quorate"];
  const hosts = plan.hosts.map((host) => ({
    ...host,
    program: { ...host.program, prepare: [mount, ...host.program.prepare] },
  }));
  return { ...plan, hosts };
}

describe("a full disk", { timeout: TEST_LIMIT_MS }, () => {
  const fill = "dd if=/dev/zero of=/var/lib/quorate/filler bs=4k 2>/dev/null || true";
  const free = "rm /var/lib/quorate/filler";

  beforeAll(async () => {
    product = await ProductLab.up("full", DEFAULT_TOPOLOGY, onSmallDisks);
    return () => product.down();
  }, TEST_LIMIT_MS);

  it("of a slave: named, nothing stops, nothing is lost, and all is made up for when there is room", async () => {
    const before = await product.whole();
    const [slave = 0] = before.slaves;
    const observed = (await product.observer()).observe();
    await product.shell(slave, fill);
    await product.until(slave, ({ degraded }) => degraded.some(({ code }) => code === "DISK_FULL"));
    // A change that the full node cannot store is committed by the others.
    const changed = await product.quorate(before.master, "node", "prio", String(slave), "97");
    expect(changed).toMatchObject({ code: 0 });
    const behind = await product.until(
      before.master,
      ({ configuration }) => (configuration.version ?? 0) > before.version,
    );
    const pids = () => product.shell(slave, "cat /run/quorate/pids/*.pid");
    const running = await pids();
    await product.until(slave, ({ degraded }) => degraded.some(({ code }) => code === "DISK_FULL"));
    expect(await pids()).toBe(running);
    await product.shell(slave, free);
    const after = await product.whole();
    expect(after).toMatchObject({ master: before.master, version: behind.configuration.version });
    expect(await pids()).toBe(running);
    // What it promised is on the disk: it comes back with its vote.
    await product.lab.killAll(slave, () => false);
    const again = await product.whole();
    expect(again.version).toBe(after.version);
    expect(await product.shell(slave, "ls /var/lib/quorate")).not.toContain("refused");
    expect(observed.report().dualMs).toBe(0);
    observed.close();
  });

  it("of the master: it goes on serving, and can still hand over once there is room", async () => {
    const { master, term, slaves } = await product.whole();
    await product.shell(master, fill);
    await product.until(master, ({ degraded }) => degraded.some(({ code }) => code === "DISK_FULL"));
    expect(await product.status(master)).toMatchObject({ role: "master", term, clusterIp: { gate: "open" } });
    await product.shell(master, free);
    await product.whole();
    const moved = await product.quorate(master, "master", "move", String(slaves[0]));
    expect(moved.code).toBe(0);
    await product.serves(slaves[0] ?? 0, VIP);
  });
});
