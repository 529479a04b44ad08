/**
 * What a node's journal keeps: each decision with its reason, the facts it used, and when. Every process of a node
 * tells the journal over a socket in the run directory (JSON lines), and remembers its newest ones, numbered, so that
 * a journal that was away is told afterwards.
 */
import { z } from "zod";
import { BootIdSchema, MicrosecondsSchema, TermSchema } from "./ballot.ts";
import { NodeIdSchema } from "./cluster-config.ts";

const FactSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const DecisionSchema = z.object({
  /** One start of one process: `<boot>/<service>/<pid>-<start>`. */
  run: z.string().min(1).max(200),
  /** From 1, without holes, within the run. */
  seq: z.int().min(1),
  service: z.string().min(1).max(40),
  node: NodeIdSchema,
  bootId: BootIdSchema,
  /** Wall clock, for people: milliseconds since 1970. May jump. */
  wallMs: z.int(),
  /** CLOCK_MONOTONIC, shared by all processes of the host: orders the decisions of one boot. */
  monoUs: MicrosecondsSchema,
  code: z.string().min(1).max(80),
  message: z.string().max(4000),
  facts: z.record(z.string(), FactSchema),
  /** `<domain>.<event>` when the decision was published as an event too, and what changed by it. */
  event: z.string().nullable(),
  old: z.unknown(),
  new: z.unknown(),
  eventId: z.string().nullable(),
  /** Id of the event that brought this about, where the decider knows it. */
  causeId: z.string().nullable(),
  term: TermSchema.nullable(),
  /** `<term>.<number>` */
  view: z.string().nullable(),
  config: z.int().nullable(),
});
export type Decision = z.infer<typeof DecisionSchema>;

/** In the run directory. */
export const JOURNAL_SOCKET = "journal.sock";
/** In the state folder. */
export const JOURNAL_FILE = "journal.sqlite";

/** A longer line on the socket ends the connection. */
export const JOURNAL_LINE_LIMIT_BYTES = 64 * 1024;

/** To the journal. */
export const ToJournalSchema = z.discriminatedUnion("kind", [
  /** First line of a process: what it still remembers. */
  z.object({
    kind: z.literal("hello"),
    run: DecisionSchema.shape.run,
    service: DecisionSchema.shape.service,
    oldest: z.int().min(1),
    newest: z.int().min(0),
  }),
  z.object({ kind: z.literal("decision"), decision: DecisionSchema }),
  /** From the command line: what is not on the disk yet. */
  z.object({ kind: z.literal("ask") }),
]);
export type ToJournal = z.infer<typeof ToJournalSchema>;

/** From the journal. */
export const FromJournalSchema = z.discriminatedUnion("kind", [
  /** Answer to `hello`: everything after this number is wanted. */
  z.object({ kind: z.literal("after"), seq: z.int().min(0) }),
  /** Answer to `ask`: one line each, then `end`. */
  z.object({ kind: z.literal("unwritten"), decision: DecisionSchema }),
  z.object({ kind: z.literal("end"), problem: z.string().nullable() }),
]);
export type FromJournal = z.infer<typeof FromJournalSchema>;
