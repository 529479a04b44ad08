import { z } from "zod";
import { NodeIdSchema } from "./cluster-config.ts";

/** An instant or a duration in whole microseconds; instants are CLOCK_MONOTONIC of the node that wrote them. */
export const MicrosecondsSchema = z.int();

/** The kernel's boot id, 16 hex digits of it: changes with every boot, stays over a restart of our processes. */
export const BootIdSchema = z.string().regex(/^[0-9a-f]{16}$/);

export const TermSchema = z.int().min(0);

/** Names one ballot for ever: who built it is known from the envelope, this says in which boot and when. */
export const BallotNameSchema = z.object({ bootId: BootIdSchema, atUs: MicrosecondsSchema });
export type BallotName = z.infer<typeof BallotNameSchema>;

/** Names one content of the configuration register. Newer is the higher (term, version), term first. */
export const ConfigRefSchema = z.object({
  term: TermSchema,
  version: z.int().min(0),
  /** SHA-256 of the document's bytes, hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ConfigRef = z.infer<typeof ConfigRefSchema>;

/** Negative when `left` is older than `right`, 0 when they name the same place in the register's order. */
export function compareConfigRefs(left: ConfigRef, right: ConfigRef): number {
  return left.term - right.term || left.version - right.version;
}

export const ViewMemberSchema = z.object({
  node: NodeIdSchema,
  /** The boot that is a member; null until the node was first seen. */
  bootId: BootIdSchema.nullable(),
});
export type ViewMember = z.infer<typeof ViewMemberSchema>;

/** The agreed set of members. A (term, number) has one content for ever. Members are sorted by node. */
export const ViewSchema = z.object({
  term: TermSchema,
  number: z.int().min(0),
  members: z.array(ViewMemberSchema),
});
export type View = z.infer<typeof ViewSchema>;

export function compareViews(
  left: { term: number; number: number },
  right: { term: number; number: number },
): number {
  return left.term - right.term || left.number - right.number;
}

/** What the sender knows of one peer's ballots; ages count from the first receipt, on the sender's clock. */
export const EchoSchema = z.object({
  node: NodeIdSchema,
  /** The newest ballot received from the peer. */
  received: BallotNameSchema.extend({ ageUs: MicrosecondsSchema }).nullable(),
  /** The newest ballot that the sender granted. */
  granted: BallotNameSchema.nullable(),
  /** Time since the sender's last grant to the peer, or since the sender started if it knows of none. */
  sinceLastGrantUs: MicrosecondsSchema,
});
export type Echo = z.infer<typeof EchoSchema>;

/**
 * What a quorum-evaluator says to every other. Membership carries it unread (`CarriedBallot`).
 * protocol.md, "Ballots, leases, promises".
 */
export const BallotSchema = z.object({
  node: NodeIdSchema,
  name: BallotNameSchema,
  /** Its content is new: an answer is wanted at once. An answer to it does not set this, or it would never end. */
  changed: z.boolean(),
  /** The sender's token: its promise lasts as long, so no lease may count on more. */
  tokenMs: z.int().min(1),
  term: TermSchema,
  /** Whom the sender voted for, or learnt to have won, in `term`. */
  follows: NodeIdSchema.nullable(),
  /** True while the sender holds the mastership of `term`. */
  master: z.boolean(),
  /** The newest term whose mastership or candidacy the sender gave up, and whom it would like next. */
  released: z
    .object({
      term: TermSchema,
      successor: NodeIdSchema.nullable(),
      /** Nodes that had the mastership in turn and could not serve: it goes to none of them again. */
      tried: z.array(NodeIdSchema),
    })
    .nullable(),
  /** The sender asks whether it could win `term`. Nothing is persisted for an answer. */
  preVote: z.object({ term: TermSchema }).nullable(),
  /** The sender's answer to somebody's preVote. */
  preVoteFor: z.object({ node: NodeIdSchema, term: TermSchema }).nullable(),
  view: ViewSchema,
  /** The sender learnt that it was removed from the view. */
  out: z.boolean(),
  /** The sender holds nothing that its placement does not give it, reported under this term and view. */
  clean: z.object({ term: TermSchema, viewTerm: TermSchema, viewNumber: z.int() }).nullable(),
  stored: ConfigRefSchema,
  /** From the master: what it knows to be committed. */
  committed: ConfigRefSchema.nullable(),
  /** Whether the sender could serve as master, and why not. */
  able: z.object({ ok: z.boolean(), code: z.string(), message: z.string() }),
  /** The sender lost its state: no vote, no grant, no place in any quorum. */
  amnesic: z.boolean(),
  /** The sender leaves: it asks to be removed from the view. */
  leaving: z.boolean(),
  /** Sorted by node. */
  echoes: z.array(EchoSchema),
});
export type Ballot = z.infer<typeof BallotSchema>;

/** More than 64 nodes need; a longer one is not believed. */
export const BALLOT_TEXT_MAX = 64 * 1024;

/**
 * A ballot as membership carries it: in the open what membership itself goes by, the rest a text that it never
 * reads. Only quorum-evaluators look into it, at one door (`readBallot`).
 */
export const CarriedBallotSchema = z.object({
  node: NodeIdSchema,
  name: BallotNameSchema,
  leaving: z.boolean(),
  stored: ConfigRefSchema,
  text: z.string().max(BALLOT_TEXT_MAX),
});
export type CarriedBallot = z.infer<typeof CarriedBallotSchema>;

export function carryBallot(ballot: Ballot): CarriedBallot {
  const { node, name, leaving, stored, ...rest } = ballot;
  return { node, name, leaving, stored, text: JSON.stringify(rest) };
}

/** Null when the text has not the agreed form. */
export function readBallot(carried: CarriedBallot): Ballot | null {
  const { text, ...open } = carried;
  let rest: unknown;
  try {
    rest = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof rest !== "object" || rest === null) return null;
  const parsed = BallotSchema.safeParse({ ...rest, ...open });
  return parsed.success ? parsed.data : null;
}
