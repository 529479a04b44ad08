import type { NodeId, Reason } from "@quorate/contracts";
import { placeAll } from "./place.ts";
import { copyReign, type Judgement, type RelocatorState, type RelocatorTurn } from "./relocator-state.ts";
import { sortedKeys, type VmId } from "./words.ts";

/** Tokens until a start is ordered after a host's death, at the most, `storage_settle` apart (protocol page, timing). */
const ORDERED_WITHIN_TOKENS = 1.5;

export interface PlanWithout {
  placed: { vm: VmId; from: NodeId | null; to: NodeId }[];
  /** What would not run, and why. */
  left: { vm: VmId; reason: Reason }[];
  /** Storages that do not answer a host that would be left: nothing that needs them is placed there. */
  unreachable: { node: NodeId; storage: string }[];
  /** From the death until the starts are ordered, at the most; the hosts then start them side by side. */
  orderedWithinMs: number;
}

/**
 * What would become of the machines if these nodes died now: the placing itself, on a copy of what this master knows,
 * with the nodes out of the view and fenced. Nothing is changed. Empty on a node that is not master.
 */
export function planWithout(state: RelocatorState, down: readonly NodeId[], nowUs: number): PlanWithout {
  const { config, reign, judgement } = state;
  const settleMs = config.storageSettleUs / 1000;
  const orderedWithinMs = Math.ceil((ORDERED_WITHIN_TOKENS * config.tokenUs) / 1000 + settleMs);
  if (reign === null || judgement === null) return { placed: [], left: [], unreachable: [], orderedWithinMs };
  const supposed: Judgement = {
    ...judgement,
    disarmed: false,
    members: judgement.members.filter((node) => !down.includes(node)),
    fences: [
      ...judgement.fences.filter(({ node }) => !down.includes(node)),
      ...down.map((node) => ({ node, verdict: "yes" as const, atUs: nowUs })),
    ],
  };
  const copy = copyReign(reign);
  const turn: RelocatorTurn = {
    state: { ...state, reign: copy, judgement: supposed, blocked: {} },
    reign: copy,
    judgement: supposed,
    nodes: [...config.nodes],
    nowUs,
    effects: [],
    reasons: [],
    wakeAtUs: Number.MAX_SAFE_INTEGER,
  };
  placeAll(turn);
  const placed: PlanWithout["placed"] = [];
  for (const vm of sortedKeys(copy.table)) {
    const from = reign.table[vm]?.owner ?? null;
    const to = copy.table[vm]?.owner ?? null;
    if (to !== null && to !== from) placed.push({ vm, from, to });
  }
  const left = sortedKeys(turn.state.blocked).flatMap((vm) => {
    const reason = turn.state.blocked[vm];
    return reason === undefined ? [] : [{ vm, reason }];
  });
  const unreachable = supposed.members.flatMap((node) =>
    (state.reports[node]?.storageGone ?? []).map((storage) => ({ node, storage })),
  );
  return { placed, left, unreachable, orderedWithinMs };
}
