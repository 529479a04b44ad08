import { describe } from "vitest";
import { type Case, nodes, section, testCases, THREE, totem } from "./refused.ts";

const NODES: readonly Case[] = [
  { name: "an empty file", text: "", expected: ["f:1:1: the file names no node"] },
  { name: "an empty nodelist", text: "\nnodelist {\n}\n", expected: ["f:2:1: the file names no node"] },
  {
    name: "two nodelists",
    text: `${THREE}nodelist {\n}\n`,
    expected: ["f:15:1: there is already a nodelist, in line 1"],
  },
  {
    name: "a missing node id",
    text: nodes(["ring0_addr: 10.0.0.1"]),
    expected: [
      "f:2:2: the node has no nodeid; add nodeid: with a number of its own, the same in every copy of this file, for instance 167772161",
    ],
  },
  {
    name: "node id 0",
    text: nodes(["nodeid: 0", "ring0_addr: 10.0.0.1"]),
    expected: ['f:3:11: "nodeid" is 0, outside 1 to 4294967295'],
  },
  {
    name: "a node id of 33 bits",
    text: nodes(["nodeid: 4294967296", "ring0_addr: 10.0.0.1"]),
    expected: ['f:3:11: "nodeid" is 4294967296, outside'],
  },
  {
    name: "a node id twice",
    text: nodes(["nodeid: 7", "ring0_addr: 10.0.0.1"], ["nodeid: 07", "ring0_addr: 10.0.0.2"]),
    expected: ["f:7:11: nodeid 7 is already in line 3"],
  },
  { name: "no address", text: nodes(["nodeid: 7"]), expected: ["f:2:2: the node has no ring0_addr"] },
  {
    name: "an address twice",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1"], ["nodeid: 2", "ring0_addr: 10.0.0.1"]),
    expected: ["f:8:15: the address 10.0.0.1 is already in line 4"],
  },
  {
    name: "an IPv6 address twice, spelled otherwise",
    text: nodes(["nodeid: 1", "ring0_addr: fd00::1"], ["nodeid: 2", "ring0_addr: FD00:0::0001"]),
    expected: ["f:8:15: the address fd00::1 is already in line 4"],
  },
  {
    name: "one address for two rings",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "ring1_addr: 10.0.0.1"]),
    expected: ["f:5:15: the address 10.0.0.1 is already in line 4"],
  },
  {
    name: "a gap in the rings",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "ring2_addr: 10.0.2.1"]),
    expected: [
      "f:5:15: the node has ring2_addr but no ring1_addr; number its rings without gaps: call it ring1_addr",
    ],
  },
  {
    name: "two families on one ring",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1"], ["nodeid: 2", "ring0_addr: fd00::2"]),
    expected: ["f:8:15: the address fd00::2 and 10.0.0.1 (line 4) are of different families"],
  },
  {
    name: "no address at all",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.256"]),
    expected: ['f:4:15: "ring0_addr" cannot be "10.0.0.256"'],
  },
  {
    name: "an address with leading zeros",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.01"]),
    expected: ['f:4:15: "ring0_addr" cannot be "10.0.0.01"'],
  },
  {
    name: "an address with a mask",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1/24"]),
    expected: ['f:4:15: "ring0_addr" is "10.0.0.1/24", an address with a mask'],
  },
  {
    name: "an address with a zone",
    text: nodes(["nodeid: 1", "ring0_addr: fe80::1%eth0"]),
    expected: ['f:4:15: "ring0_addr" is "fe80::1%eth0", an address with a zone'],
  },
  {
    name: "a link-local address",
    text: nodes(["nodeid: 1", "ring0_addr: fe80::1"]),
    expected: ['f:4:15: "ring0_addr": fe80::1 is link-local'],
  },
  {
    name: "the unspecified address",
    text: nodes(["nodeid: 1", "ring0_addr: 0.0.0.0"]),
    expected: ['f:4:15: "ring0_addr": 0.0.0.0 is the unspecified'],
  },
  {
    name: "the broadcast address",
    text: nodes(["nodeid: 1", "ring0_addr: 255.255.255.255"]),
    expected: ['f:4:15: "ring0_addr": 255.255.255.255 is the broadcast'],
  },
  {
    name: "IPv4 in IPv6 clothes",
    text: nodes(["nodeid: 1", "ring0_addr: ::ffff:10.0.0.1"]),
    expected: ['f:4:15: "ring0_addr": ::ffff:10.0.0.1 is an IPv4 address'],
  },
  {
    name: "a name nobody knows",
    text: nodes(["nodeid: 1", "ring0_addr: node1"]),
    expected: ['f:4:15: "ring0_addr" is the name "node1", which has no address in /etc/hosts'],
  },
  {
    name: "a prio below zero",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "prio: -1"]),
    expected: ['f:5:9: "prio" must be a whole number, not "-1"'],
  },
  {
    name: "nobody who may lead",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "prio: 0"]),
    expected: ["f:3:11: every node has prio: 0"],
  },
  {
    name: "neither yes nor no",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "replication: perhaps"]),
    expected: ['f:5:16: "replication" cannot be "perhaps"; write on or off'],
  },
  {
    name: "a word for votes",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "quorum_votes: one"]),
    expected: ['f:5:17: "quorum_votes" must be a whole number'],
  },
  {
    name: "no votes at all",
    text: nodes(["nodeid: 1", "ring0_addr: 10.0.0.1", "quorum_votes: 0"]),
    expected: ["f:3:11: all nodes together have 0 of 1 votes, and the quorum is 1; give the nodes votes"],
  },
  {
    name: "votes that never reach the quorum",
    text: section("quorum", "expected_votes: 6"),
    expected: ["f:16:18: all nodes together have 3 of 6 votes, and the quorum is 4; write expected_votes: 3"],
  },
  {
    name: "expected votes of 0",
    text: section("quorum", "expected_votes: 0"),
    expected: ['f:16:18: "expected_votes" is 0, outside 1'],
  },
  {
    name: "a member of IPv6",
    text: "totem {\n interface {\n  member {\n   memberaddr: fd00::1\n  }\n }\n}\n",
    expected: ["f:4:4: a member with an IPv6 address has no node id"],
  },
];

const OWN: readonly Case[] = [
  {
    name: "no cluster address",
    text: section("cluster_ip", "device: br0"),
    expected: ["f:15:1: the cluster_ip has no address"],
  },
  {
    name: "a cluster address that is a node's",
    text: section("cluster_ip", "address: 10.0.0.2"),
    expected: ["f:16:11: the cluster address 10.0.0.2 is the ring0_addr of node 2 (line 8)"],
  },
  {
    name: "a cluster address twice",
    text: `${section("cluster_ip", "address: 10.0.0.9")}cluster_ip {\n address: 10.0.0.9\n}\n`,
    expected: ["f:19:11: the cluster address 10.0.0.9 is another cluster_ip (line 16)"],
  },
  {
    name: "a cluster address with its mask",
    text: section("cluster_ip", "address: 10.0.0.9/24"),
    expected: ['f:16:11: "address" is "10.0.0.9/24", an address with a mask'],
  },
  {
    name: "a name as cluster address",
    text: section("cluster_ip", "address: vip"),
    expected: ['f:16:11: "address" cannot be "vip"'],
  },
  {
    name: "the network as cluster address",
    text: section("cluster_ip", "address: 10.0.9.0", "mask: 24"),
    expected: ["f:16:11: the cluster address 10.0.9.0 is the address of the network of its /24"],
  },
  {
    name: "the broadcast as cluster address",
    text: section("cluster_ip", "address: 10.0.9.255", "mask: 255.255.255.0"),
    expected: ["f:16:11: the cluster address 10.0.9.255 is the broadcast address of its /24"],
  },
  {
    name: "a mask too long",
    text: section("cluster_ip", "address: 10.0.0.9", "CloudMask: 33"),
    expected: ['f:17:13: "33" is no mask of an IPv4 address'],
  },
  {
    name: "a mask with holes",
    text: section("cluster_ip", "address: 10.0.0.9", "mask: 255.0.255.0"),
    expected: ['f:17:8: "255.0.255.0" is no mask'],
  },
  {
    name: "a dotted mask for IPv6",
    text: section("cluster_ip", "address: fd00::9", "prefix: 255.255.255.0"),
    expected: ['f:17:10: "255.255.255.0" is no mask of an IPv6 address'],
  },
  {
    name: "two masks",
    text: section("cluster_ip", "address: 10.0.0.9", "mask: 24", "CloudMask: 25"),
    expected: ['f:18:2: "CloudMask" says "25", but line 17, as "mask" says "24"'],
  },
  {
    name: "a device's name too long",
    text: section("cluster_ip", "address: 10.0.0.9", "device: sixteen-letters-"),
    expected: ['f:17:10: "device" cannot be "sixteen-letters-"'],
  },
  {
    name: "a port missing",
    text: section("ihttpd", "count: 2", "port0: 80"),
    expected: ['f:16:9: "count" is 2, but there is no port1'],
  },
  {
    name: "a port missing without a count",
    text: section("ihttpd", "port1: 80"),
    expected: ['f:15:1: "port0" is missing before a higher one'],
  },
  {
    name: "a port twice",
    text: section("ihttpd", "port0: 80", "port1: 80"),
    expected: ["f:17:9: the port 80 is there twice"],
  },
  {
    name: "a port of the message servers",
    text: `${section("ihttpd", "port0: 80")}bus {\n route_port: 80\n}\n`,
    expected: ["f:19:14: the port 80 is the managed service's"],
  },
  {
    name: "the default port of the message servers",
    text: section("ihttpd", "port0: 5407"),
    expected: ["f:15:1: the port 5407 is the managed service's"],
  },
  {
    name: "a service with two starts",
    text: section("managed_service", "unit: a.service", "command: b"),
    expected: ["f:17:11: the managed_service has both a unit and a command"],
  },
  {
    name: "a service with none",
    text: section("managed_service", "stop_timeout: 5000"),
    expected: ["f:15:1: the managed_service has neither"],
  },
  {
    name: "two services",
    text: `${section("managed_service", "unit: a")}managed_service {\n unit: b\n}\n`,
    expected: ["f:18:1: there is already a managed_service, in line 15"],
  },
  {
    name: "an option as a unit",
    text: section("managed_service", "unit: --now"),
    expected: ['f:16:8: "unit" cannot be "--now"'],
  },
  {
    name: "a timeout too short",
    text: section("managed_service", "unit: a", "start_timeout: 5"),
    expected: ['f:17:17: "start_timeout" is 5, outside 100'],
  },
  {
    name: "a relative path",
    text: section("paths", "lock_file: a/b"),
    expected: ['f:16:13: "lock_file" cannot be "a/b"; write an absolute path'],
  },
  {
    name: "a path that climbs",
    text: section("paths", "lock_file: /a/../b"),
    expected: ['f:16:13: "lock_file" cannot'],
  },
  {
    name: "one file for lock and marker",
    text: section("paths", "lock_file: /a", "relocated_marker: /a"),
    expected: ["f:17:20: the lock file and the marker are the same file"],
  },
  {
    name: "a local time",
    text: section("automation", "disarmed_until: 2030-01-01T00:00:00"),
    expected: ['f:16:18: "disarmed_until" cannot be'],
  },
  {
    name: "a day that doesn't exist",
    text: section("automation", "disarmed_until: 2030-02-30T00:00:00Z"),
    expected: ['f:16:18: "disarmed_until" is 2030-02-30T00:00:00Z, which is no real date'],
  },
];

describe("refused nodes and votes", () => {
  testCases(NODES);
});
const MACHINES: readonly Case[] = [
  {
    name: "a storage without a port",
    text: section("machines", "storage {", "address: 10.0.9.1", "}"),
    expected: ["f:16:2: the section machines.storage has no port; add port:"],
  },
  {
    name: "the root folder as a shared mount",
    text: section("machines", "shared_mount {", "path: /", "}"),
    expected: ['f:17:8: "path" cannot be "/"'],
  },
  {
    name: "a shared mount without its path",
    text: section("machines", "shared_mount {", "}"),
    expected: ["f:16:2: the section machines.shared_mount has no path; add path:"],
  },
  {
    name: "seconds with their unit where milliseconds stand",
    text: section("machines", "storage_settle: 1s"),
    expected: ['f:16:18: "storage_settle" must be'],
  },
  {
    name: "machines that are to be together and apart, by way of a third",
    text: section(
      "machines",
      ...["group {", "placement: together", "members: a b", "}"],
      ...["group {", "placement: apart", "members: a c d", "}"],
      ...["group {", "placement: together", "members: b c", "}"],
    ),
    expected: ["f:20:2: a and c are to be apart, and together by another group; take one of them out"],
  },
  {
    name: "a group of another kind",
    text: section("machines", "group {", "placement: near", "members: a b", "}"),
    expected: ['f:17:13: "placement" cannot be'],
  },
];

const device = (...lines: string[]) => section("fencing", "device {", ...lines, "}");

const FENCING: readonly Case[] = [
  {
    name: "a device without its node and agent",
    text: device("ip: 10.0.0.9"),
    expected: [
      "f:16:2: the section fencing.device has no node; add node:",
      "f:16:2: the section fencing.device has no agent; add agent:",
    ],
  },
  {
    name: "a device of a node that is not in the list",
    text: device("node: 77", "agent: fence_ipmilan"),
    expected: ["f:17:8: node 77 is not in the node list; write one of"],
  },
  {
    name: "an agent that is no agent",
    text: device("node: 1", "agent: ipmi --off"),
    expected: ['f:18:9: "agent" cannot be "ipmi --off"'],
  },
  {
    name: "an agent outside of a fixed place",
    text: device("node: 1", "agent: /usr/../tmp/agent"),
    expected: ['f:18:9: "agent" cannot be'],
  },
  {
    name: "a password in the configuration",
    text: device("node: 1", "agent: fence_ipmilan", "password: hunter2"),
    expected: ['f:19:2: "password" looks like a secret'],
  },
  {
    name: "an action of one's own",
    text: device("node: 1", "agent: fence_ipmilan", "action: reboot"),
    expected: ['f:19:2: "action" is not yours to give'],
  },
  {
    name: "a timeout with its unit",
    text: device("node: 1", "agent: fence_ipmilan", "timeout: 20s"),
    expected: ['f:19:11: "timeout" must be'],
  },
  {
    name: "a secrets file that depends on the folder",
    text: device("node: 1", "agent: fence_ipmilan", "secrets_file: keys/bmc"),
    expected: ['f:19:16: "secrets_file" cannot be'],
  },
  {
    name: "two devices for one node",
    text: section(
      "fencing",
      ...["device {", "node: 1", "agent: fence_ipmilan", "}"],
      ...["device {", "node: 1", "agent: fence_apc", "}"],
    ),
    expected: ["f:20:2: node 1 has two devices"],
  },
  {
    name: "one device for two nodes",
    text: section(
      "fencing",
      ...["device {", "node: 1", "agent: fence_apc", "ip: 10.0.0.9", "plug: 4", "}"],
      ...["device {", "node: 2", "agent: fence_apc", "plug: 4", "ip: 10.0.0.9", "}"],
    ),
    expected: [
      "f:22:2: nodes 1 and 2 have the same device, by the same parameters; name each node's own plug",
    ],
  },
  {
    name: "a watchdog of half a second too much",
    text: section("fencing", "watchdog {", "timeout: 10500", "}"),
    expected: ["f:17:11: a watchdog takes whole seconds, not 10500 ms; write a multiple of 1000"],
  },
  {
    name: "a watchdog that bites before the lease is renewed",
    text: totem("token: 3000").concat("fencing {\n watchdog {\n  timeout: 8000\n }\n}\n"),
    expected: [
      "f:20:12: a watchdog of 8000 ms may bite before a lease of 3000 ms is renewed; write 9000 or more",
    ],
  },
  {
    name: "a watchdog that is no device",
    text: section("fencing", "watchdog {", "device: watchdog0", "}"),
    expected: ['f:17:10: "device" cannot be'],
  },
];

describe("refused power devices and watchdogs", () => {
  testCases(FENCING);
});

describe("refused in our own sections", () => {
  testCases(OWN);
});

describe("refused machines", () => {
  testCases(MACHINES);
});
