/**
 * Why a decision was made as it was: for each code that a process of a node may give as reason, the rule of the
 * protocol that was applied, and what would have led to another decision. `quorate why` prints them, docs/decisions.md
 * is generated from them, and a test holds them against the sources, both ways.
 */
import { CONFIG_DECISIONS } from "./decision-rules-config.ts";
import { FAILOVER_DECISIONS } from "./decision-rules-failover.ts";
import { MACHINE_DECISIONS } from "./decision-rules-machines.ts";
import { MEMBERSHIP_DECISIONS } from "./decision-rules-membership.ts";
import { JOURNAL_DECISIONS, SHARED_DECISIONS, SUPERVISOR_DECISIONS } from "./decision-rules-node.ts";
import { QUORUM_DECISIONS } from "./decision-rules-quorum.ts";

export { SHARED_DECISIONS };

/**
 * detail: how it came about; the first to be forgotten. notable: something happened to this node or to a peer.
 * important: who leads, who may answer, who is out.
 */
export type DecisionWeight = "detail" | "notable" | "important";

export interface DecisionRule {
  weight: DecisionWeight;
  /** One sentence. */
  rule: string;
  /** What would have changed it, one sentence. */
  otherwise: string;
}

export type DecisionTable = Readonly<Record<string, DecisionRule>>;

/** By process, then by code. */
export const DECISION_RULES: Readonly<Record<string, DecisionTable>> = {
  membership: MEMBERSHIP_DECISIONS,
  "quorum-evaluator": QUORUM_DECISIONS,
  "failover-actuator": { ...FAILOVER_DECISIONS, ...MACHINE_DECISIONS },
  "config-distributor": CONFIG_DECISIONS,
  supervisor: SUPERVISOR_DECISIONS,
  journal: JOURNAL_DECISIONS,
};

/** The rule behind a code; null when this version does not know the code. */
export function decisionRule(service: string, code: string): DecisionRule | null {
  const shared: DecisionTable = SHARED_DECISIONS;
  const table = Object.hasOwn(DECISION_RULES, service) ? DECISION_RULES[service] : undefined;
  if (table !== undefined && Object.hasOwn(table, code)) return table[code] ?? null;
  return Object.hasOwn(shared, code) ? (shared[code] ?? null) : null;
}

/** Events that change who leads or who may answer are important whatever their reason. */
const IMPORTANT_EVENTS: readonly string[] = [
  "quorum.role_changed",
  "quorum.master_changed",
  "quorum.quorum_changed",
  "quorum.handover_started",
  "quorum.handover_finished",
  "quorum.node_removed",
  "quorum.node_fenced",
  "quorum.amnesia_found",
  "quorum.kernel_paused",
  "failover.foreign_claim_seen",
  "failover.repaired",
  "failover.service_failed",
  "failover.ability_changed",
  "node.node_started",
  "node.node_stopped",
  "node.process_restarted",
];

const NOTABLE_EVENTS: readonly string[] = [
  "membership.peer_state_changed",
  "membership.link_state_changed",
  "quorum.node_admitted",
  "failover.gate_opened",
  "failover.gate_shut",
  "failover.problem_found",
  "failover.problem_gone",
  "config.config_committed",
];

const ORDER: readonly DecisionWeight[] = ["detail", "notable", "important"];

/** How much a decision matters: the heavier of its code's and its event's weight. */
export function decisionWeight(service: string, code: string, event: string | null): DecisionWeight {
  const ofCode = decisionRule(service, code)?.weight ?? "notable";
  const ofEvent =
    event === null
      ? "detail"
      : IMPORTANT_EVENTS.includes(event)
        ? "important"
        : NOTABLE_EVENTS.includes(event)
          ? "notable"
          : "detail";
  return ORDER.indexOf(ofEvent) > ORDER.indexOf(ofCode) ? ofEvent : ofCode;
}
