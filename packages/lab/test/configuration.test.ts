import { readClusterConfig } from "@quorate/corosync-conf";
import { describe, expect, it } from "vitest";
import { clusterConf, DEFAULT_TOPOLOGY, LAB_NODES, ring1Address, serviceCommand, VIP } from "../src/index.ts";

function read(topology: Partial<typeof DEFAULT_TOPOLOGY>) {
  const text = clusterConf({ ...DEFAULT_TOPOLOGY, ...topology }, serviceCommand("/usr/bin/node"));
  const result = readClusterConfig(text, "cluster.conf");
  if (!result.ok) throw new Error(JSON.stringify(result.diagnostics));
  return { text, result };
}

describe("the lab's configuration", () => {
  it("is the original's file with a token, a cluster address and the lab's service, and nothing to warn of", () => {
    const { result } = read({ tokenMs: 300 });
    expect(result.warnings.filter((diagnostic) => diagnostic.severity === "warning")).toEqual([]);
    expect(result.config).toMatchObject({
      clusterName: "VMmanager",
      configVersion: 1,
      tokenMs: 300,
      transport: "udp",
      totalVotes: 3,
      ihttpdPorts: [1500],
      clusterIps: [{ address: VIP, device: "vmbr0", prefixLength: 24 }],
      managedService: { kind: "command" },
      notHonoured: [],
    });
    expect(
      result.config.nodes.map(({ id, prio, addresses }) => ({ id, prio, address: addresses[0] })),
    ).toEqual(LAB_NODES.map(({ id, prio, address }) => ({ id, prio, address })));
  });

  it("names the port of each virtual machine's disk, and nothing of machines without any", () => {
    expect(read({}).result.config.machines).toBeUndefined();
    expect(read({ guests: 2 }).result.config.machines?.storage).toEqual([
      { address: "172.31.223.250", port: 10_809 },
      { address: "172.31.223.250", port: 10_810 },
    ]);
  });

  it("can be unicast, on two networks, with an IPv6 address", () => {
    const { result } = read({ transport: "udpu", rings: 2, ipv6: true });
    expect(result.config.transport).toBe("udpu");
    expect(result.config.nodes[0]?.addresses).toEqual(["172.31.223.46", ring1Address("172.31.223.46")]);
    expect(result.config.clusterIps.map((vip) => vip.family)).toEqual([4, 6]);
    expect(result.config.rings.map(({ ring }) => ring)).toEqual([0, 1]);
  });
});
