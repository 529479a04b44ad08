/** An IPv4 or IPv6 address as a number; `text` is its one canonical spelling (RFC 5952 for IPv6). */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
  readonly text: string;
}

const IPV4_BITS = 32n;
const IPV6_BITS = 128n;

/** Undefined for whatever isn't exactly an address: names, masks, zones (`%eth0`), leading zeros. */
export function parseAddress(text: string): Address | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { family: 4, value: ipv4, text };
  const groups = parseIpv6(text);
  if (groups === undefined) return undefined;
  const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
  return { family: 6, value, text: formatIpv6(groups) };
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseIpv6(text: string): number[] | undefined {
  if (text.length > 45 || !text.includes(":")) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  const groups: number[] = [];
  for (const [index, word] of words.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(word)) {
      groups.push(Number.parseInt(word, 16));
      continue;
    }
    const embedded = mayEndInIpv4 && index === words.length - 1 ? parseIpv4(word) : undefined;
    if (embedded === undefined) return undefined;
    groups.push(Number(embedded >> 16n), Number(embedded & 0xffffn));
  }
  return groups;
}

function formatIpv6(groups: readonly number[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const words = groups.map((group) => group.toString(16));
  if (bestStart === -1) return words.join(":");
  return `${words.slice(0, bestStart).join(":")}::${words.slice(bestStart + bestLength).join(":")}`;
}

export function isMulticast(address: Address): boolean {
  return address.family === 4 ? address.value >> 28n === 0xen : address.value >> 120n === 0xffn;
}

export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}

/** Why no host can have or reach this address as a fixed one; undefined when it can. */
export function unusableReason(address: Address): string | undefined {
  if (isMulticast(address)) return "is a multicast address";
  if (address.value === 0n) return "is the unspecified address";
  if (address.family === 4) {
    if (address.value >> 24n === 0n) return "lies in 0.0.0.0/8, which no host can use";
    if (address.value === 0xffff_ffffn) return "is the broadcast address";
    if (address.value >> 28n === 0xfn) return "lies in the reserved range 240.0.0.0/4";
    return undefined;
  }
  if (address.value >> 118n === 0x3fan)
    return "is link-local, so it means something only together with an interface";
  if (address.value >> 32n === 0xffffn) return "is an IPv4 address in IPv6 clothes";
  return undefined;
}

/** Prefix length of a mask written as `24`, `/24` or `255.255.255.0`; undefined for anything else. */
export function parsePrefixLength(text: string, family: 4 | 6): number | undefined {
  const bits = family === 4 ? 32 : 128;
  const digits = /^\/?(0|[1-9][0-9]{0,2})$/.exec(text);
  if (digits !== null) {
    const length = Number(digits[1]);
    return length <= bits ? length : undefined;
  }
  const mask = parseAddress(text);
  if (mask === undefined || mask.family !== family) return undefined;
  const inverted = mask.value ^ ((1n << (family === 4 ? IPV4_BITS : IPV6_BITS)) - 1n);
  if ((inverted & (inverted + 1n)) !== 0n) return undefined;
  return bits - (inverted === 0n ? 0 : inverted.toString(2).length);
}

/** Whether the address names its whole network or, in IPv4, the network's broadcast address. */
export function networkRole(address: Address, prefixLength: number): "network" | "broadcast" | "host" {
  const bits = address.family === 4 ? 32 : 128;
  const hostBits = BigInt(bits - prefixLength);
  if (hostBits < 2n) return "host";
  const host = address.value & ((1n << hostBits) - 1n);
  if (host === 0n) return "network";
  return address.family === 4 && host === (1n << hostBits) - 1n ? "broadcast" : "host";
}

/**
 * Looks names up in the text of an /etc/hosts. Loopback lines are passed over: Debian gives a host's own name
 * to 127.0.1.1, which no other host can reach.
 */
export function hostsResolver(hostsText: string): (name: string) => string | undefined {
  const addresses = new Map<string, string>();
  for (const line of hostsText.split("\n")) {
    const [text = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    const address = parseAddress(text);
    if (address === undefined || isLoopback(address) || unusableReason(address) !== undefined) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      if (!addresses.has(key)) addresses.set(key, address.text);
    }
  }
  return (name) => addresses.get(name.toLowerCase());
}
