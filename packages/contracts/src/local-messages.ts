/**
 * What the four services of one node tell each other over the local bus. Every message is a complete
 * statement of the sender's present knowledge, repeated by the clock and at once on change, so that a lost
 * one heals by itself. `stampUs` is the sender's CLOCK_MONOTONIC, which all services of a host share.
 */
import { z } from "zod";
import {
  BootIdSchema,
  CarriedBallotSchema,
  ConfigRefSchema,
  MicrosecondsSchema,
  TermSchema,
  ViewSchema,
} from "./ballot.ts";
import { NodeIdSchema } from "./cluster-config.ts";

/** A decision's reason: a stable code, one English sentence, the facts it used. */
export const ReasonSchema = z.object({
  code: z.string(),
  message: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});
export type Reason = z.infer<typeof ReasonSchema>;

/** quorum-evaluator to membership: carry this ballot in a heartbeat at once. Comes by the clock, and sooner on news. */
export const BallotMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  ballot: CarriedBallotSchema,
});
export type BallotMessage = z.infer<typeof BallotMessageSchema>;

/** membership to quorum-evaluator: a ballot that was never heard before. Older than T/5: dropped. */
export const HeardMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  receivedAtUs: MicrosecondsSchema,
  from: NodeIdSchema,
  ballot: CarriedBallotSchema,
});
export type HeardMessage = z.infer<typeof HeardMessageSchema>;

export const PEER_STATES = ["joined", "suspect", "one-way", "failed", "left"] as const;
export const PeerStateSchema = z.enum(PEER_STATES);
export type PeerState = z.infer<typeof PeerStateSchema>;

export const LinkSchema = z.object({
  ring: z.int(),
  /** We hear the peer on this link; the peer says that it hears us. */
  hears: z.boolean(),
  heard: z.boolean(),
  lossPercent: z.number(),
});
export type Link = z.infer<typeof LinkSchema>;

export const PeerSchema = z.object({
  node: NodeIdSchema,
  state: PeerStateSchema,
  /** When the state began. */
  sinceUs: MicrosecondsSchema,
  /** When the newest datagram of the peer came; null when none ever did. */
  lastHeardUs: MicrosecondsSchema.nullable(),
  bootId: BootIdSchema.nullable(),
  incarnation: z.int().nullable(),
  /** What the peer's heartbeats say it has stored. */
  config: ConfigRefSchema.nullable(),
  links: z.array(LinkSchema),
  reason: ReasonSchema,
});
export type Peer = z.infer<typeof PeerSchema>;

/** membership to everybody on the node: who is there. On change and every T/2. */
export const PeersMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  node: NodeIdSchema,
  bootId: BootIdSchema,
  incarnation: z.int(),
  /** How late our own loop has been lately, in multiples that stretch patience: 1 is healthy (Lifeguard). */
  patience: z.number(),
  /** Sorted by node; every other node of the node list. */
  peers: z.array(PeerSchema),
});
export type PeersMessage = z.infer<typeof PeersMessageSchema>;

export const RoleSchema = z.enum(["master", "slave", "suspended"]);
export type Role = z.infer<typeof RoleSchema>;

/**
 * quorum-evaluator to failover-actuator: what may be open and until when. On change, when a lease has grown, and every T/2.
 * (term, generation) never goes back; a close is sticky: it also voids every grant of an older generation.
 */
export const GrantMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  term: TermSchema,
  generation: z.int().min(0),
  role: RoleSchema,
  /** The VIP's gate may be open until then; 0 when not master. */
  masterLeaseEndUs: MicrosecondsSchema,
  /** Virtual machines' gates may be open until then. */
  nodeLeaseEndUs: MicrosecondsSchema,
  /** Shut the VIP's gate now, read it back, and report `shutConfirmed` with this (term, generation). */
  close: z.boolean(),
  view: z.object({ term: TermSchema, number: z.int() }),
  /** Automation is off: keep what runs as it is, repair and move nothing; gates still follow the lease. */
  disarmed: z.boolean(),
  reason: ReasonSchema,
});
export type GrantMessage = z.infer<typeof GrantMessageSchema>;

/** failover-actuator to everybody on the node: what is. On change and every 2T/5. */
export const ReportMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  /** The newest grant acted upon. */
  term: TermSchema,
  generation: z.int(),
  gate: z.enum(["shut", "open", "unknown"]),
  /** The close that was carried out and read back from the kernel. */
  shutConfirmed: z.object({ term: TermSchema, generation: z.int() }).nullable(),
  /** Whether this node could serve as master, or why not (no carrier, service failed three times …). */
  able: z.object({ ok: z.boolean(), code: z.string(), message: z.string() }),
  /** Nothing is held that this term's placement does not give; null until looked. */
  cleanUnderTerm: TermSchema.nullable(),
  /**
   * At the master: nodes outside the view that still have a copy of a machine which is another's by now, whatever they
   * said of themselves before they learnt that. They are not let back in.
   */
  strays: z.array(NodeIdSchema).optional(),
  address: z.enum(["absent", "present", "unknown"]),
  service: z.enum(["stopped", "starting", "ready", "failing", "stopping", "none"]),
  /** What is degraded, worst first. */
  problems: z.array(ReasonSchema),
  /** Guarantees that are truly in force, as `status` prints them. */
  guarantees: z.array(z.object({ name: z.string(), inForce: z.boolean(), detail: z.string() })),
});
export type ReportMessage = z.infer<typeof ReportMessageSchema>;

/** config-distributor to quorum-evaluator: this document is durably here. On change and every three seconds. */
export const StoredMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  ref: ConfigRefSchema,
  /** The master that it came from under ref.term; this node itself when it proposed it. */
  from: NodeIdSchema.nullable(),
  text: z.string(),
});
export type StoredMessage = z.infer<typeof StoredMessageSchema>;

/** config-distributor to everybody on the node: the document to run on. On change and every three seconds. */
export const ConfigMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  ref: ConfigRefSchema,
  text: z.string(),
});
export type ConfigMessage = z.infer<typeof ConfigMessageSchema>;

/** quorum-evaluator to everybody on the node: the whole of its judgement. On change and every T/2. */
export const QuorumMessageSchema = z.object({
  stampUs: MicrosecondsSchema,
  node: NodeIdSchema,
  bootId: BootIdSchema,
  term: TermSchema,
  role: RoleSchema,
  /** Whom this node follows, when that one is heard or promised to. */
  leader: NodeIdSchema.nullable(),
  masterLeaseEndUs: MicrosecondsSchema,
  nodeLeaseEndUs: MicrosecondsSchema,
  promise: z.object({ to: NodeIdSchema, untilUs: MicrosecondsSchema }).nullable(),
  view: ViewSchema,
  out: z.boolean(),
  amnesic: z.boolean(),
  votes: z.object({ total: z.int(), quorum: z.int(), present: z.int() }),
  /** yes: the node lease is valid; no: it lapsed; pending: not known yet (just started). */
  quorate: z.enum(["yes", "no", "pending"]),
  /** At the master: nodes outside the view and whether what they held is surely over (INV-4). */
  fences: z.array(
    z.object({
      node: NodeIdSchema,
      verdict: z.enum(["yes", "pending"]),
      atUs: MicrosecondsSchema.nullable(),
    }),
  ),
  /** At the master: nodes outside the view and how long each must be joined before it may come back. */
  quarantines: z
    .array(
      z.object({
        node: NodeIdSchema,
        /** T, doubled for each removal soon after another, at most 32 T. */
        waitUs: MicrosecondsSchema,
        removals: z.int(),
        /** Not before this; null while it is not joined. */
        untilUs: MicrosecondsSchema.nullable(),
      }),
    )
    .optional(),
  /** What this node has stored as the evaluator counts it. */
  stored: ConfigRefSchema,
  /** The newest known to be committed in the leader's term; null until then (no change is accepted). */
  committed: ConfigRefSchema.nullable(),
  /** A change of nodes or votes in flight: both quorums count. */
  joint: z.boolean(),
  disarmedUntil: z.string().nullable(),
  /** At the master: nodes that lost their state. A new committed version (content unchanged) re-admits them. */
  readmit: z.array(NodeIdSchema),
  /** What is wrong or unusual, worst first. */
  problems: z.array(ReasonSchema),
  reason: ReasonSchema,
});
export type QuorumMessage = z.infer<typeof QuorumMessageSchema>;
