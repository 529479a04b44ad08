import { describe, expect, test } from "vitest";
import { formatDiagnostic, readClusterConfig, refusalError } from "../src/index.ts";

const THREE = `nodelist {
 node {
  nodeid: 1
  ring0_addr: 10.0.0.1
 }
 node {
  nodeid: 2
  ring0_addr: 10.0.0.2
 }
 node {
  nodeid: 3
  ring0_addr: 10.0.0.3
 }
}
`;

/** The errors alone, as printed, of a file called `f`. */
function errors(text: string): string[] {
  const result = readClusterConfig(text, "f");
  if (result.ok) return [];
  return result.diagnostics.filter(({ severity }) => severity === "error").map(formatDiagnostic);
}

interface Case {
  readonly name: string;
  readonly text: string;
  /** One for each error, in order: the place in full, and how the `what` starts. */
  readonly expected: readonly string[];
}

function totem(...lines: string[]): string {
  return `${THREE}totem {\n${lines.map((line) => ` ${line}\n`).join("")}}\n`;
}

function section(name: string, ...lines: string[]): string {
  return `${THREE}${name} {\n${lines.map((line) => ` ${line}\n`).join("")}}\n`;
}

function nodes(...bodies: readonly (readonly string[])[]): string {
  const node = (lines: readonly string[]): string =>
    ` node {\n${lines.map((line) => `  ${line}\n`).join("")} }\n`;
  return `nodelist {\n${bodies.map(node).join("")}}\n`;
}

const SYNTAX: readonly Case[] = [
  { name: "a word alone", text: "totem {\n\tversion\n}\n", expected: ['f:2:2: "version" is neither'] },
  {
    name: "a key without a colon",
    text: "totem {\n  version 2\n}",
    expected: [
      'f:2:3: "version 2" is neither a section nor a key; write a colon behind the key, as in: version: 2',
    ],
  },
  {
    name: "an equals sign",
    text: "totem {\n a = b\n}",
    expected: ['f:2:2: "a = b" is neither a section nor a key; write a colon instead of =, as in: a: b'],
  },
  {
    name: "a brace on the next line",
    text: "totem\n{\n}\n",
    expected: ['f:1:1: "totem" is neither', "f:2:1: the { has no section name"],
  },
  {
    name: "a section on one line",
    text: "a {\nnode { nodeid: 1 }\n}\n",
    expected: ["f:2:6: something stands behind the {"],
  },
  { name: "a comment behind {", text: "a { # x\n}\n", expected: ["f:1:3: a comment stands behind the {"] },
  {
    name: "a comment behind }",
    text: "a {\n  } # x\n",
    expected: ["f:2:3: something else stands on the line of the }; put the comment"],
  },
  {
    name: "two closing braces on a line",
    text: "a {\nb {\n}}\n",
    expected: ['f:1:1: the section "a" is never closed', "f:3:1: something else stands"],
  },
  {
    name: "a value with {",
    text: "a {\n b: c {d}\n}\n",
    expected: ["f:2:7: a line with { starts a section"],
  },
  {
    name: "an unclosed section",
    text: "x: y\n\tabc {\n b: c\n",
    expected: ['f:2:2: the section "abc" is never closed'],
  },
  { name: "a } too many", text: "abc {\n}\n }\n", expected: ["f:3:2: this } closes nothing"] },
  { name: "a colon without a key", text: "a {\n : x\n}\n", expected: ["f:2:2: the colon has no key"] },
  {
    name: "a key with a blank",
    text: "a {\n ring0 addr: x\n}\n",
    expected: ['f:2:7: the key "ring0 addr" contains a blank'],
  },
  {
    name: "a key with a foreign letter",
    text: "a {\n \u043f: x\n}\n",
    expected: ['f:2:2: the key "\u043f" contains "\u043f" (U+043F)'],
  },
  {
    name: "a no-break space",
    text: "a {\n\u00a0b: x\n}\n",
    expected: ['f:2:1: the key "\u00a0b" contains "\u00a0" (U+00A0)'],
  },
  {
    name: "a section's name with a blank",
    text: "a b {\n}\n",
    expected: ['f:1:2: the section name "a b" contains a blank'],
  },
  { name: "NUL", text: "# a\n# \0\n", expected: ["f:2:3: the line contains a NUL"] },
  {
    name: "a control character",
    text: "a {\n b: \u0007\n}\n",
    expected: ["f:2:5: the line contains the control character U+0007"],
  },
  {
    name: "a carriage return inside a line",
    text: "a {\r b: c\n}\n",
    expected: ["f:1:4: the line contains the control character U+000D", "f:2:1: this } closes nothing"],
  },
  {
    name: "too deep",
    text: `${"a {\n".repeat(17)}${"}\n".repeat(17)}`,
    expected: ["f:17:1: sections are nested deeper than 16"],
  },
  { name: "too large", text: "#".repeat(1024 * 1024 + 1), expected: ["f:1:1: the file is larger"] },
];

const TOTEM: readonly Case[] = [
  {
    name: "a word for a number",
    text: totem("token: fast"),
    expected: ['f:16:9: "token" must be a whole number, not "fast"'],
  },
  {
    name: "a number with a comment",
    text: totem("token: 1000 # ms"),
    expected: ['f:16:9: "token" must be a whole number, not "1000 # ms"; move the comment'],
  },
  { name: "a fraction", text: totem("token: 1.5"), expected: ['f:16:9: "token" must'] },
  { name: "hexadecimal", text: totem("config_version: 0x10"), expected: ['f:16:18: "config_version" must'] },
  {
    name: "a number beyond what is exact",
    text: totem("config_version: 9007199254740993"),
    expected: ['f:16:18: "config_version" is 9007199254740993, outside'],
  },
  { name: "an empty value", text: totem("token:"), expected: ['f:16:8: "token" has no value'] },
  {
    name: "unsafe timing",
    text: totem("token: 101"),
    expected: ['f:16:9: "token" 101 ms is unsafe: it needs T * (1 - 0.01) >= 2 * T/10'],
  },
  {
    name: "a token beyond patience",
    text: totem("token: 600001"),
    expected: ['f:16:9: "token" is 600001, outside 1 to 600000'],
  },
  {
    name: "an unknown transport",
    text: totem("transport: tcp"),
    expected: ['f:16:13: "transport" cannot be "tcp"; write udp or udpu or knet'],
  },
  {
    name: "a cluster name too long",
    text: totem(`cluster_name: ${"x".repeat(65)}`),
    expected: ['f:16:16: "cluster_name" cannot be'],
  },
  {
    name: "a word in a key we ignore",
    text: totem("consensus: soon"),
    expected: ['f:16:13: "consensus" must be a whole number'],
  },
  {
    name: "two values for one key",
    text: totem("token: 1000", "token: 300"),
    expected: ['f:17:2: "token" says "300", but line 16 says "1000"'],
  },
  {
    name: "two values under two names",
    text: totem("interface {", " ringnumber: 0", " linknumber: 1", "}"),
    expected: ['f:18:3: "linknumber" says "1", but line 17, as "ringnumber" says "0"'],
  },
  {
    name: "two rings in one place",
    text: totem("interface {", "}", "interface {", "}"),
    expected: ["f:18:2: ring 0 already has an interface section, in line 16"],
  },
  {
    name: "a ring too high",
    text: totem("interface {", " linknumber: 8", "}"),
    expected: ['f:17:15: "linknumber" is 8, outside 0 to 7'],
  },
  {
    name: "an interface's name as address",
    text: totem("interface {", " bindnetaddr: eth0", "}"),
    expected: ['f:17:16: "bindnetaddr" cannot be "eth0"'],
  },
  {
    name: "a multicast address to bind",
    text: totem("interface {", " bindnetaddr: 239.1.1.1", "}"),
    expected: ['f:17:16: "bindnetaddr" is the multicast address'],
  },
  {
    name: "an address of the other family to bind",
    text: totem("interface {", " bindnetaddr: fd00::", "}"),
    expected: ['f:17:16: "bindnetaddr" is no IPv4 address'],
  },
  {
    name: "a unicast address as multicast",
    text: totem("interface {", " mcastaddr: 10.0.0.255", "}"),
    expected: ['f:17:14: "mcastaddr" is 10.0.0.255, which is no multicast'],
  },
  {
    name: "port 0",
    text: totem("interface {", " mcastport: 0", "}"),
    expected: ['f:17:14: "mcastport" is 0, outside 1 to 65535'],
  },
  {
    name: "a port too high",
    text: totem("interface {", " mcastport: 65536", "}"),
    expected: ['f:17:14: "mcastport" is 65536'],
  },
  {
    name: "a ttl too high",
    text: totem("interface {", " ttl: 300", "}"),
    expected: ['f:17:8: "ttl" is 300, outside 0 to 255'],
  },
  {
    name: "a member without address",
    text: totem("interface {", " member {", " }", "}"),
    expected: ["f:17:3: the member has no memberaddr"],
  },
];

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

describe.each([
  { group: "syntax", cases: SYNTAX },
  { group: "totem", cases: TOTEM },
  { group: "nodes and votes", cases: NODES },
  { group: "our own sections", cases: OWN },
])("refused: $group", ({ cases }) => {
  test.each(cases)("$name", ({ text, expected }) => {
    const found = errors(text);
    expect(found.map((line, index) => line.slice(0, expected[index]?.length))).toEqual(expected);
    for (const line of found) expect(line).toMatch(/^f:\d+:\d+: .+; .+/);
  });
});

test("the error for a shell carries every line, and tells syntax from meaning", () => {
  const syntax = readClusterConfig("a\nb\n", "f");
  const meaning = readClusterConfig(totem("token: 1", "config_version: x"), "f");
  if (syntax.ok || meaning.ok) throw new Error("accepted");
  expect(refusalError(syntax)).toMatchObject({ code: "CONFIG_SYNTAX", exitCode: 78 });
  expect(refusalError(meaning)).toMatchObject({ code: "CONFIG_INVALID", exitCode: 78 });
  expect(refusalError(meaning).message.split("\n")).toHaveLength(2);
});
