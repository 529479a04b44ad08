import { z } from "zod";
import { BootIdSchema, ConfigRefSchema, TermSchema, ViewSchema } from "./ballot.ts";
import { type ClusterConfig, NodeIdSchema } from "./cluster-config.ts";

/** What the quorum-evaluator needs of a configuration: who votes with how much, who leads, and the token. */
export const VotersSchema = z.object({
  tokenMs: z.int().min(1),
  /** max(expected_votes, sum of the nodes' votes). */
  totalVotes: z.int().min(1),
  /** Sorted by id. */
  nodes: z.array(z.object({ id: NodeIdSchema, prio: z.int().min(0), votes: z.int().min(0) })).min(1),
});
export type Voters = z.infer<typeof VotersSchema>;

export function votersOf(config: ClusterConfig): Voters {
  return {
    tokenMs: config.tokenMs,
    totalVotes: config.totalVotes,
    nodes: config.nodes.map(({ id, prio, votes }) => ({ id, prio, votes })),
  };
}

/** What the quorum-evaluator must not forget over a crash (INV-6). Written before anything is sent. */
export const EvaluatorStateSchema = z.object({
  format: z.literal(1),
  node: NodeIdSchema,
  /** The boot it was written in; null as `quorate init` leaves it. */
  bootId: BootIdSchema.nullable(),
  term: TermSchema,
  /** Whom this node voted for, or learnt to have won, in `term`. */
  follows: NodeIdSchema.nullable(),
  /** Own masterships and candidacies up to this term are over and never come back. */
  overTerm: TermSchema,
  successor: NodeIdSchema.nullable(),
  /** Who could not serve as master, this node included, when it gave the mastership away for inability. */
  tried: z.array(NodeIdSchema),
  /** The version in which this node, master of `term`, was first the highest; a later raise is an operator's. */
  stickyVersion: z.int().nullable(),
  view: ViewSchema,
  out: z.boolean(),
  amnesic: z.boolean(),
  /** While amnesic: the version first seen; only a later committed one re-admits. */
  amnesicSinceVersion: z.int().nullable(),
  stored: ConfigRefSchema,
  voters: VotersSchema,
  /** The document that last changed who votes with how much; who has not stored it gets no grant. */
  electorateRef: ConfigRefSchema,
  /** Earlier voters whose quorum still counts too, until the change is committed and T(1 + rho) passed. */
  jointWith: z.array(VotersSchema),
  /** Rises with every close order and every won mastership. */
  generation: z.int().min(0),
});
export type EvaluatorState = z.infer<typeof EvaluatorStateSchema>;
