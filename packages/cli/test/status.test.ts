import type { PeersMessage, QuorumMessage, ReportMessage } from "@quorate/contracts";
import { initialState } from "@quorate/core-quorum";
import { describe, expect, it } from "vitest";
import { parseConfiguration } from "../src/configuration-file.ts";
import type { Said, Snapshot } from "../src/snapshot.ts";
import { statusOf } from "../src/status.ts";
import { statusText } from "../src/status-text.ts";
import { CLUSTER_CONF } from "./fixture.ts";

const NOW_US = 100_000_000;
const ref = { term: 7, version: 3, digest: "ab".repeat(32) };
const reason = { code: "MASTER", message: "Master of term 7, acknowledged by a quorum." };
const bootId = "0123456789abcdef";

function says<Value>(value: Value, ageMs: number): Said<Value> {
  return { value, ageMs, problem: "" };
}
const silent = { value: null, ageMs: null, problem: "Nobody answers." };

const quorum: QuorumMessage = {
  stampUs: NOW_US - 100_000,
  node: 4,
  bootId,
  term: 7,
  role: "master",
  leader: 4,
  masterLeaseEndUs: NOW_US + 930_000,
  nodeLeaseEndUs: NOW_US + 940_000,
  promise: null,
  view: { term: 7, number: 2, members: [2, 4, 8].map((node) => ({ node, bootId })) },
  out: false,
  amnesic: false,
  votes: { total: 3, quorum: 2, present: 3 },
  quorate: "yes",
  fences: [],
  stored: ref,
  committed: ref,
  joint: false,
  disarmedUntil: null,
  readmit: [],
  problems: [],
  reason,
};

const peers: PeersMessage = {
  stampUs: NOW_US - 50_000,
  node: 4,
  bootId,
  incarnation: 5,
  patience: 1,
  peers: [2, 8].map((node) => ({
    node,
    state: "joined" as const,
    sinceUs: NOW_US - 60_000_000,
    lastHeardUs: NOW_US - 40_000,
    bootId,
    incarnation: 3,
    config: ref,
    links: [{ ring: 0, hears: true, heard: true, lossPercent: 0 }],
    reason: { code: "HEARD", message: "Heard in both directions." },
  })),
};

const report: ReportMessage = {
  stampUs: NOW_US - 20_000,
  term: 7,
  generation: 1,
  gate: "open",
  shutConfirmed: null,
  able: { ok: true, code: "", message: "" },
  cleanUnderTerm: 7,
  address: "present",
  service: "ready",
  problems: [],
  guarantees: [
    { name: "kernel gate", inForce: true, detail: "" },
    { name: "hardware watchdog", inForce: false, detail: "Not configured." },
  ],
};

function snapshot(parts: Partial<Snapshot> = {}): Snapshot {
  return {
    nodeId: 4,
    clusterName: "VMmanager",
    stateDir: "/state",
    runDir: "/run",
    nowUs: NOW_US,
    wallClock: new Date("2026-11-22T12:00:00Z"),
    busAnswers: true,
    quorum: says(quorum, 100),
    peers: says({ message: peers, counters: {}, problems: [] }, 50),
    report: says(report, 20),
    distributor: says({ stored: ref, committed: ref, fileNote: null, text: CLUSTER_CONF, problems: [] }, 0),
    machines: null,
    durable: { value: null, ageMs: null, problem: "" },
    refusedFiles: [],
    stateRoomBytes: 1e9,
    journal: { answers: true, problem: null },
    crashes: [],
    config: parseConfiguration(CLUSTER_CONF, "cluster.conf").config,
    configText: CLUSTER_CONF,
    configSource: "config-distributor",
    configAgeMs: 0,
    ...parts,
  };
}

describe("quorate status", () => {
  it("says all in one sentence, then the parts", () => {
    expect(statusText(statusOf(snapshot()))).toBe(
      `VMmanager: node 4 (172.31.223.47), this one, is master of term 7 and holds 172.31.223.100, 3 of 3 nodes joined; nothing is degraded.

 VMmanager-cloud node list
 =============================================================
         Id               Ip    Status  Master/Slave  Priority
          2    172.31.223.46    joined             S        99
          4    172.31.223.47    joined             M       100
          8    172.31.223.48    joined             S        98

This node      4, master; view 7.2
Votes          3 of 3 present, 2 needed; quorate: yes
Leases         master 0.93 s left, node 0.94 s left
Configuration  version 3 (term 7), committed, digest abababababab
Cluster IP     172.31.223.100/24 on vmbr0
               here: present, gate open
Service        ready here (port 1500)
Why            Master of term 7, acknowledged by a quorum.
Degraded       nothing
Guarantees     kernel gate: in force
               hardware watchdog: NOT in force (Not configured.)
Age of this    quorum 0.10 s, peers 0.05 s, report 0.02 s, configuration 0.00 s
`,
    );
  });

  it("holds as JSON what scripts ask for", () => {
    expect(statusOf(snapshot())).toMatchObject({
      node: { id: 4, address: "172.31.223.47" },
      role: "master",
      leader: 4,
      term: 7,
      configuration: { version: 3, term: 7, digest: ref.digest, committed: true },
      peers: [
        { id: 2, state: "joined", lastHeardMs: 40 },
        { id: 8, state: "joined" },
      ],
      degraded: [],
      guarantees: [{ inForce: true }, { inForce: false }],
      clusterIp: { state: "present", gate: "open" },
      service: { state: "ready", ports: [1500] },
      ages: { quorum: 100, peers: 50, report: 20, configuration: 0 },
    });
  });

  it("names a node without quorum suspended, and those that are away", () => {
    const away = peers.peers.map((peer) => ({
      ...peer,
      state: "failed" as const,
      reason: {
        code: "silent",
        message: `Node ${peer.node} has been silent for longer than the token of 1000 ms.`,
      },
    }));
    const status = statusOf(
      snapshot({
        quorum: says(
          {
            ...quorum,
            role: "suspended",
            leader: null,
            quorate: "no",
            masterLeaseEndUs: 0,
            nodeLeaseEndUs: 0,
          },
          100,
        ),
        peers: says({ message: { ...peers, peers: away }, counters: {}, problems: [] }, 50),
      }),
    );
    expect(status.summary).toContain("node 4 has no quorum and is suspended in term 7, 1 of 3 nodes joined");
    expect(status.nodes.map(({ state, letter }) => `${state} ${letter}`)).toEqual([
      "failed -",
      "suspended S",
      "failed -",
    ]);
    expect(status.degraded.map(({ code }) => code)).toEqual(["suspended", "peer_away", "peer_away"]);
    expect(status.degraded[1]?.message).toBe(
      "Node 2 (172.31.223.46) is failed: Node 2 has been silent for longer than the token of 1000 ms.",
    );
    expect(status.leases).toEqual({ masterMs: null, nodeMs: null, promise: null });
  });

  it("shows the state folder and its age when nobody answers", () => {
    const config = parseConfiguration(CLUSTER_CONF, "cluster.conf").config;
    const status = statusOf(
      snapshot({
        busAnswers: false,
        quorum: silent,
        peers: silent,
        report: silent,
        distributor: silent,
        durable: says({ ...initialState(config, ref, 4), term: 9, follows: 2, overTerm: 8 }, 3_600_000),
        configSource: "file",
        configAgeMs: 7_200_000,
        config,
      }),
    );
    expect(status.role).toBe("unknown");
    expect(status.term).toBe(9);
    expect(status.configuration).toMatchObject({ version: 3, committed: false, source: "file" });
    expect(status.degraded.map(({ code }) => code)).toEqual(["bus_down"]);
    expect(statusText(status)).toContain(
      "Age of this    quorum silent, peers silent, report silent, configuration 2 h, state file 60 min",
    );
  });

  it("says which service is silent or old, that automation is off, and what the file asks for in vain", () => {
    const config = parseConfiguration(CLUSTER_CONF, "cluster.conf").config;
    const status = statusOf(
      snapshot({
        report: silent,
        quorum: says({ ...quorum, disarmedUntil: "2026-11-22T12:30:00Z" }, 9000),
        config: {
          ...config,
          notHonoured: [
            {
              key: "quorum.wait_for_all",
              line: 1,
              column: 1,
              dangerous: false,
              message: "wait_for_all.",
              hint: "",
            },
          ],
        },
      }),
    );
    expect(status.degraded.map(({ code }) => code)).toEqual([
      "service_old",
      "service_silent",
      "disarmed",
      "not_honoured",
    ]);
    expect(status.disarmedUntil).toBe("2026-11-22T12:30:00Z");
  });

  it("names a node that is drained until its time is over", () => {
    const { config } = parseConfiguration(CLUSTER_CONF, "cluster.conf");
    const drained = (maintenanceUntil: string) => {
      const nodes = config.nodes.map((node) => (node.id === 8 ? { ...node, maintenanceUntil } : node));
      return statusOf(snapshot({ config: { ...config, nodes } })).degraded;
    };
    const [line] = drained("2099-01-01T00:00:00Z").filter(({ code }) => code === "drained");
    expect(line?.message).toContain("Node 8 is drained until 2099-01-01T00:00:00Z");
    expect(drained("2020-01-01T00:00:00Z").filter(({ code }) => code === "drained")).toEqual([]);
  });

  it("names a ring that is lost while another one carries on", () => {
    const up = { ring: 0, hears: true, heard: true, lossPercent: 0 };
    const links = [
      [up, { ring: 1, hears: false, heard: true, lossPercent: 100 }],
      [up, { ring: 1, hears: true, heard: false, lossPercent: 0 }],
    ];
    const half = peers.peers.map((peer, index) => ({ ...peer, links: links[index] ?? [] }));
    const { config } = parseConfiguration(
      CLUSTER_CONF.replaceAll(
        /ring0_addr: 172\.31\.223\.(\d+)/g,
        "ring0_addr: 172.31.223.$1\n\t\tring1_addr: 10.1.0.$1",
      ),
      "cluster.conf",
    );
    const status = statusOf(
      snapshot({
        config,
        peers: says({ message: { ...peers, peers: half }, counters: {}, problems: [] }, 50),
      }),
    );
    expect(status.degraded).toEqual([
      {
        code: "link_down",
        message: "Ring 1 to node 2 (10.1.0.46) is down (not heard); ring 0 carries on.",
        facts: { node: 2, ring: 1 },
      },
      {
        code: "link_down",
        message: "Ring 1 to node 8 (10.1.0.48) is down (not answered); ring 0 carries on.",
        facts: { node: 8, ring: 1 },
      },
    ]);
  });

  it("shows what membership finds wrong and what it refused", () => {
    const taken = { code: "PORT_TAKEN", message: "UDP port 5405 is taken.", facts: { ring: 0 } };
    const counters = { refused_replayed: 3, refused_foreign_key: 0, heartbeats_sent: 9 };
    const status = statusOf(snapshot({ peers: says({ message: peers, counters, problems: [taken] }, 50) }));
    expect(status.degraded).toEqual([taken]);
    expect(status.refused).toEqual({ refused_replayed: 3 });
    expect(statusOf(snapshot({ peers: silent })).refused).toBeNull();
  });

  it("says a thing once, in the words that know the remedy, and two things of one code twice", () => {
    const message = "vmbr0 has no link.";
    const known = { code: "NO_CARRIER", message, facts: { remedy: "Check the cable." } };
    const off = { code: "DISARMED", message: "Off.", facts: { remedy: "quorate arm" } };
    const amnesic = { code: "AMNESIC", message: "This node lost its state." };
    const other = { ...known, message: "vmbr1 has no link." };
    const status = statusOf(
      snapshot({
        quorum: says(
          {
            ...quorum,
            amnesic: true,
            disarmedUntil: "2026-11-22T12:30:00Z",
            problems: [amnesic, { code: "NO_CARRIER", message }],
          },
          100,
        ),
        report: says({ ...report, problems: [known, other, off] }, 20),
      }),
    );
    expect(status.degraded).toEqual([amnesic, known, other, off]);
  });

  it("names a disk that is nearly full, once", () => {
    const { degraded } = statusOf(snapshot({ stateRoomBytes: 4096 }));
    expect(degraded).toMatchObject([
      { code: "DISK_FULL", message: expect.stringContaining("/state has 4 KB left") },
    ]);
    const said = { code: "DISK_FULL", message: "The disk refuses it." };
    const own = snapshot({ stateRoomBytes: 0, quorum: says({ ...quorum, problems: [said] }, 0) });
    expect(statusOf(own).degraded).toEqual([said]);
    expect(statusOf(snapshot({ stateRoomBytes: null })).degraded).toEqual([]);
  });

  it("names what a service left that ended by an error of its own, one line for each", () => {
    const left = (service: string, name: string) => ({ service, path: `/state/crash/${name}`, atMs: 0 });
    const { degraded } = statusOf(
      snapshot({
        crashes: [left("membership", "m1"), left("membership", "m2"), left("quorum-evaluator", "q")],
      }),
    );
    expect(degraded).toMatchObject([
      { code: "crash_recorded", facts: { service: "membership", path: "/state/crash/m1" } },
      { code: "crash_recorded", facts: { service: "quorum-evaluator" } },
    ]);
    expect(degraded[0]?.message).toContain("2 recordings");
    expect(degraded[0]?.facts?.["remedy"]).toContain("rm /state/crash/m1 /state/crash/m2");
  });

  it("names a journal that cannot write, and one that is not there", () => {
    const full = snapshot({ journal: { answers: true, problem: "database or disk is full" } });
    expect(statusOf(full).degraded).toMatchObject([
      {
        code: "journal_not_written",
        message: expect.stringContaining("database or disk is full"),
        facts: { remedy: expect.stringContaining("/state") },
      },
    ]);
    const away = { answers: false, problem: "the journal service does not run" };
    expect(statusOf(snapshot({ journal: away })).degraded).toMatchObject([
      { code: "service_silent", facts: { service: "journal" } },
    ]);
    const down = statusOf(snapshot({ journal: away, busAnswers: false })).degraded;
    expect(down.filter(({ facts }) => facts?.["service"] === "journal")).toEqual([]);
  });

  it("names a state file that was refused, and the remedy", () => {
    const path = "/state/evaluator.json.refused";
    const message = "/state/evaluator.json ends in the middle.";
    const { degraded } = statusOf(
      snapshot({ refusedFiles: [{ path, code: "STATE_TORN", message, atMs: 0 }] }),
    );
    expect(degraded).toMatchObject([
      { code: "STATE_REFUSED", message: expect.stringContaining(message), facts: { why: "STATE_TORN" } },
    ]);
    expect(degraded[0]?.facts?.["remedy"]).toContain(`rm ${path}`);
  });

  it("says nothing of a node's own state while its evaluator is silent", () => {
    const own = statusOf(snapshot({ quorum: silent })).nodes.find(({ isLocal }) => isLocal);
    expect(own).toMatchObject({ state: "unknown", letter: "-", isMember: false });
  });
});
