import { isIPv4, isIPv6 } from "node:net";
import { QuorateError } from "@quorate/contracts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import type { GateVip } from "./gate.ts";

/**
 * Our tables, all named `quorate`, as one text per table: the same text is loaded and, blanks aside, listed by nft, so
 * that tampering shows as a difference. Priorities of -350 and 350 stand before and behind everything else's, and are
 * printed as numbers.
 *
 * arp, ip, ip6: what the host itself says and hears as the VIP, on whatever device. The hooks before routing and behind
 * it also catch what NAT rewrites (published ports of containers); there only while the VIP is an address of this host,
 * so that a host which routes others' traffic to the master doesn't cut it.
 * netdev: gratuitous ARP is sent by a process through a packet socket, which passes by the arp table; a frozen process
 * could send it after its lease. The egress hook of the VIP's devices holds these frames back.
 */
export const TABLES = ["arp", "ip", "ip6", "netdev"] as const;
export type TableFamily = (typeof TABLES)[number];

interface ChainText {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly string[];
}

const CHAINS: Readonly<Record<TableFamily, readonly ChainText[]>> = {
  arp: [
    {
      name: "input",
      hook: "type filter hook input priority -350; policy accept;",
      rules: ["arp daddr ip @vip arp daddr ip != @lease drop"],
    },
    {
      name: "output",
      hook: "type filter hook output priority -350; policy accept;",
      rules: ["arp saddr ip @vip arp saddr ip != @lease drop"],
    },
  ],
  ip: internetChains("ip"),
  ip6: internetChains("ip6"),
  netdev: [],
};

function internetChains(family: "ip" | "ip6"): readonly ChainText[] {
  const to = `${family} daddr @vip ${family} daddr != @lease`;
  const from = `${family} saddr @vip ${family} saddr != @lease`;
  return [
    {
      name: "prerouting",
      hook: "type filter hook prerouting priority -350; policy accept;",
      rules: [`${to} fib daddr type local drop`],
    },
    { name: "input", hook: "type filter hook input priority -350; policy accept;", rules: [`${to} drop`] },
    {
      name: "output",
      hook: "type filter hook output priority -350; policy accept;",
      rules: [`${from} drop`],
    },
    {
      name: "postrouting",
      hook: "type filter hook postrouting priority 350; policy accept;",
      rules: [`${from} fib saddr type local drop`],
    },
  ];
}

const EGRESS_RULE = "arp saddr ip @vip arp saddr ip != @lease drop";

/** The tables that hold a lease element for an address of this family. */
export function leaseTables(family: 4 | 6): readonly TableFamily[] {
  return family === 4 ? ["arp", "ip", "netdev"] : ["ip6"];
}

function vipsOfTable(table: TableFamily, vips: readonly GateVip[]): readonly string[] {
  return vips
    .filter((vip) => leaseTables(vip.family).includes(table))
    .map((vip) => normaliseAddress(vip.address))
    .sort();
}

/** One table with nothing open. Elements are given apart, since nft orders and wraps them as it likes. */
function tableBody(table: TableFamily): string[] {
  const type = table === "ip6" ? "ipv6_addr" : "ipv4_addr";
  const lines: string[] = [];
  // One permit serves all tables, since a transaction spans them; it lives where it costs nothing to keep it.
  if (table === "arp") lines.push("set permit {", "type mark", "flags timeout", "}");
  lines.push("set vip {", `type ${type}`, "}", "set lease {", `type ${type}`, "flags timeout", "}");
  for (const chain of CHAINS[table]) lines.push(`chain ${chain.name} {`, chain.hook, ...chain.rules, "}");
  return lines;
}

/** The listing that `list table` must give, elements aside, one trimmed line per element. */
export function expectedTable(table: TableFamily): string {
  return [`table ${table} quorate {`, ...tableBody(table), "}"].join("\n");
}

/** The script that makes these tables anew and shut, whatever was there; to be carried out as one transaction. */
export function renderTables(tables: readonly TableFamily[], vips: readonly GateVip[]): string {
  const lines: string[] = [];
  for (const table of tables) {
    // Declared first, so that the deletion does not fail when it isn't there.
    lines.push(`table ${table} quorate {`, "}", `delete table ${table} quorate`);
    lines.push(`table ${table} quorate {`, ...tableBody(table), "}");
    lines.push(...renderElements(table, vipsOfTable(table, vips)));
  }
  return `${lines.join("\n")}\n`;
}

/** Lines that bring a table's held addresses from one list to another, without touching what is open in others. */
export function renderHeldChange(
  table: TableFamily,
  before: readonly string[],
  vips: readonly GateVip[],
): string[] {
  const after = vipsOfTable(table, vips);
  const gone = before.filter((address) => !after.includes(address));
  const fresh = after.filter((address) => !before.includes(address));
  const lines: string[] = [];
  if (gone.length > 0) lines.push(`delete element ${table} quorate vip { ${gone.join(", ")} }`);
  lines.push(...renderElements(table, fresh));
  return lines;
}

function renderElements(table: TableFamily, addresses: readonly string[]): string[] {
  return addresses.length === 0 ? [] : [`add element ${table} quorate vip { ${addresses.join(", ")} }`];
}

/** The chain that holds back raw frames on one device. Chains are numbered: a device's name may not be a chain's. */
export function egressChain(
  index: number,
  device: string,
): { name: string; expected: string; script: string } {
  const name = `egress${index}`;
  const body = [`type filter hook egress device "${device}" priority -350; policy accept;`, EGRESS_RULE];
  const expected = [`chain ${name} {`, ...body, "}"].join("\n");
  const script = ["table netdev quorate {", expected, "}"].join("\n");
  return { name, expected, script: `${script}\n` };
}

/** What goes into nft's language must be what it claims to be, and nothing that could end a word. */
export function checkVips(vips: readonly GateVip[]): void {
  for (const vip of vips) {
    const valid = vip.family === 4 ? isIPv4(vip.address) : isIPv6(vip.address) && !vip.address.includes("%");
    if (!valid) {
      throw new QuorateError(
        "CONFIG_INVALID",
        `"${vip.address}" is not an IPv${vip.family} address.`,
        "Correct address in the section cluster_ip.",
      );
    }
    if (!/^[A-Za-z0-9_.:@-]{1,15}$/.test(vip.device)) {
      throw new QuorateError(
        "CONFIG_INVALID",
        `"${vip.device}" cannot be a network interface's name.`,
        "Correct CloudIpDev in the section cluster_ip.",
      );
    }
  }
}
