import type { NodeConfig } from "@quorate/contracts";
import { isLoopback, parseAddress, unusableReason } from "./addresses.ts";
import type { Place } from "./diagnostic.ts";
import type { ConfSection } from "./document.ts";
import { lastKey, sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import { interfaceSections, memberEntries, membersOf, nodeSections } from "./members.ts";
import { TypedSection, valuePlace } from "./typed-section.ts";

/** A node with the places that later checks point at. */
export interface PlacedNode {
  readonly config: NodeConfig;
  readonly place: Place;
  /** By ring. */
  readonly addressPlaces: readonly Place[];
  /** Whether the file says the `prio`. */
  readonly hasPrio: boolean;
}

export interface NodeDefaults {
  readonly votes: number;
  readonly resolveName: ((name: string) => string | undefined) | undefined;
}

/** The nodes, sorted by id: those of the nodelist, else corosync 1's members. Empty when none can be read. */
export function readNodes(root: ConfSection, defaults: NodeDefaults, findings: Findings): PlacedNode[] {
  const sections = nodeSections(root);
  const [nodelist, ...others] = sectionsNamed(root, "nodelist");
  for (const other of others) {
    const what = `there is already a nodelist, in line ${nodelist?.line}; corosync would lay this one over it`;
    findings.error(other, what, "put all nodes into one");
  }
  if (sections.length === 0) return readMembers(root, defaults, findings);
  for (const section of interfaceSections(root)) {
    for (const entry of memberEntries(section)) {
      findings.note(entry, `"memberaddr" has no effect`, "the nodelist says who the nodes are");
    }
  }
  const nodes: PlacedNode[] = [];
  for (const section of sections) {
    const node = readNode(section, defaults, findings);
    if (node !== undefined) nodes.push(node);
  }
  checkIds(nodes, findings);
  checkAddresses(nodes, findings);
  checkPrios(nodes, findings);
  return nodes.sort((a, b) => a.config.id - b.config.id);
}

function readNode(section: ConfSection, defaults: NodeDefaults, findings: Findings): PlacedNode | undefined {
  const typed = new TypedSection("nodelist.node", [section], findings, section);
  const id = typed.integer("nodeid");
  if (!typed.isWritten("nodeid")) reportMissingId(section, findings);
  const addresses: string[] = [];
  const addressPlaces: Place[] = [];
  if (!typed.isWritten("ring0_addr")) {
    findings.error(
      section,
      "the node has no ring0_addr",
      "add ring0_addr: with the address on which the other nodes reach it",
    );
  }
  for (let ring = 0; ring <= 7; ring += 1) {
    const key = `ring${ring}_addr`;
    const given = typed.string(key);
    if (given?.place === undefined) continue;
    if (ring > 0 && !typed.isWritten(`ring${ring - 1}_addr`) && typed.isWritten("ring0_addr")) {
      findings.error(
        given.place,
        `the node has ${key} but no ring${ring - 1}_addr`,
        `number its rings without gaps: call it ring${addresses.length}_addr`,
      );
    }
    const address = resolved(given.value, key, given.place, defaults, findings);
    if (address === undefined) continue;
    addresses.push(address);
    addressPlaces.push(given.place);
  }
  if (id === undefined || addresses.length === 0) return undefined;
  const name = typed.string("name");
  const maintenance = typed.string("maintenance_until");
  return {
    config: {
      id: id.value,
      addresses,
      ...(name === undefined ? {} : { name: name.value }),
      prio: typed.integerOrDefault("prio").value,
      replication: typed.booleanOrDefault("replication").value,
      ...(maintenance === undefined ? {} : { maintenanceUntil: maintenance.value }),
      votes: typed.integer("quorum_votes")?.value ?? defaults.votes,
    },
    place: typed.placeOf("nodeid"),
    addressPlaces,
    hasPrio: typed.isWritten("prio"),
  };
}

function reportMissingId(section: ConfSection, findings: Findings): void {
  const address = parseAddress(lastKey(section, "ring0_addr")?.value ?? "");
  const derived =
    address?.family === 4 ? `, for instance ${address.value} (what corosync derives from its address)` : "";
  findings.error(
    section,
    "the node has no nodeid",
    `add nodeid: with a number of its own, the same in every copy of this file${derived}`,
  );
}

function resolved(
  text: string,
  key: string,
  place: Place,
  defaults: NodeDefaults,
  findings: Findings,
): string | undefined {
  if (parseAddress(text) !== undefined) return text;
  const found = parseAddress(defaults.resolveName?.(text) ?? "");
  if (found !== undefined && unusableReason(found) === undefined) return found.text;
  findings.error(
    place,
    `"${key}" is the name "${text}", which has no address in /etc/hosts that other nodes can reach`,
    "write the address, or add the name to /etc/hosts on every node (not for 127.0.1.1); DNS is never asked",
  );
  return undefined;
}

/** corosync 1: no nodelist, only addresses. */
function readMembers(root: ConfSection, defaults: NodeDefaults, findings: Findings): PlacedNode[] {
  const members = membersOf(root);
  const entries = interfaceSections(root).flatMap(memberEntries);
  const taken = new Set(members.map((member) => member.entry));
  for (const entry of entries) {
    if (taken.has(entry)) continue;
    const what =
      parseAddress(entry.value)?.family === 6
        ? "a member with an IPv6 address has no node id"
        : "this member cannot be tied to a node";
    findings.error(entry, what, "write a nodelist with ring0_addr, ring1_addr and nodeid of each node");
  }
  if (entries.length === 0) {
    const place = sectionsNamed(root, "nodelist")[0] ?? { line: 1, column: 1 };
    const remedy =
      "list every node, as in: nodelist { / node { / nodeid: 1 / ring0_addr: 10.0.0.1 / } / } on lines of their own";
    findings.error(place, "the file names no node", remedy);
  }
  const nodes: PlacedNode[] = members.map(({ entry, address, nodeId }) => ({
    config: {
      id: nodeId,
      addresses: [address],
      prio: 1,
      replication: true,
      votes: defaults.votes,
    },
    place: valuePlace(entry),
    addressPlaces: [valuePlace(entry)],
    hasPrio: false,
  }));
  const [first] = members;
  if (first !== undefined) {
    const what = `there is no nodelist; the nodes are the members, with ids from their addresses (${first.address} is node ${first.nodeId})`;
    findings.warning(first.entry, what, "write a nodelist to give them ids, prios and votes of your own");
  }
  checkAddresses(nodes, findings);
  return nodes.sort((a, b) => a.config.id - b.config.id);
}

function checkIds(nodes: readonly PlacedNode[], findings: Findings): void {
  const seen = new Map<number, PlacedNode>();
  for (const node of nodes) {
    const earlier = seen.get(node.config.id);
    if (earlier === undefined) seen.set(node.config.id, node);
    else {
      const what = `nodeid ${node.config.id} is already in line ${earlier.place.line}`;
      findings.error(node.place, what, "give each node a number of its own");
    }
  }
}

function checkAddresses(nodes: readonly PlacedNode[], findings: Findings): void {
  const seen = new Map<string, Place>();
  for (const node of nodes) {
    for (const [ring, address] of node.config.addresses.entries()) {
      const place = node.addressPlaces[ring] ?? node.place;
      const earlier = seen.get(address);
      if (earlier === undefined) seen.set(address, place);
      else
        findings.error(
          place,
          `the address ${address} is already in line ${earlier.line}`,
          "give each node and each ring an address of its own",
        );
      checkFamily(nodes, ring, address, place, findings);
    }
  }
  const onLoopback = nodes.find(({ config }) => config.addresses.some(isLoopbackText));
  if (nodes.length > 1 && onLoopback !== undefined) {
    findings.warning(
      onLoopback.place,
      `node ${onLoopback.config.id} has a loopback address`,
      "write an address that other hosts can reach, unless all nodes are to run on one host",
    );
  }
  const most = Math.max(0, ...nodes.map(({ config }) => config.addresses.length));
  for (const node of nodes) {
    const { id, addresses } = node.config;
    if (addresses.length === most) continue;
    findings.warning(
      node.place,
      `node ${id} has no ring${addresses.length}_addr, others have`,
      "add it: that ring does nothing for this node",
    );
  }
}

function checkFamily(
  nodes: readonly PlacedNode[],
  ring: number,
  address: string,
  place: Place,
  findings: Findings,
): void {
  const first = nodes.find(({ config }) => config.addresses[ring] !== undefined);
  const firstAddress = first?.config.addresses[ring];
  if (firstAddress === undefined || firstAddress.includes(":") === address.includes(":")) return;
  const what = `the address ${address} and ${firstAddress} (line ${first?.addressPlaces[ring]?.line}) are of different families`;
  findings.error(place, what, `use IPv4 or IPv6 for all of ring ${ring}`);
}

function checkPrios(nodes: readonly PlacedNode[], findings: Findings): void {
  if (nodes.length > 0 && nodes.every(({ config }) => config.prio === 0)) {
    const [first] = nodes;
    if (first !== undefined) {
      findings.error(
        first.place,
        "every node has prio: 0, so none may lead",
        "give at least one node, better two, a higher prio",
      );
    }
  }
  const without = nodes.filter((node) => !node.hasPrio);
  if (without.length === 0 || without.length === nodes.length) return;
  for (const node of without) {
    findings.warning(
      node.place,
      `node ${node.config.id} has no prio, others have; it counts as ${node.config.prio}`,
      "add prio: to say when it may lead",
    );
  }
}

function isLoopbackText(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && isLoopback(address);
}
