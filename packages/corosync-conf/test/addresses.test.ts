import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { networkRole, parseAddress, parsePrefixLength, unusableReason } from "../src/addresses.ts";
import { hostsResolver } from "../src/index.ts";

const group = fc.oneof(
  fc.constant("0"),
  fc.string({ unit: fc.constantFrom(...Array.from("0123456789abcdefABCDEFg")), maxLength: 5 }),
);
const sixish = fc
  .tuple(fc.array(group, { maxLength: 9 }), fc.constantFrom("", ":", "::", ":1.2.3.4", "::1.2.3.4", ":1.2.3"))
  .map(([groups, end]) => groups.join(":") + end);
const fourish = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom("", "01", "x")), {
    minLength: 3,
    maxLength: 5,
  })
  .map((parts) => parts.join("."));

test("it takes what the platform takes as an address, and nothing else", () => {
  fc.assert(
    fc.property(fc.oneof(sixish, fourish, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
      expect(parseAddress(text)?.family ?? 0).toBe(text.includes("%") ? 0 : isIP(text));
    }),
    { numRuns: 3000 },
  );
});

test("an IPv6 address has one spelling, that of the URL standard", () => {
  fc.assert(
    fc.property(fc.oneof(sixish, fc.ipV6()), (text) => {
      fc.pre(isIP(text) === 6 && !text.includes("%"));
      expect(`[${parseAddress(text)?.text}]`).toBe(new URL(`http://[${text}]/`).hostname);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  { text: "24", family: 4, length: 24 },
  { text: "/24", family: 4, length: 24 },
  { text: "255.255.255.0", family: 4, length: 24 },
  { text: "255.255.255.255", family: 4, length: 32 },
  { text: "0.0.0.0", family: 4, length: 0 },
  { text: "128", family: 6, length: 128 },
  { text: "ffff:ffff::", family: 6, length: 32 },
  { text: "33", family: 4, length: undefined },
  { text: "129", family: 6, length: undefined },
  { text: "0.0.0.255", family: 4, length: undefined },
  { text: "255.255.255.0", family: 6, length: undefined },
  { text: "024", family: 4, length: undefined },
  { text: "-1", family: 4, length: undefined },
] as const)("the mask $text of IPv$family is $length", ({ text, family, length }) => {
  expect(parsePrefixLength(text, family)).toBe(length);
});

test.each([
  ["10.0.0.0", 24, "network"],
  ["10.0.0.255", 24, "broadcast"],
  ["10.0.0.1", 24, "host"],
  ["10.0.0.0", 31, "host"],
  ["10.0.0.0", 32, "host"],
  ["fd00::", 64, "network"],
  ["fd00::ffff:ffff:ffff:ffff", 64, "host"],
] as const)("%s/%d is a %s address", (text, length, role) => {
  const address = parseAddress(text);
  expect(address && networkRole(address, length)).toBe(role);
});

describe("addresses that no host can have", () => {
  test.each([
    "224.0.0.1",
    "239.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "ff02::1",
    "fe80::1",
    "febf::1",
    "::ffff:1.2.3.4",
  ])("%s", (text) => {
    const address = parseAddress(text);
    expect(address && unusableReason(address)).toEqual(expect.any(String));
  });
  test.each(["127.0.0.1", "10.0.0.1", "223.255.255.255", "::1", "fd00::1", "2001:db8::1", "fec0::1"])(
    "but %s",
    (text) => {
      const address = parseAddress(text);
      expect(address && unusableReason(address)).toBeUndefined();
    },
  );
});

test("the hosts file gives the first address of a name that others can reach", () => {
  const resolve = hostsResolver(
    "127.0.1.1 a\n# 9.9.9.9 a\n10.0.0.1\ta A.example # b\n10.0.0.2 a\nbad b\nfe80::1 c\nfd00::0 d\n",
  );
  expect(["a", "A", "a.EXAMPLE", "b", "c", "d"].map(resolve)).toEqual([
    "10.0.0.1",
    "10.0.0.1",
    "10.0.0.1",
    undefined,
    undefined,
    "fd00::",
  ]);
});
