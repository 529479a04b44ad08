import { type ClusterConfig, QuorateError, VmIdSchema } from "@quorate/contracts";
import { findNode } from "../configuration-file.ts";
import { parseMoment } from "../moment.ts";

export type WhyTarget =
  | { kind: "last" }
  | { kind: "node"; node: number }
  | { kind: "term"; term: number }
  | { kind: "time"; atMs: number }
  | { kind: "vm"; vm: string };

/**
 * What `why` is asked about: nothing (the last thing of importance), `node:4` or a node's id, name or address,
 * `term:7`, a time, or `vm:web` or a machine's name. A bare number is the node of that id when the node list has one, else
 * a term; a name that no node has is a machine's.
 */
export function parseTarget(
  text: string | undefined,
  config: ClusterConfig | null,
  nowMs: number,
): WhyTarget {
  if (text === undefined) return { kind: "last" };
  const named = /^(node|term|vm):(.*)$/.exec(text);
  if (named?.[1] === "vm") return { kind: "vm", vm: named[2] ?? "" };
  if (named?.[1] === "term") return { kind: "term", term: wholeNumber(named[2] ?? "", "term") };
  if (named?.[1] === "node") return { kind: "node", node: nodeOf(named[2] ?? "", config) };
  const atMs = parseMoment(text, nowMs);
  if (atMs !== null) return { kind: "time", atMs };
  if (/^\d+$/.test(text)) {
    const value = Number(text);
    const isId = config?.nodes.some(({ id }) => id === value) === true;
    return isId ? { kind: "node", node: value } : { kind: "term", term: wholeNumber(text, "term") };
  }
  return isNode(text, config) || !VmIdSchema.safeParse(text).success
    ? { kind: "node", node: nodeOf(text, config) }
    : { kind: "vm", vm: text };
}

function isNode(text: string, config: ClusterConfig | null): boolean {
  return config?.nodes.some(({ name, addresses }) => name === text || addresses.includes(text)) === true;
}

function nodeOf(text: string, config: ClusterConfig | null): number {
  if (config !== null) return findNode(config, text).id;
  if (/^\d+$/.test(text)) return wholeNumber(text, "node id");
  throw new QuorateError(
    "USAGE",
    `${text} is neither a time, nor a term, nor a node that can be looked up: the node list cannot be read.`,
    "Say `quorate why`, `quorate why node:4`, `quorate why term:7`, `quorate why 10:15` or `quorate why '5m ago'`.",
  );
}

function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new QuorateError(
    "USAGE",
    `"${text}" is not a ${what}.`,
    "Say for example `quorate why term:7` or `quorate why node:4`.",
  );
}

/** How the question is put in messages. */
export function targetText(target: WhyTarget): string {
  switch (target.kind) {
    case "last":
      return "anything of importance";
    case "node":
      return `node ${target.node}`;
    case "term":
      return `term ${target.term}`;
    case "vm":
      return `a node or machine ${target.vm}`;
    case "time":
      return `the time around ${new Date(target.atMs).toISOString()}`;
  }
}
