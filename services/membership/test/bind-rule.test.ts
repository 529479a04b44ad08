import type { ClusterConfig } from "@quorate/contracts";
import { readClusterConfig } from "@quorate/corosync-conf";
import { describe, expect, it } from "vitest";
import { chooseBinding } from "../src/net/bind-rule.ts";
import { addressValue, type HostAddress, inNetworkOf, sameAddress } from "../src/net/interfaces.ts";

function host(address: string, prefixLength: number, interfaceName = "eth0"): HostAddress {
  return { interfaceName, family: address.includes(":") ? 6 : 4, address, prefixLength };
}

function configOf(totem: string, more = ""): ClusterConfig {
  const text = `totem {
${totem}
  cluster_name: VMmanager
}
nodelist {
  node { 
    ring0_addr: 172.31.223.46
    nodeid: 2
  }
  node { 
    ring0_addr: 172.31.223.47
    nodeid: 4
  }
  node { 
    ring0_addr: 172.31.223.48
    nodeid: 8
  }
}
${more}`;
  const read = readClusterConfig(text, "test");
  if (!read.ok) throw new Error(JSON.stringify(read.diagnostics));
  return read.config;
}

function choose(config: ClusterConfig, self: number, hosts: HostAddress[]): string {
  const [ring] = config.rings;
  if (ring === undefined) throw new Error("no ring");
  const choice = chooseBinding(config, self, ring, hosts);
  return choice.ok
    ? `${choice.binding.address} ${choice.binding.interfaceName} ${choice.binding.group}`
    : choice.message;
}

const ORIGINAL =
  "interface {\n bindnetaddr: 172.31.223.47\n mcastaddr: 239.255.1.1\n mcastport: 5405\n ttl: 1\n}";
const UNICAST = `transport: udpu\n${ORIGINAL}`;

describe("the bind rule", () => {
  it("matches bindnetaddr as a network with the interface's mask: one file for all nodes", () => {
    const config = configOf(ORIGINAL);
    const hosts = [host("127.0.0.1", 8, "lo"), host("172.31.223.48", 24)];
    expect(choose(config, 8, hosts)).toBe("172.31.223.48 eth0 239.255.1.1");
    expect(choose(config, 8, [host("172.31.223.48", 32)])).toBe("172.31.223.48 eth0 239.255.1.1");
  });

  it("prefers the node's own address among several of the network, never a cluster address", () => {
    const config = configOf(ORIGINAL, "cluster_ip {\n address: 172.31.223.100\n CloudMask: 24\n}\n");
    const hosts = [host("172.31.223.100", 24), host("172.31.223.99", 24), host("172.31.223.46", 24)];
    expect(choose(config, 2, hosts)).toBe("172.31.223.46 eth0 239.255.1.1");
    expect(choose(config, 2, hosts.slice(0, 2))).toBe("172.31.223.99 eth0 239.255.1.1");
    expect(choose(config, 2, hosts.slice(0, 1))).toContain("No address of this host fits ring 0");
  });

  it("lets a network of its own carry multicast, and keeps unicast where the others send it", () => {
    const dedicated = (totem: string) => configOf(totem.replace("172.31.223.47", "10.9.0.0"));
    const hosts = [host("172.31.223.46", 24), host("10.9.0.7", 16, "eth1")];
    expect(choose(dedicated(ORIGINAL), 2, hosts)).toBe("10.9.0.7 eth1 239.255.1.1");
    expect(choose(dedicated(UNICAST), 2, hosts)).toBe("172.31.223.46 eth0 null");
    expect(choose(dedicated(UNICAST), 2, hosts.slice(1))).toBe("10.9.0.7 eth1 null");
  });

  it("names what it looked for when nothing fits", () => {
    const message = choose(configOf(ORIGINAL), 2, [host("127.0.0.1", 8, "lo")]);
    expect(message).toContain("bindnetaddr 172.31.223.47");
    expect(message).toContain("ring0_addr 172.31.223.46");
  });
});

describe("addresses", () => {
  it("are compared by value", () => {
    expect(sameAddress("fd00::1", "FD00:0:0::0001")).toBe(true);
    expect(sameAddress("::ffff:1.2.3.4", "::ffff:102:304")).toBe(true);
    expect(sameAddress("::1.2.3.4", "1.2.3.4")).toBe(false);
    expect(sameAddress("1.2.3.4", "1.2.3.5")).toBe(false);
    expect(addressValue("fe80::1%eth0")).toBe(addressValue("fe80::1"));
    for (const bad of ["", "1.2.3", "1.2.3.256", "x", "::g", "1::2::3"]) expect(addressValue(bad)).toBeNull();
  });

  it("lie in the network that the mask says", () => {
    expect(inNetworkOf(host("10.1.2.3", 16), "10.1.0.0")).toBe(true);
    expect(inNetworkOf(host("10.1.2.3", 16), "10.2.0.0")).toBe(false);
    expect(inNetworkOf(host("fd00::5", 64), "fd00::")).toBe(true);
    expect(inNetworkOf(host("fd00::5", 64), "fd00:0:0:1::")).toBe(false);
    expect(inNetworkOf(host("10.1.2.3", 16), "fd00::")).toBe(false);
  });
});
