import { ClusterConfigSchema } from "@quorate/contracts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ReadConfig } from "../src/index.ts";
import {
  dangerousEntries,
  formatDiagnostic,
  readClusterConfig,
  renderCheck,
  shownValues,
  timingOf,
} from "../src/index.ts";
import { isSafeToken, outlivesRestart, TOKEN_MINIMUM_MS, TOKEN_RESTART_MS } from "../src/timing.ts";
import { corpus } from "./corpus.ts";

function read(text: string): ReadConfig {
  const result = readClusterConfig(text, "f");
  if (!result.ok) throw new Error(result.diagnostics.map(formatDiagnostic).join("\n"));
  return result;
}

function nodelist(count: number, ...extra: string[]): string {
  const node = (id: number): string =>
    ` node {\n  nodeid: ${id}\n  ring0_addr: 10.0.0.${id}\n${extra[id - 1] ?? ""} }\n`;
  return `nodelist {\n${Array.from({ length: count }, (_, index) => node(index + 1)).join("")}}\n`;
}

test("every accepted file of the corpus has the agreed form", () => {
  for (const { name, text } of corpus()) {
    const result = readClusterConfig(text, name);
    if (result.ok) expect(ClusterConfigSchema.parse(result.config)).toEqual(result.config);
  }
});

test("three nodes are enough: everything else has a default", () => {
  expect(read(nodelist(3)).config).toEqual({
    clusterName: "quorate",
    configVersion: 0,
    tokenMs: 1000,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: 3,
    quorumVotes: 2,
    ihttpdPorts: [],
    nodes: [1, 2, 3].map((id) => ({ id, addresses: [`10.0.0.${id}`], prio: 1, replication: true, votes: 1 })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 5407,
    notHonoured: [],
  });
});

test("the original's file works as it is", () => {
  const file = corpus().find(({ name }) => name === "vmmanager-original.conf");
  expect(read(file?.text ?? "").config).toMatchObject({
    clusterName: "VMmanager",
    configVersion: 1,
    transport: "udp",
    rings: [{ ring: 0, bindnetaddr: "172.31.223.47", mcastaddr: "239.255.1.1", mcastport: 5405, ttl: 1 }],
    totalVotes: 3,
    ihttpdPorts: [1500],
    nodes: [
      { id: 2, addresses: ["172.31.223.46"], prio: 99, replication: true, votes: 1 },
      { id: 4, prio: 100 },
      { id: 8, prio: 98 },
    ],
  });
});

describe("transport", () => {
  const withTotem = (...lines: string[]): string =>
    `${nodelist(3)}totem {\n${lines.map((line) => `${line}\n`).join("")}}\n`;
  const multicast = ["interface {", "mcastaddr: 239.1.1.1", "}"];

  test.each([
    { name: "nothing said", lines: [], transport: "udpu", mcastaddr: undefined },
    { name: "a multicast address", lines: multicast, transport: "udp", mcastaddr: "239.1.1.1" },
    {
      name: "transport wins over the address",
      lines: ["transport: udpu", ...multicast],
      transport: "udpu",
      mcastaddr: undefined,
    },
    { name: "knet", lines: ["transport: knet"], transport: "knet", mcastaddr: undefined },
    // 'n' * 2 + 'a' = 317 = 0x013d: corosync's rule for a name.
    {
      name: "udp without an address",
      lines: ["transport: udp", "cluster_name: na"],
      transport: "udp",
      mcastaddr: "239.192.1.62",
    },
  ])("$name", ({ lines, transport, mcastaddr }) => {
    const { config } = read(withTotem(...lines));
    expect(config.transport).toBe(transport);
    expect(config.rings[0]?.mcastaddr).toBe(mcastaddr);
  });

  test("further rings get their own section, port and derived address", () => {
    const rings = nodelist(3, ...[1, 2, 3].map((id) => `  ring1_addr: fd00::${id}\n`));
    const { config } = read(
      `${rings}totem {\ntransport: udp\ncluster_name: na\ninterface {\nlinknumber: 1\nmcastport: 5500\n}\n}\n`,
    );
    expect(config.rings).toEqual([
      { ring: 0, mcastaddr: "239.192.1.62", mcastport: 5405, ttl: 1 },
      { ring: 1, mcastaddr: "ff15::13e", mcastport: 5500, ttl: 1 },
    ]);
  });
});

describe("votes", () => {
  const quorumWith = (...lines: string[]): string =>
    `quorum {\n${lines.map((line) => `${line}\n`).join("")}}\n`;

  test("expected_votes is never below the sum", () => {
    const result = read(`${quorumWith("expected_votes: 2")}${nodelist(5)}`);
    expect(result.config).toMatchObject({ totalVotes: 5, quorumVotes: 3 });
    expect(result.warnings.map(formatDiagnostic)).toContain(
      `f:2:17: note: "expected_votes" 2 is below the sum of the nodes' votes; 5 is used: two sides could each have a quorum of fewer`,
    );
  });

  test("expected_votes above the sum makes the quorum larger", () => {
    expect(read(`${quorumWith("expected_votes: 4")}${nodelist(3)}`).config).toMatchObject({
      totalVotes: 4,
      quorumVotes: 3,
    });
  });

  test("quorum.votes is the default of quorum_votes", () => {
    const { config } = read(`${quorumWith("votes: 2")}${nodelist(3, "  quorum_votes: 3\n")}`);
    expect(config.nodes.map((node) => node.votes)).toEqual([3, 2, 2]);
    expect(config).toMatchObject({ totalVotes: 7, quorumVotes: 4 });
  });

  test("two quorums always share a vote", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 1, max: 40 }),
        (votes, expected) => {
          const lines = votes.map((count) => `  quorum_votes: ${count}\n`);
          const result = readClusterConfig(
            `${quorumWith(`expected_votes: ${expected}`)}${nodelist(votes.length, ...lines)}`,
            "f",
          );
          const sum = votes.reduce((total, count) => total + count, 0);
          if (!result.ok) {
            expect(sum).toBeLessThanOrEqual(Math.max(sum, expected, 1) / 2);
            return;
          }
          expect(result.config.quorumVotes * 2).toBeGreaterThan(sum);
          expect(result.config.quorumVotes).toBeLessThanOrEqual(sum);
        },
      ),
    );
  });

  test("the death of one node that stops all is said, at the node", () => {
    const { warnings } = read(nodelist(3, "  quorum_votes: 3\n"));
    expect(warnings.map(formatDiagnostic).filter((line) => line.includes("stops all"))).toEqual([
      "f:3:11: warning: without node 1 the others have 2 of 5 votes, and the quorum is 3: its death stops all; spread the votes so that any one node may die, or lower expected_votes",
    ]);
    expect(read(nodelist(2)).warnings.map(formatDiagnostic)).toContain(
      "f:3:11: warning: there are two nodes and no third voter: the death of one stops the other too; add a third voter; a node with prio: 0 on any small machine votes and never leads",
    );
  });
});

describe("what corosync would do and we don't", () => {
  const inQuorum = (line: string): string => `quorum {\n\t${line}\n}\n`;
  const device = "quorum {\n\tdevice {\n\t\tmodel: net\n\t\tvotes: 1\n\t}\n}\n";

  test.each([
    { text: inQuorum("two_node: 1"), count: 2, key: "quorum.two_node", line: 2, column: 12, dangerous: true },
    {
      text: inQuorum("two_node: yes"),
      count: 3,
      key: "quorum.two_node",
      line: 2,
      column: 12,
      dangerous: false,
    },
    {
      text: inQuorum("wait_for_all: 1"),
      count: 2,
      key: "quorum.wait_for_all",
      line: 2,
      column: 16,
      dangerous: false,
    },
    {
      text: inQuorum("auto_tie_breaker: 1"),
      count: 2,
      key: "quorum.auto_tie_breaker",
      line: 2,
      column: 20,
      dangerous: true,
    },
    {
      text: inQuorum("auto_tie_breaker: on"),
      count: 4,
      key: "quorum.auto_tie_breaker",
      line: 2,
      column: 20,
      dangerous: false,
    },
    {
      text: inQuorum("last_man_standing: 1"),
      count: 3,
      key: "quorum.last_man_standing",
      line: 2,
      column: 21,
      dangerous: false,
    },
    {
      text: inQuorum("allow_downscale: 1"),
      count: 3,
      key: "quorum.allow_downscale",
      line: 2,
      column: 19,
      dangerous: false,
    },
    {
      text: inQuorum("expected_votes_tracking: 1"),
      count: 3,
      key: "quorum.expected_votes_tracking",
      line: 2,
      column: 27,
      dangerous: false,
    },
    { text: device, count: 2, key: "quorum.device", line: 2, column: 2, dangerous: true },
    { text: device, count: 3, key: "quorum.device", line: 2, column: 2, dangerous: false },
    {
      text: "resources {\n\twatchdog_device: /dev/watchdog\n}\n",
      count: 3,
      key: "resources.watchdog_device",
      line: 2,
      column: 19,
      dangerous: false,
    },
    { text: "nozzle {\n\tname: a\n}\n", count: 3, key: "nozzle", line: 1, column: 1, dangerous: false },
  ])(
    "$key with $count nodes is named, dangerous: $dangerous",
    ({ text, count, key, line, column, dangerous }) => {
      const result = read(`${text}${nodelist(count)}`);
      expect(result.config.notHonoured).toEqual([
        { key, line, column, dangerous, message: expect.any(String), hint: expect.any(String) },
      ]);
      expect(dangerousEntries(result.config)).toHaveLength(dangerous ? 1 : 0);
      const { text: report, exitCode } = renderCheck("f", result);
      expect(report).toContain(`f:${line}:${column}: ${dangerous ? "dangerous" : "warning"}: `);
      expect(exitCode).toBe(dangerous ? 78 : 0);
    },
  );

  test.each(["two_node: 0", "wait_for_all: no", "auto_tie_breaker: off", "last_man_standing: 0"])(
    "%s asks for nothing",
    (line) => {
      expect(read(`${inQuorum(line)}${nodelist(2)}`).config.notHonoured).toEqual([]);
    },
  );

  test("it is also named in a file that is refused", () => {
    const result = readClusterConfig(`${inQuorum("two_node: 1")}totem {\ntoken: x\n}\n${nodelist(2)}`, "f");
    expect(renderCheck("f", result).text).toContain("f:2:12: dangerous: two_node is not honoured");
  });
});

describe("timing", () => {
  test("102 ms is the smallest token, and 654 the smallest that outlives a restart of ours", () => {
    expect([TOKEN_MINIMUM_MS, TOKEN_RESTART_MS]).toEqual([102, 654]);
    expect(read(`${nodelist(3)}totem {\ntoken: 102\n}\n`).config.tokenMs).toBe(102);
  });

  test("whoever accepts a token accepts every larger one, so that the smallest is the smallest", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600_000 }), (tokenMs) => {
        expect(isSafeToken(tokenMs)).toBe(tokenMs >= TOKEN_MINIMUM_MS);
        expect(outlivesRestart(tokenMs)).toBe(tokenMs >= TOKEN_RESTART_MS);
        const { leaseMs, heartbeatMs, permitMs } = timingOf(tokenMs);
        const worstCase = 2 * heartbeatMs + 2 * heartbeatMs + permitMs + permitMs + 20;
        if (isSafeToken(tokenMs)) expect(leaseMs).toBeGreaterThanOrEqual(worstCase);
      }),
    );
  });
});

test("a service and its addresses are read in every spelling", () => {
  const { config } = read(
    `${nodelist(3)}cluster_ip {\naddress: 10.0.9.9\n}\ncluster_ip {\naddress: FD00::9\ndevice: br0\nprefix: 64\n}\ncluster_ip {\naddress: 10.0.9.10\nCloudIpDev: br1\nCloudMask: 255.255.254.0\n}\nmanaged_service {\ncommand: /bin/sleep 1 # all of it\n}\n`,
  );
  expect(config.clusterIps).toEqual([
    { address: "10.0.9.9", family: 4, device: "vmbr0", prefixLength: 32 },
    { address: "fd00::9", family: 6, device: "br0", prefixLength: 64 },
    { address: "10.0.9.10", family: 4, device: "br1", prefixLength: 23 },
  ]);
  expect(config.managedService).toEqual({
    kind: "command",
    command: "/bin/sleep 1 # all of it",
    startTimeoutMs: 30_000,
    stopTimeoutMs: 10_000,
  });
});

test("show tells a default from a line of the file and from what follows", () => {
  const shown = new Map(
    shownValues(read(`totem {\n token: 2000\n}\n${nodelist(3)}`)).map((row) => [row.path, row]),
  );
  expect(shown.get("totem.token")).toMatchObject({ value: "2000", origin: "line 2" });
  expect(shown.get("totem.cluster_name")).toMatchObject({ value: "quorate", origin: "default" });
  expect(shown.get("totem.heartbeat")).toMatchObject({ value: "200 ms", origin: "derived" });
  expect(shown.get("nodelist.node[3].prio")).toMatchObject({ value: "1", origin: "default" });
});

test("a power device is read with the agent's own parameters, and its defaults are shown", () => {
  const device = (id: number, ...lines: string[]) =>
    `device {\nnode: ${id}\nagent: fence_ipmilan\n${lines.map((line) => `${line}\n`).join("")}}\n`;
  const own = device(
    2,
    "ip: 10.0.9.2",
    "lanplus: 1",
    "password_script: /etc/bmc 2",
    "secrets_file: /etc/q/bmc",
  );
  const read2 = read(`${nodelist(3)}machines {\n}\nfencing {\n${own}${device(1, "timeout: 5000")}}\n`);
  expect(read2.config.powerDevices).toEqual([
    { node: 1, agent: "fence_ipmilan", timeoutMs: 5000, parameters: {}, secretsFile: null },
    {
      node: 2,
      agent: "fence_ipmilan",
      timeoutMs: 30_000,
      parameters: { ip: "10.0.9.2", lanplus: "1", password_script: "/etc/bmc 2" },
      secretsFile: "/etc/q/bmc",
    },
  ]);
  expect(read2.warnings.filter(({ what }) => /"ip"|lanplus|fencing|device|password/.test(what))).toEqual([]);
  const shown = new Map(shownValues(read2).map((row) => [row.path, row]));
  expect(shown.get("fencing.device[2].ip")).toMatchObject({ value: "10.0.9.2" });
  expect(shown.get("fencing.device[2].timeout")).toMatchObject({ value: "30000", origin: "default" });
  const alone = read(`${nodelist(3)}fencing {\n${own}}\n`);
  expect(alone.warnings.map(({ what }) => what)).toContain(
    "a power device has no effect without the section machines",
  );
});
