import { describe, expect, test } from "vitest";
import { readClusterConfig, refusalError } from "../src/index.ts";
import { type Case, testCases, totem } from "./refused.ts";

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

describe("refused syntax", () => {
  testCases(SYNTAX);
});
describe("refused in totem", () => {
  testCases(TOTEM);
});

test("the error for a shell carries every line, and tells syntax from meaning", () => {
  const syntax = readClusterConfig("a\nb\n", "f");
  const meaning = readClusterConfig(totem("token: 1", "config_version: x"), "f");
  if (syntax.ok || meaning.ok) throw new Error("accepted");
  expect(refusalError(syntax)).toMatchObject({ code: "CONFIG_SYNTAX", exitCode: 78 });
  expect(refusalError(meaning)).toMatchObject({ code: "CONFIG_INVALID", exitCode: 78 });
  expect(refusalError(meaning).message.split("\n")).toHaveLength(2);
});
