import { parseAddress } from "./addresses.ts";
import type { ConfKeyValue, ConfSection } from "./document.ts";
import { keysOf, lastKey, sectionsNamed } from "./document.ts";

/** A node of corosync 1's style: `totem { interface { member { memberaddr } } }`. */
export interface Member {
  readonly entry: ConfKeyValue;
  readonly address: string;
  readonly nodeId: number;
}

/** Every `node` of every `nodelist`. */
export function nodeSections(root: ConfSection): ConfSection[] {
  return sectionsNamed(root, "nodelist").flatMap((nodelist) => sectionsNamed(nodelist, "node"));
}

/** Every `interface` of every `totem`. */
export function interfaceSections(root: ConfSection): ConfSection[] {
  return sectionsNamed(root, "totem").flatMap((totem) => sectionsNamed(totem, "interface"));
}

/**
 * The members of ring 0, in the order of the file, with the node id that corosync 2 and 3 derive: the IPv4
 * address as a number. IPv6 members have none and are left out; so are the members of further rings, which
 * nothing ties to those of ring 0.
 */
export function membersOf(root: ConfSection): Member[] {
  const members: Member[] = [];
  for (const section of interfaceSections(root)) {
    const ring = lastKey(section, "ringnumber") ?? lastKey(section, "linknumber");
    if (ring !== undefined && Number(ring.value) !== 0) continue;
    for (const entry of memberEntries(section)) {
      const address = parseAddress(entry.value);
      if (address?.family === 4)
        members.push({ entry, address: address.text, nodeId: Number(address.value) });
    }
  }
  return members;
}

/** Every `memberaddr` inside an `interface`. */
export function memberEntries(interfaceSection: ConfSection): ConfKeyValue[] {
  return sectionsNamed(interfaceSection, "member")
    .flatMap(keysOf)
    .filter((entry) => entry.key === "memberaddr");
}
