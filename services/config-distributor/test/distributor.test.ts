import { renameSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ConfigRef } from "@quorate/contracts";
import {
  documentDigest,
  parseDocument,
  printDocument,
  readClusterConfig,
  setNodePrio,
  setValue,
} from "@quorate/corosync-conf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CLUSTER, ORIGINAL, TestCluster, type TestNode, until } from "./fixture.ts";

const operator = { code: "operator", message: "The operator wants it so." };

function edited(
  text: string,
  edit: (document: Parameters<typeof printDocument>[0]) => Parameters<typeof printDocument>[0],
) {
  const parsed = parseDocument(text, "test");
  if (!parsed.ok) throw new Error("broken");
  return printDocument(edit(parsed.document));
}

function withPrio(text: string, node: number, prio: number): string {
  return edited(text, (document) => setNodePrio(document, node, prio));
}

function prioOf(text: string, node: number): number | undefined {
  const result = readClusterConfig(text, "test");
  return result.ok ? result.config.nodes.find((entry) => entry.id === node)?.prio : undefined;
}

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start([2, 4, 8]);
  await until("first announcements", () => cluster.nodes.every((node) => node.accepted !== null));
});

afterEach(async () => {
  await cluster.remove();
});

function propose(node: TestNode, base: ConfigRef, text: string) {
  return node.bus.request("config-distributor", "propose", node.id, { base, text, reason: operator }, 8000);
}

describe("a new master", () => {
  it("stamps the document, takes the highest prio, and all nodes fetch it", async () => {
    cluster.elect(2);
    const ref = await cluster.converged(2);
    expect(ref.term).toBe(1);
    for (const node of cluster.nodes) {
      await until("running.conf", () => documentDigest(node.running()) === ref.digest);
      expect(prioOf(node.running(), 2)).toBe(100);
      expect(prioOf(node.running(), 4)).toBe(99);
      // The operator's file follows, mode kept, comments kept.
      await until("the operator's file", () => node.file() === node.running());
      expect(statSync(node.configFile).mode & 0o777).toBe(0o640);
      expect(node.file()).toContain("# the original's\n");
    }
    await until("events of the master", () => cluster.node(2).eventTypes().includes("priority_swapped"));
    await until("events of a slave", () => cluster.node(8).eventTypes().includes("config_fetched"));
    const entries = await cluster
      .node(8)
      .bus.request("config-distributor", "history", 8, { limit: 10 }, 1000);
    expect(
      entries.entries.map((entry) => [entry.ref.term, entry.ref.version, entry.from, entry.reason.code]),
    ).toEqual([
      [1, 2, 2, "MASTERSHIP_STICKS"],
      [1, 1, 2, "RESTAMPED"],
      [0, 1, null, "INIT"],
    ]);
  });

  it("that ranks first already changes nothing but the stamp", async () => {
    cluster.elect(4);
    expect((await cluster.converged(1)).term).toBe(1);
    cluster.elect(4);
    expect((await cluster.converged(1)).term).toBe(2);
    expect(cluster.node(4).running()).toBe(ORIGINAL);
  });

  it("takes no change before its stamp is committed, and does not undo an operator's later prio", async () => {
    cluster.away.add(4).add(8);
    cluster.elect(2);
    await until("stamped", () => cluster.node(2).accepted?.term === 1);
    const base = cluster.node(2).accepted;
    if (base === null) throw new Error("no base");
    const early = propose(cluster.node(2), base, withPrio(ORIGINAL, 8, 500));
    await expect(early).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
    expect(cluster.node(2).accepted?.version).toBe(1);
    cluster.away.clear();
    const swapped = await cluster.converged(2);
    await propose(cluster.node(2), swapped, withPrio(cluster.node(2).running(), 8, 500));
    await cluster.converged(3);
    // Even with its term lifted and its process restarted the master leaves the operator's act alone.
    cluster.term += 1;
    cluster.committed = null;
    await cluster.converged(3);
    await cluster.node(2).stop();
    await cluster.node(2).start();
    cluster.term += 1;
    cluster.committed = null;
    expect((await cluster.converged(3)).term).toBe(3);
    expect(prioOf(cluster.node(2).running(), 8)).toBe(500);
  });
});

describe("a change", () => {
  beforeEach(async () => {
    cluster.elect(4);
    await cluster.converged(1);
  });

  it("asked of any node is committed by the master, numbered by it, and reaches all", async () => {
    const base = await cluster.converged(1);
    const { ref } = await propose(cluster.node(8), base, withPrio(ORIGINAL, 8, 50));
    expect(ref).toMatchObject({ term: 1, version: 2 });
    await cluster.converged(2);
    for (const node of cluster.nodes) {
      expect(node.running()).toContain("config_version: 2");
      expect(prioOf(node.running(), 8)).toBe(50);
    }
    // Once more the same: nothing to do.
    const again = await propose(cluster.node(2), ref, cluster.node(2).running());
    expect(again.ref).toEqual(ref);
  });

  it("against an older document is refused, and one that is broken, with its place", async () => {
    const base = await cluster.converged(1);
    await propose(cluster.node(4), base, withPrio(ORIGINAL, 8, 50));
    await cluster.converged(2);
    await expect(propose(cluster.node(2), base, withPrio(ORIGINAL, 8, 60))).rejects.toMatchObject({
      code: "CONFIG_STALE",
    });
    const present = await cluster.converged(2);
    const broken = cluster.node(4).running().replace("nodeid: 8", "nodeid: acht");
    await expect(propose(cluster.node(2), present, broken)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/:\d+:\d+: /) as string,
    });
    await expect(propose(cluster.node(2), present, "totem {\n")).rejects.toMatchObject({
      code: "CONFIG_SYNTAX",
    });
    const other = edited(cluster.node(4).running(), (document) =>
      setValue(document, ["totem", "cluster_name"], "Other"),
    );
    await expect(propose(cluster.node(2), present, other)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect((await cluster.node(4).status()).stored.version).toBe(2);
  });

  it("without a master, or without quorum, is refused and says so", async () => {
    const base = await cluster.converged(1);
    cluster.part = { quorate: "yes" };
    cluster.elect(null);
    await until("told", () => cluster.nodes.every((node) => node.accepted !== null));
    await expect(propose(cluster.node(2), base, withPrio(ORIGINAL, 8, 50))).rejects.toMatchObject({
      code: "NOT_MASTER",
    });
    cluster.part = {};
    cluster.elect(null);
    await expect(propose(cluster.node(2), base, withPrio(ORIGINAL, 8, 50))).rejects.toMatchObject({
      code: "NOT_QUORATE",
    });
  });

  it("that the disk does not take is refused, the node says it is degraded, and recovers by itself", async () => {
    const base = await cluster.converged(1);
    const master = cluster.node(4);
    const history = join(master.stateDir, "config", "history");
    renameSync(history, `${history}-away`);
    await expect(propose(master, base, withPrio(ORIGINAL, 8, 50))).rejects.toMatchObject({
      code: "DISK_FULL",
    });
    const degraded = await master.status();
    expect(degraded.stored.version).toBe(1);
    expect(degraded.problems.map((problem) => problem.code)).toContain("DISK_FULL");
    expect(master.eventTypes()).toContain("store_failed");
    renameSync(`${history}-away`, history);
    await propose(master, base, withPrio(ORIGINAL, 8, 50));
    await cluster.converged(2);
    expect((await master.status()).problems).toEqual([]);
    await until("told", () => master.eventTypes().includes("store_recovered"));
  });

  it("of the node list has the routes of the local nats-server rendered anew and loaded", async () => {
    const base = await cluster.converged(1);
    const conf = join(cluster.node(2).runDir, "nats-server.conf");
    await until("routes", () => readFileSync(conf, "utf8").includes("172.31.223.48"));
    const wider = edited(ORIGINAL, (document) => setValue(document, ["quorum", "expected_votes"], "4"));
    const text = wider.replace(
      /\}\n$/,
      "\tnode {\n\t\tring0_addr: 172.31.223.49\n\t\tnodeid: 9\n\t\tprio: 1\n\t}\n}\n",
    );
    const before = cluster.node(2).natsLog.split("Reload").length;
    await propose(cluster.node(8), base, text);
    await cluster.converged(2);
    await until("new routes", () => readFileSync(conf, "utf8").includes("172.31.223.49"));
    await until("SIGHUP", () => cluster.node(2).natsLog.split("Reload").length > before);
  });
});

describe("a node that was away", () => {
  it("catches up when it returns, whatever it missed", async () => {
    cluster.elect(2);
    await cluster.converged(2);
    const late = cluster.node(8);
    await late.stop();
    cluster.away.add(8);
    const base = await cluster.converged(2);
    const { ref } = await propose(cluster.node(2), base, withPrio(cluster.node(2).running(), 8, 7));
    await cluster.converged(3);
    cluster.elect(4);
    await cluster.converged(4);
    expect(prioOf(late.running(), 8)).toBe(98);
    cluster.away.clear();
    await late.start();
    await cluster.converged(4);
    expect(ref.version).toBe(3);
    expect(prioOf(late.running(), 8)).toBe(7);
    expect(prioOf(late.running(), 4)).toBe(100);
    await until("its file", () => late.file() === late.running());
  });

  it("drops what it alone had stored and no quorum had", async () => {
    cluster.elect(2);
    await cluster.converged(2);
    cluster.away.add(4).add(8);
    const base = cluster.node(2).accepted;
    if (base === null) throw new Error("no base");
    const lost = propose(cluster.node(2), base, withPrio(cluster.node(2).running(), 8, 77)).catch(
      (error: unknown) => error,
    );
    await until("stored by the old master", () => cluster.node(2).accepted?.version === 3);
    // It is cut off; the others go on without it.
    cluster.away.clear();
    cluster.away.add(2);
    cluster.elect(4);
    await until("version 3 of the new master", () => cluster.committed?.version === 3);
    cluster.away.clear();
    const ref = await cluster.converged(3);
    expect(ref.term).toBe(2);
    expect(await lost).toMatchObject({ code: "CONFIG_STALE" });
    expect(prioOf(cluster.node(2).running(), 8)).toBe(98);
    expect(prioOf(cluster.node(2).running(), 4)).toBe(100);
  });
});

describe("a document that does not fit", () => {
  it("is refused with its reason, the running one stays, and a good one is taken afterwards", async () => {
    // Node 4 leads, but what answers for its distributor is a script.
    const leader = cluster.node(4);
    await leader.stop();
    const good = withPrio(ORIGINAL, 8, 50).replace("config_version: 1", "config_version: 2");
    const bad: Array<{ code: string; ref: ConfigRef; text: string }> = [
      { code: "DIGEST_MISMATCH", ref: { term: 1, version: 2, digest: "0".repeat(64) }, text: good },
      ...[
        ["CONFIG_SYNTAX", "totem {\n"],
        ["VERSION_MISMATCH", ORIGINAL],
        ["FOREIGN_CLUSTER", good.replace(`cluster_name: ${CLUSTER}`, "cluster_name: Other")],
      ].map(([code = "", text = ""], index) => ({
        code,
        ref: { term: 1, version: 3 + index, digest: documentDigest(text) },
        text,
      })),
    ];
    let offered = bad[0];
    leader.bus.serve("config-distributor", "get", () => ({
      ref: offered?.ref ?? { term: 1, version: 9, digest: documentDigest(good) },
      text: offered?.text ?? good,
      reason: operator,
    }));
    cluster.elect(4);
    const node = cluster.node(8);
    for (const entry of bad) {
      offered = entry;
      leader.accepted = entry.ref;
      await until(entry.code, () => node.events.some((event) => event.data.reason === entry.code));
      expect(node.running()).toBe(ORIGINAL);
    }
    expect((await node.status()).problems[0]?.code).toBe("FOREIGN_CLUSTER");
    const last = good.replace("config_version: 2", "config_version: 9");
    offered = { code: "", ref: { term: 1, version: 9, digest: documentDigest(last) }, text: last };
    leader.accepted = offered.ref;
    await until("the good one", () => node.running() === last);
    expect((await node.status()).problems).toEqual([]);
  });
});

describe("the operator's file", () => {
  beforeEach(async () => {
    cluster.elect(4);
    await cluster.converged(1);
  });

  it("broken by hand is named with its place and left alone; the running one stays", async () => {
    const node = cluster.node(8);
    const broken = ORIGINAL.replace("nodeid: 8", "nodeid: acht");
    writeFileSync(node.configFile, broken);
    await until("noticed", () => node.eventTypes().includes("file_differs"));
    const { fileNote } = await node.status();
    expect(fileNote?.code).toBe("FILE_BROKEN");
    expect(fileNote?.message).toMatch(/cluster\.conf:\d+:\d+: /);
    const base = await cluster.converged(1);
    await propose(cluster.node(4), base, withPrio(ORIGINAL, 2, 5));
    await cluster.converged(2);
    await until("others", () => cluster.node(2).file() === cluster.node(2).running());
    expect(node.file()).toBe(broken);
  });

  it("edited by hand is offered as the next version, and follows once it is applied", async () => {
    const node = cluster.node(8);
    const wanted = withPrio(ORIGINAL, 2, 77);
    // As editors do it: a new file in the place of the old one.
    writeFileSync(`${node.configFile}.new`, wanted);
    renameSync(`${node.configFile}.new`, node.configFile);
    await until("noticed", () => node.eventTypes().includes("file_differs"));
    const { fileNote, committed } = await node.status();
    expect(fileNote).toMatchObject({ code: "FILE_OFFERED" });
    expect(fileNote?.message).toContain(`quorate config apply ${node.configFile}`);
    expect(node.running()).toBe(ORIGINAL);
    if (committed === null) throw new Error("nothing committed");
    await propose(node, committed, wanted);
    await cluster.converged(2);
    await until("the file has its number", () => node.file() === node.running());
    expect(prioOf(node.file(), 2)).toBe(77);
    expect((await node.status()).fileNote).toBeNull();
  });

  it("that was removed comes back", async () => {
    const node = cluster.node(2);
    unlinkSync(node.configFile);
    await until("back", () => {
      try {
        return node.file() === ORIGINAL;
      } catch {
        return false;
      }
    });
  });
});

describe("the doors", () => {
  it("answer what has not the form with a failure, and go on", async () => {
    const bodies: unknown[] = [
      "",
      null,
      [],
      { term: -1 },
      { limit: 1e9 },
      { base: 1, text: [] },
      { term: "1", ref: {} },
    ];
    for (const verb of ["get", "propose", "history"] as const) {
      for (const body of bodies) {
        const asked = cluster.node(4).bus.request("config-distributor", verb, 2, body as never, 1000);
        await expect(asked).rejects.toMatchObject({ code: "MESSAGE_INVALID" });
      }
    }
    const newer = { term: 0, version: 99, digest: "0".repeat(64) };
    await expect(
      cluster.node(4).bus.request("config-distributor", "get", 2, { term: 0, ref: newer }, 1000),
    ).rejects.toMatchObject({ code: "CONFIG_STALE" });
    expect((await cluster.node(2).status()).stored.version).toBe(1);
  });
});
