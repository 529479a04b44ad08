import { createHash } from "node:crypto";
import { type ClusterConfig, type ConfigRef, type NodeId, quorumOf } from "@quorate/contracts";
import type { DocumentTools, StoredDocument } from "@quorate/core-config";
import type { ClusterSetup } from "./options.ts";

/** The address that everything is about, and where it belongs. */
export const CLUSTER_IP = { address: "10.0.0.100", family: 4, device: "vmbr0", prefixLength: 24 } as const;
export const SERVICE_PORT = 1500;

const SERVICE_START_LIMIT_MS = 10_000;
const SERVICE_STOP_LIMIT_MS = 2_000;

export type ListedNode = { id: NodeId; prio: number; votes: number };

/**
 * A document in a grammar of our own, as this room may not read corosync's: `totem TOKEN RINGS TRANSPORT`,
 * `version N`, `disarmed UNTIL`, `node ID PRIO VOTES`.
 */
export function documentText(version: number, setup: ClusterSetup, nodes: readonly ListedNode[]): string {
  const lines = nodes
    .toSorted((left, right) => left.id - right.id)
    .map((node) => `node ${node.id} ${node.prio} ${node.votes}`);
  return [
    `totem ${setup.tokenMs} ${setup.rings} ${setup.transport}`,
    `version ${version}`,
    ...lines,
    "",
  ].join("\n");
}

const configs = new Map<string, ClusterConfig>();
const digests = new Map<string, string>();
const REMEMBERED = 500;

function remembered<Value>(known: Map<string, Value>, text: string, make: (text: string) => Value): Value {
  let value = known.get(text);
  if (value === undefined) {
    if (known.size >= REMEMBERED) known.clear();
    value = make(text);
    known.set(text, value);
  }
  return value;
}

/** The configuration that a document means. Always the same object for the same text: never change it. */
export function configOf(text: string): ClusterConfig {
  return remembered(configs, text, parse);
}

function parse(text: string): ClusterConfig {
  const nodes: ListedNode[] = [];
  let version = 0;
  let totem = ["1000", "1", "udpu"];
  let disarmedUntil: string | undefined;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.split(" ");
    if (word === "totem") totem = rest;
    else if (word === "version") version = Number(rest[0]);
    else if (word === "disarmed") disarmedUntil = rest[0];
    else if (word === "node")
      nodes.push({ id: Number(rest[0]), prio: Number(rest[1]), votes: Number(rest[2]) });
    else if (line !== "") throw new Error(`the simulator's own document is broken: ${line}`);
  }
  nodes.sort((left, right) => left.id - right.id);
  const totalVotes = nodes.reduce((sum, node) => sum + node.votes, 0);
  const rings = Array.from({ length: Number(totem[1]) }, (_, ring) => ring);
  return {
    clusterName: "sim",
    configVersion: version,
    tokenMs: Number(totem[0]),
    transport: totem[2] === "udp" ? "udp" : "udpu",
    rings: rings.map((ring) => ({ ring, mcastport: 5405 + 2 * ring, ttl: 1 })),
    totalVotes,
    quorumVotes: quorumOf(totalVotes),
    ihttpdPorts: [SERVICE_PORT],
    nodes: nodes.map((node) => ({
      ...node,
      addresses: rings.map((ring) => `10.${ring}.0.${node.id}`),
      replication: true,
    })),
    clusterIps: [{ ...CLUSTER_IP }],
    managedService: {
      kind: "unit",
      unit: "vmmgr.service",
      startTimeoutMs: SERVICE_START_LIMIT_MS,
      stopTimeoutMs: SERVICE_STOP_LIMIT_MS,
    },
    routePort: 7423,
    ...(disarmedUntil === undefined ? {} : { disarmedUntil }),
    notHonoured: [],
  };
}

function digestOf(text: string): string {
  return remembered(digests, text, (each) => createHash("sha256").update(each).digest("hex"));
}

/** The same text with another line for one node; no line when `node` is null. */
export function withNode(text: string, id: NodeId, node: ListedNode | null): string {
  const kept = text.split("\n").filter((line) => line !== "" && !line.startsWith(`node ${id} `));
  if (node !== null) kept.push(`node ${id} ${node.prio} ${node.votes}`);
  return [...kept, ""].join("\n");
}

/** The same text with another token. */
export function withToken(text: string, tokenMs: number): string {
  return text.replace(/^totem \d+/m, `totem ${tokenMs}`);
}

/** The same text with automation off until then, or on. */
export function withDisarmed(text: string, until: string | null): string {
  const kept = text.split("\n").filter((line) => line !== "" && !line.startsWith("disarmed "));
  return [...kept, ...(until === null ? [] : [`disarmed ${until}`]), ""].join("\n");
}

export const documentTools: DocumentTools = {
  digest: digestOf,
  read: (text) => ({ ok: true, config: configOf(text) }),
  withVersion: (text, version) => ({ ok: true, text: text.replace(/^version .*$/m, `version ${version}`) }),
  swapPrioWithHighest: (text, id) => {
    const { nodes } = configOf(text);
    const own = nodes.find((node) => node.id === id);
    const first = nodes.toSorted((left, right) => right.prio - left.prio || left.id - right.id)[0];
    if (own === undefined || first === undefined)
      return { ok: false, reason: { code: "NODE_UNKNOWN", message: `no node ${id}` } };
    if (first.id === id) return { ok: true, text };
    const prio = first.prio === own.prio ? own.prio + 1 : first.prio;
    const lowered = withNode(text, first.id, { ...first, prio: own.prio });
    return { ok: true, text: withNode(lowered, id, { ...own, prio }) };
  },
};

export function refOf(term: number, text: string): ConfigRef {
  return { term, version: configOf(text).configVersion, digest: digestOf(text) };
}

/** What `quorate init` leaves. */
export function firstDocument(text: string): StoredDocument {
  const reason = { code: "INIT", message: "Written by `quorate init`." };
  return { ref: refOf(0, text), text, from: null, reason, stickinessDue: false };
}
