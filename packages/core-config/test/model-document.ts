import { createHash } from "node:crypto";
import { type ClusterConfig, type ConfigRef, type QuorumMessage, quorumOf } from "@quorate/contracts";
import type { DocumentTools, StoredDocument } from "../src/index.ts";

/** A document in a grammar of our own: `cluster NAME`, `version N`, `note TEXT`, `node ID PRIO VOTES`. */
export function documentText(
  version: number,
  nodes: ReadonlyArray<{ id: number; prio: number; votes?: number }>,
  note = "",
  clusterName = "VM",
): string {
  const lines = nodes.map((node) => `node ${node.id} ${node.prio} ${node.votes ?? 1}`);
  return [`cluster ${clusterName}`, `version ${version}`, `note ${note}`, ...lines, ""].join("\n");
}

export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function configOf(part: Partial<ClusterConfig> & Pick<ClusterConfig, "nodes">): ClusterConfig {
  const totalVotes = part.nodes.reduce((sum, node) => sum + node.votes, 0);
  return {
    clusterName: "VM",
    configVersion: 1,
    tokenMs: 1000,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes,
    quorumVotes: quorumOf(totalVotes),
    ihttpdPorts: [],
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 7423,
    notHonoured: [],
    ...part,
  };
}

function parse(text: string): ClusterConfig | null {
  const nodes: ClusterConfig["nodes"] = [];
  let clusterName = "";
  let configVersion = -1;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.split(" ");
    if (word === "cluster") clusterName = rest[0] ?? "";
    else if (word === "version") configVersion = Number(rest[0]);
    else if (word === "node") {
      const [id, prio, votes] = rest.map(Number);
      nodes.push({
        id: id ?? 0,
        prio: prio ?? 0,
        votes: votes ?? 1,
        addresses: [`10.0.0.${id}`],
        replication: true,
      });
    } else if (word !== "note" && line !== "") return null;
  }
  if (clusterName === "" || !Number.isInteger(configVersion) || nodes.length === 0) return null;
  return configOf({ clusterName, configVersion, nodes });
}

export const modelTools: DocumentTools = {
  digest: digestOf,
  read: (text, fileName) => {
    const config = parse(text);
    if (config !== null) return { ok: true, config };
    return { ok: false, reason: { code: "CONFIG_SYNTAX", message: `${fileName}:1:1: broken; repair it` } };
  },
  withVersion: (text, version) => ({ ok: true, text: text.replace(/^version .*$/m, `version ${version}`) }),
  swapPrioWithHighest: (text, node) => {
    const config = parse(text);
    const own = config?.nodes.find((entry) => entry.id === node);
    if (own === undefined) return { ok: false, reason: { code: "NODE_UNKNOWN", message: `no node ${node}` } };
    const first = [...(config?.nodes ?? [])].sort((a, b) => b.prio - a.prio || a.id - b.id)[0] ?? own;
    if (first.id === node) return { ok: true, text };
    const prio = first.prio === own.prio ? own.prio + 1 : first.prio;
    return {
      ok: true,
      text: text
        .replace(new RegExp(`^node ${node} .*$`, "m"), `node ${node} ${prio} ${own.votes}`)
        .replace(new RegExp(`^node ${first.id} .*$`, "m"), `node ${first.id} ${own.prio} ${first.votes}`),
    };
  },
};

export function refOf(term: number, text: string): ConfigRef {
  return { term, version: parse(text)?.configVersion ?? 0, digest: digestOf(text) };
}

export function configFrom(text: string): ClusterConfig {
  const config = parse(text);
  if (config === null) throw new Error("the model's own document is broken");
  return config;
}

export function storedDocument(
  term: number,
  text: string,
  part: Partial<StoredDocument> = {},
): StoredDocument {
  return {
    ref: refOf(term, text),
    text,
    from: null,
    reason: { code: "INIT", message: "init" },
    stickinessDue: false,
    ...part,
  };
}

export function quorumMessage(part: Partial<QuorumMessage> & Pick<QuorumMessage, "stored">): QuorumMessage {
  return {
    stampUs: 0,
    node: 1,
    bootId: "0123456789abcdef",
    term: 1,
    role: "slave",
    leader: null,
    masterLeaseEndUs: 0,
    nodeLeaseEndUs: 0,
    promise: null,
    view: { term: 1, number: 1, members: [] },
    out: false,
    amnesic: false,
    votes: { total: 3, quorum: 2, present: 3 },
    quorate: "yes",
    fences: [],
    committed: null,
    joint: false,
    disarmedUntil: null,
    readmit: [],
    problems: [],
    reason: { code: "TEST", message: "test" },
    ...part,
  };
}
