import { type Decision, decisionWeight } from "@quorate/contracts";
import { inOrder, type JournalRow } from "@quorate/journal-file";
import { choose } from "../src/why/choose.ts";
import { type Explanation, explain } from "../src/why/explain.ts";
import type { WhyTarget } from "../src/why/target.ts";

export const BOOT = "0123456789abcdef";
/** 10:00:00 of the host's own zone. */
export const WALL_MS = new Date(2026, 10, 22, 10, 0, 0).getTime();

export type Told = [atMs: number, service: string, code: string, message: string, more?: Partial<Decision>];

/** Decisions of node 4 as its journal would have them. */
export function decisions(told: readonly Told[], bootId = BOOT): Decision[] {
  return told.map(([atMs, service, code, message, more], index) => ({
    run: `${bootId}/${service}/1-1`,
    seq: index + 1,
    service,
    node: 4,
    bootId,
    wallMs: WALL_MS + atMs,
    monoUs: atMs * 1000,
    code,
    message,
    facts: {},
    event: null,
    old: null,
    new: null,
    eventId: null,
    causeId: null,
    term: null,
    view: null,
    config: null,
    ...more,
  }));
}

export function rowsOf(told: readonly Decision[]): JournalRow[] {
  const rows = told.map((decision, index) => ({
    ...decision,
    id: index + 1,
    weight: decisionWeight(decision.service, decision.code, decision.event),
  }));
  return inOrder(rows);
}

export const Q = "quorum-evaluator";
export const M = "membership";
export const A = "failover-actuator";
export const S = "supervisor";
export const role = (old: string | null, now: string, term: number): Partial<Decision> => ({
  event: "quorum.role_changed",
  old,
  new: now,
  facts: { term },
});
export const master = (old: number | null, now: number | null, term: number): Partial<Decision> => ({
  event: "quorum.master_changed",
  old,
  new: now,
  facts: { term },
});
export const peer = (node: number, now: string, facts: Decision["facts"] = {}): Partial<Decision> => ({
  event: "membership.peer_state_changed",
  old: "joined",
  new: now,
  facts: { peer: node, ...facts },
});
export const link = (node: number, ring: number): Partial<Decision> => ({
  event: "membership.link_state_changed",
  old: "up",
  new: "down",
  facts: { peer: node, ring },
});

/** Node 4 follows node 2, master of term 1. */
export const SLAVE: Told[] = [
  [0, S, "node_start", "Node 4 of C is started.", { event: "node.node_started", new: "running" }],
  [500, Q, "SILENT", "Silent.", role(null, "suspended", 0)],
  [1000, Q, "MASTER_KNOWN", "Node 2 is master of term 1.", master(null, 2, 1)],
  [1100, Q, "SLAVE", "In the view; follows node 2.", role("suspended", "slave", 1)],
];
/** Node 4 is master of term 1. */
export const MASTER: Told[] = [
  [0, S, "node_start", "Node 4 of C is started.", { event: "node.node_started", new: "running" }],
  [500, Q, "SILENT", "Silent.", role(null, "suspended", 0)],
  [1000, Q, "MASTER", "Master of term 1.", role("suspended", "master", 1)],
  [1001, Q, "MASTER_KNOWN", "Node 4 is master of term 1.", master(null, 4, 1)],
];
export const LOST: Told[] = [
  [61_000, Q, "NO_LEASE", "No quorum has granted this node a lease lately.", role("master", "suspended", 1)],
  [61_010, Q, "MASTER_UNKNOWN", "No master is known.", master(4, null, 1)],
];
export const WON: Told[] = [
  [61_000, Q, "STANDING", "Standing for master in term 2.", { facts: { term: 2 } }],
  [61_020, Q, "ELECTED", "Elected master of term 2 by 2 nodes.", { facts: { term: 2 } }],
  [61_021, Q, "MASTER", "Master of term 2.", role("slave", "master", 2)],
  [61_022, Q, "MASTER_KNOWN", "Node 4 is master of term 2.", master(null, 4, 2)],
];

export function why(told: readonly Told[], target: WhyTarget = { kind: "last" }): Explanation | null {
  const rows = rowsOf(decisions(told));
  const decision = choose(rows, target);
  return decision === null ? null : explain(rows, decision);
}
