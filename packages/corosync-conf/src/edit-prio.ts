import { PRIO_MAXIMUM, QuorateError } from "@quorate/contracts";
import type { ConfDocument, ConfSection } from "./document.ts";
import { keysOf, lastKey, sectionsNamed } from "./document.ts";
import type { PathStep, Splice } from "./edit.ts";
import { insertSection, setValue, spliced } from "./edit.ts";
import { indentationUnit, lineEndingOf, sectionLines } from "./layout.ts";
import type { Member } from "./members.ts";
import { membersOf, nodeSections } from "./members.ts";
import { referenceFor } from "./reference.ts";

interface Ranked {
  readonly id: number;
  readonly prio: number;
}

/**
 * Sets a node's `prio`. In a file of corosync 1's style, with members and no nodelist, a nodelist is added.
 * Throws QuorateError NODE_UNKNOWN, or CONFIG_INVALID for what can't be a prio.
 */
export function setNodePrio(document: ConfDocument, nodeId: number, prio: number): ConfDocument {
  if (!Number.isSafeInteger(prio) || prio < 0 || prio > PRIO_MAXIMUM) {
    throw new QuorateError(
      "CONFIG_INVALID",
      `${prio} is no prio`,
      `give a whole number from 0 to ${PRIO_MAXIMUM}`,
    );
  }
  const listed = withNodelist(document);
  return setValue(listed, [...stepsTo(listed, nodeId), "prio"], String(prio));
}

/**
 * Sets a node's `maintenance_until` (ISO 8601, UTC), or removes it with null. Throws QuorateError NODE_UNKNOWN.
 */
export function setMaintenanceUntil(
  document: ConfDocument,
  nodeId: number,
  until: string | null,
): ConfDocument {
  const listed = withNodelist(document);
  const steps = stepsTo(listed, nodeId);
  if (until !== null) return setValue(listed, [...steps, "maintenance_until"], until);
  const section = nodeSections(listed.root).find((each) => numberIn(each, "nodeid") === nodeId);
  const entries = section === undefined ? [] : keysOf(section);
  return spliced(
    listed,
    entries.flatMap(({ key, start, end }) => (key === "maintenance_until" ? [{ start, end, text: "" }] : [])),
  );
}

/**
 * Sticky mastership: the node swaps its `prio` with the highest. Afterwards it ranks first by (prio, then
 * lowest id). Where equal prios make swapping not enough it gets one more than they have. A document in which
 * it ranks first already is returned as it is.
 * Throws QuorateError NODE_UNKNOWN, or CONFIG_INVALID for a node of `prio: 0`, which never leads.
 */
export function swapPrioWithHighest(document: ConfDocument, nodeId: number): ConfDocument {
  const nodes = rankedNodes(document);
  const own = nodes.find((node) => node.id === nodeId);
  if (own === undefined) throw unknownNode(nodeId);
  if (own.prio === 0) {
    throw new QuorateError(
      "CONFIG_INVALID",
      `node ${nodeId} has prio: 0 and never leads`,
      `give it a prio first: quorate node prio ${nodeId} N`,
    );
  }
  let edited = document;
  for (const { id, prio } of swapped(nodes, own)) edited = setNodePrio(edited, id, prio);
  return edited;
}

/** The prios that change. */
function swapped(nodes: readonly Ranked[], own: Ranked): Ranked[] {
  const [highest = own] = nodes.toSorted((a, b) => b.prio - a.prio || a.id - b.id);
  if (highest.id === own.id) return [];
  const changes = highest.prio === own.prio ? [] : [{ id: highest.id, prio: own.prio }];
  const ties = nodes.filter(
    (node) =>
      node.id < own.id && node.prio === highest.prio && !changes.some((change) => change.id === node.id),
  );
  if (ties.length === 0) return [...changes, { id: own.id, prio: highest.prio }];
  if (highest.prio < PRIO_MAXIMUM) return [...changes, { id: own.id, prio: highest.prio + 1 }];
  const lowered = ties.map((node) => ({ id: node.id, prio: node.prio - 1 }));
  return [...changes, ...lowered, { id: own.id, prio: highest.prio }];
}

/** Every node that can be told, with the `prio` that counts for it. */
function rankedNodes(document: ConfDocument): Ranked[] {
  const defaultPrio = Number(referenceFor("nodelist.node", "prio")?.default);
  const sections = nodeSections(document.root);
  if (sections.length === 0)
    return membersOf(document.root).map(({ nodeId }) => ({ id: nodeId, prio: defaultPrio }));
  return sections.map((section) => {
    const id = numberIn(section, "nodeid");
    const prio = lastKey(section, "prio") === undefined ? defaultPrio : numberIn(section, "prio");
    return { id, prio };
  });
}

function numberIn(section: ConfSection, key: string): number {
  const value = lastKey(section, key)?.value ?? "";
  if (/^[0-9]+$/.test(value)) return Number(value);
  const what = `the node in line ${section.line} has no proper ${key}`;
  throw new QuorateError(
    "CONFIG_INVALID",
    what,
    "correct the file; `quorate config check FILE` names every problem",
  );
}

/** The way to the node's section: a nodeid may be written with leading zeros, so the number decides. */
function stepsTo(document: ConfDocument, nodeId: number): PathStep[] {
  const sections = nodeSections(document.root);
  const index = sections.findIndex((section) => numberIn(section, "nodeid") === nodeId);
  if (index === -1) throw unknownNode(nodeId);
  return ["nodelist", { section: "node", index }];
}

/** The document itself, or where it has members and no nodelist, with a nodelist that says the same. */
function withNodelist(document: ConfDocument): ConfDocument {
  if (nodeSections(document.root).length > 0) return document;
  const members = membersOf(document.root);
  if (members.length === 0) return document;
  return spliced(document, [nodelistSplice(document, members)]);
}

function nodelistSplice(document: ConfDocument, members: readonly Member[]): Splice {
  const unit = indentationUnit(document);
  const ending = lineEndingOf(document.text);
  const nodelist = sectionsNamed(document.root, "nodelist").at(-1);
  const nodes = members.flatMap(({ address, nodeId }) =>
    sectionLines(
      ["node"],
      [
        ["ring0_addr", address],
        ["nodeid", String(nodeId)],
      ],
      unit,
      unit,
    ),
  );
  if (nodelist !== undefined) {
    const text = nodes.map((line) => `${line}${ending}`).join("");
    return { start: nodelist.insideEnd, end: nodelist.insideEnd, text };
  }
  const empty = insertSection(document, document.root, ["nodelist"], []);
  const opening = `nodelist {${ending}`;
  const text = empty.text.replace(
    opening,
    () => `${opening}${nodes.map((line) => `${line}${ending}`).join("")}`,
  );
  return { ...empty, text };
}

function unknownNode(nodeId: number): QuorateError {
  return new QuorateError(
    "NODE_UNKNOWN",
    `there is no node ${nodeId} in the node list`,
    "`quorate nodes` lists them",
  );
}
