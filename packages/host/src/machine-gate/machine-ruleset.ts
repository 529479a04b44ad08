import { isIPv4, isIPv6 } from "node:net";
import { QuorateError } from "@quorate/contracts";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import {
  MACHINE_USER_FIRST,
  MACHINE_USER_LAST,
  STORAGE_PROBE_USER,
  TAP_PREFIX,
} from "../hypervisor/machine-number.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import type { GatedMachine } from "./machine-gate.ts";

/**
 * Our tables for machines, as one text per table: the same text is loaded and, blanks aside, listed by nft.
 *
 * bridge: frames of taps. Prerouting takes what a guest sends, postrouting what is sent to it, by whomever. Two paths go
 * round them: link-local frames (LLDP, spanning tree) for the host itself pass by input only, and those that the bridge
 * itself makes (spanning tree, multicast queries) by output only.
 * inet: packets to storage. Who is allowed is named; everything else is refused. The other way round ("refuse who isn't
 * allowed") would let an orphan pass, the socket of a process that was killed with bytes queued: it has no user any more,
 * and a rule that asks for one does not match. A bare RST carries no bytes, and tells the storage that a connection is
 * over, which it would otherwise keep for ever. Who looks whether a storage is there may knock, at any time, and nothing
 * more: neither an acknowledgement nor a byte of his passes, so that no connection ever comes about at the storage.
 */
export const MACHINE_TABLES = ["bridge", "inet"] as const;
export type MachineTable = (typeof MACHINE_TABLES)[number];

const FROM_TAP = `iifname "${TAP_PREFIX}*" iifname != @tap drop`;
const TO_TAP = `oifname "${TAP_PREFIX}*" oifname != @tap drop`;

const BODIES: Readonly<Record<MachineTable, readonly string[]>> = {
  bridge: [
    // One permit serves both tables, since a transaction spans them.
    ...["set permit {", "type mark", "flags timeout", "}"],
    ...["set tap {", "type ifname", "flags timeout", "}"],
    ...baseChain("prerouting", -350, [FROM_TAP]),
    ...baseChain("input", -350, [FROM_TAP]),
    ...baseChain("output", -350, [TO_TAP]),
    ...baseChain("postrouting", 350, [TO_TAP]),
  ],
  inet: [
    ...["set storage4 {", "type ipv4_addr . inet_service", "}"],
    ...["set storage6 {", "type ipv6_addr . inet_service", "}"],
    ...["set user {", "type uid", "flags timeout", "}"],
    ...baseChain("output", -350, [
      "ip daddr . tcp dport @storage4 jump storage",
      "ip6 daddr . tcp dport @storage6 jump storage",
    ]),
    "chain storage {",
    "meta skuid @user accept",
    "tcp flags rst / fin,syn,rst accept",
    `meta skuid ${STORAGE_PROBE_USER} tcp flags syn / fin,syn,rst,ack accept`,
    `meta skuid ${STORAGE_PROBE_USER} drop`,
    "meta l4proto tcp reject with tcp reset",
    "}",
  ],
};

function baseChain(hook: string, priority: number, rules: readonly string[]): readonly string[] {
  return [`chain ${hook} {`, `type filter hook ${hook} priority ${priority}; policy accept;`, ...rules, "}"];
}

/** The listing that `list table` must give, elements aside, one trimmed line per element. */
export function expectedMachineTable(table: MachineTable): string {
  return [`table ${table} quorate_machines {`, ...BODIES[table], "}"].join("\n");
}

/** The script that makes the tables anew and shut, whatever was there; to be carried out as one transaction. */
export function renderMachineTables(storage: readonly StorageEndpoint[]): string {
  const lines = MACHINE_TABLES.flatMap((table) => [
    // Declared first, so that the deletion does not fail when it isn't there.
    ...removeTable(table),
    expectedMachineTable(table),
  ]);
  return `${[...lines, ...renderStorageChange([], storageKeys(storage))].join("\n")}\n`;
}

export function renderMachineRemoval(): string {
  return `${MACHINE_TABLES.flatMap(removeTable).join("\n")}\n`;
}

function removeTable(table: MachineTable): readonly string[] {
  return [`table ${table} quorate_machines {`, "}", `delete table ${table} quorate_machines`];
}

/** Each once and sorted, as nft prints them: `10.9.0.2 . 10809`. */
export function storageKeys(storage: readonly StorageEndpoint[]): readonly string[] {
  return [...new Set(storage.map(({ address, port }) => `${normaliseAddress(address)} . ${port}`))].sort();
}

/** Lines that bring the held storage from one list to another. */
export function renderStorageChange(before: readonly string[], after: readonly string[]): readonly string[] {
  const gone = before.filter((key) => !after.includes(key));
  const fresh = after.filter((key) => !before.includes(key));
  return [...elementLines("delete", gone), ...elementLines("add", fresh)];
}

function elementLines(verb: "add" | "delete", keys: readonly string[]): readonly string[] {
  const ofSet = (set: string, elements: readonly string[]): readonly string[] =>
    elements.length === 0 ? [] : [`${verb} element inet quorate_machines ${set} { ${elements.join(", ")} }`];
  const isIPv6Key = (key: string): boolean => key.includes(":");
  const keys4 = keys.filter((key) => !isIPv6Key(key));
  return [...ofSet("storage4", keys4), ...ofSet("storage6", keys.filter(isIPv6Key))];
}

const MOST_NICS = 64;

/** What goes into nft's language must be what it claims to be; a machine's name never does. */
export function checkMachines(machines: readonly GatedMachine[], storage: readonly StorageEndpoint[]): void {
  const numbers = new Map<number, string>();
  for (const { vm, number, nicCount } of machines) {
    const inRange =
      Number.isInteger(number) && number >= 0 && number <= MACHINE_USER_LAST - MACHINE_USER_FIRST;
    if (!inRange)
      throw invalid(`The number of ${vm} is ${number}.`, "Take the number that machineNumber() gives.");
    if (!Number.isInteger(nicCount) || nicCount < 0 || nicCount > MOST_NICS) {
      throw invalid(`${vm} has ${nicCount} network interfaces.`, `At most ${MOST_NICS} are held.`);
    }
    const other = numbers.get(number);
    if (other !== undefined) {
      throw invalid(`${other} and ${vm} have the same number.`, `Give ${vm} another UUID.`);
    }
    numbers.set(number, vm);
  }
  for (const { address, port } of storage) {
    // An IPv4 address in IPv6's spelling would be held for the wrong family.
    if (!isIPv4(address) && (!isIPv6(address) || /%|^::ffff:/i.test(address))) {
      throw invalid(`"${address}" is not a storage's address.`, "Name it by a numeric IPv4 or IPv6 address.");
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw invalid(`${port} is not a port of ${address}.`, "A port is a number from 1 to 65535.");
    }
  }
}

function invalid(message: string, hint: string): QuorateError {
  return new QuorateError("CONFIG_INVALID", message, hint);
}
