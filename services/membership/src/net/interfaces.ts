import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** One address of this host. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
}

/** All addresses of this host, loopback too, in the kernel's order. */
export function hostAddresses(): HostAddress[] {
  const found: HostAddress[] = [];
  for (const [interfaceName, entries] of Object.entries(networkInterfaces())) {
    for (const entry of entries ?? []) {
      const prefixLength = Number(entry.cidr?.split("/")[1] ?? (entry.family === "IPv6" ? 128 : 32));
      found.push({
        interfaceName,
        family: entry.family === "IPv6" ? 6 : 4,
        address: entry.address,
        prefixLength,
      });
    }
  }
  return found;
}

/** The address as a number; null when it is none. A zone (`%eth0`) is left out. */
export function addressValue(text: string): bigint | null {
  const plain = text.split("%")[0] ?? "";
  return plain.includes(":") ? ipv6Value(plain) : ipv4Value(plain);
}

function ipv4Value(text: string): bigint | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function ipv6Value(text: string): bigint | null {
  if (!isIPv6(text)) return null;
  const [head = "", tail] = text.split("::");
  const groups = (side: string): string[] => (side === "" ? [] : side.split(":")).flatMap(embedded);
  const left = groups(head);
  const right = groups(tail ?? "");
  const missing = 8 - left.length - right.length;
  const all = tail === undefined ? left : [...left, ...new Array<string>(missing).fill("0"), ...right];
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

/** `1.2.3.4` at the end of an IPv6 address stands for two groups. */
function embedded(group: string): string[] {
  if (!group.includes(".")) return [group];
  const value = ipv4Value(group) ?? 0n;
  return [(value >> 16n).toString(16), (value & 0xffffn).toString(16)];
}

export function sameAddress(left: string, right: string): boolean {
  const value = addressValue(left);
  return value !== null && value === addressValue(right) && left.includes(":") === right.includes(":");
}

/** Whether `other` lies in the network of a host's address, by that interface's own mask. */
export function inNetworkOf(host: HostAddress, other: string): boolean {
  const left = addressValue(host.address);
  const right = addressValue(other);
  if (left === null || right === null || (host.family === 6) !== other.includes(":")) return false;
  const hostBits = BigInt((host.family === 4 ? 32 : 128) - host.prefixLength);
  return left >> hostBits === right >> hostBits;
}
