/**
 * The one registry of all events. Types come from it by inference; docs/schemas/events.json and
 * docs/events.md are generated from it (`npm run generate` in packages/contracts), and a test keeps
 * them equal. To add an event, add it here and run that script.
 */
import { z } from "zod";
import { BootIdSchema, ConfigRefSchema, TermSchema } from "./ballot.ts";
import { NodeIdSchema } from "./cluster-config.ts";
import { PeerStateSchema, RoleSchema } from "./local-messages.ts";
import type { EventDomain } from "./subjects.ts";

const FactSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** One kind of event: what it means, and the form of its `old`, `new` and `facts`. */
function event<Old extends z.ZodType, New extends z.ZodType, Facts extends z.ZodRawShape>(
  meaning: string,
  form: { old: Old; new: New; facts: Facts },
) {
  return {
    meaning,
    data: z.object({
      old: form.old,
      new: form.new,
      /** A stable code. */
      reason: z.string().regex(/^[a-z][a-z0-9_.-]*$/i),
      /** One English sentence. */
      message: z.string(),
      /** Those named here are always there; a publisher may add more. */
      facts: z.object(form.facts).catchall(FactSchema),
    }),
  };
}

const nothing = z.null();
const peer = { peer: NodeIdSchema };
const address = { address: z.string(), device: z.string() };
const viewName = z.object({ term: TermSchema, number: z.int(), members: z.array(NodeIdSchema) });
const quorateWord = z.enum(["yes", "no", "pending"]);
const serviceWord = z.enum(["stopped", "starting", "ready", "failing", "stopping", "none"]);
const gateWord = z.enum(["shut", "open", "unknown"]);

export const EVENTS = {
  membership: {
    peer_state_changed: event("A peer was joined, suspected, lost, or left.", {
      old: PeerStateSchema.nullable(),
      new: PeerStateSchema,
      facts: peer,
    }),
    link_state_changed: event("One link to a peer began or ceased to carry both ways.", {
      old: z.enum(["up", "down"]).nullable(),
      new: z.enum(["up", "down"]),
      facts: { ...peer, ring: z.int() },
    }),
    datagrams_rejected: event("Datagrams were dropped at the door; at most one event in ten seconds.", {
      old: nothing,
      new: z.int(),
      facts: { count: z.int() },
    }),
    patience_changed: event(
      "This node's own loop was late (or is well again); it trusts its judgement less.",
      {
        old: z.number(),
        new: z.number(),
        facts: {},
      },
    ),
  },
  quorum: {
    role_changed: event("This node became master, slave or suspended.", {
      old: RoleSchema.nullable(),
      new: RoleSchema,
      facts: { term: TermSchema },
    }),
    master_changed: event("This node learnt of another master, or of none.", {
      old: NodeIdSchema.nullable(),
      new: NodeIdSchema.nullable(),
      facts: { term: TermSchema },
    }),
    term_raised: event("This node adopted a higher term.", { old: TermSchema, new: TermSchema, facts: {} }),
    view_changed: event("This node adopted another view.", {
      old: viewName.nullable(),
      new: viewName,
      facts: {},
    }),
    quorum_changed: event("This node gained or lost quorum.", {
      old: quorateWord,
      new: quorateWord,
      facts: { present: z.int(), quorum: z.int(), total: z.int() },
    }),
    node_removed: event("The master removed a node from the view.", {
      old: z.literal("member"),
      new: z.literal("removed"),
      facts: peer,
    }),
    node_admitted: event("The master admitted a node to the view.", {
      old: z.literal("removed"),
      new: z.literal("member"),
      facts: peer,
    }),
    node_fenced: event("What a removed node held is surely over.", {
      old: z.literal("pending"),
      new: z.literal("yes"),
      facts: peer,
    }),
    handover_started: event("The master began to hand over.", {
      old: NodeIdSchema.nullable(),
      new: NodeIdSchema.nullable(),
      facts: { term: TermSchema },
    }),
    handover_finished: event("The old master released the term; `new` is who should win the next one.", {
      old: NodeIdSchema.nullable(),
      new: NodeIdSchema.nullable(),
      facts: { term: TermSchema },
    }),
    drain_requested: event("This node was asked to leave in good order.", {
      old: nothing,
      new: z.literal("draining"),
      facts: {},
    }),
    amnesia_found: event("State is missing or corrupt: no vote until re-admitted.", {
      old: nothing,
      new: z.literal("amnesic"),
      facts: {},
    }),
    readmitted: event("A node without state may vote again.", {
      old: z.literal("amnesic"),
      new: z.literal("voter"),
      facts: {},
    }),
    kernel_paused: event("The kernel stood still: every lease was voided.", {
      old: nothing,
      new: z.number(),
      facts: { pauseMs: z.number() },
    }),
  },
  failover: {
    gate_opened: event("The cluster address may be answered from here.", {
      old: gateWord,
      new: gateWord,
      facts: {},
    }),
    gate_shut: event("The cluster address may no longer be answered from here.", {
      old: gateWord,
      new: gateWord,
      facts: {},
    }),
    address_added: event("The cluster address was put on an interface.", {
      old: nothing,
      new: z.string(),
      facts: address,
    }),
    address_removed: event("The cluster address was taken off an interface.", {
      old: z.string(),
      new: nothing,
      facts: address,
    }),
    address_announced: event("Gratuitous ARP or unsolicited NA was sent.", {
      old: nothing,
      new: z.string(),
      facts: address,
    }),
    foreign_claim_seen: event("Another machine answers for the cluster address.", {
      old: nothing,
      new: z.string(),
      facts: { address: z.string() },
    }),
    service_started: event("The managed service was started.", {
      old: serviceWord,
      new: serviceWord,
      facts: {},
    }),
    service_ready: event("The managed service answers on its ports.", {
      old: serviceWord,
      new: serviceWord,
      facts: {},
    }),
    service_failed: event("The managed service ended or ceased to answer.", {
      old: serviceWord,
      new: serviceWord,
      facts: {},
    }),
    service_stopped: event("The managed service was stopped.", {
      old: serviceWord,
      new: serviceWord,
      facts: {},
    }),
    repaired: event("Something that others changed was put right.", {
      old: z.string(),
      new: z.string(),
      facts: {},
    }),
    ability_changed: event("This node became able, or unable, to serve as master.", {
      old: z.enum(["able", "unable"]).nullable(),
      new: z.enum(["able", "unable"]),
      facts: {},
    }),
    relocated: event(
      "The mastership moved here; where machines are under care, those of failed nodes were ordered to start elsewhere.",
      {
        old: nothing,
        new: z.string(),
        facts: { term: TermSchema },
      },
    ),
    problem_found: event("Something is degraded.", { old: nothing, new: z.string(), facts: {} }),
    problem_gone: event("Something is no longer degraded.", { old: z.string(), new: nothing, facts: {} }),
  },
  config: {
    config_proposed: event("A change was proposed.", {
      old: ConfigRefSchema,
      new: ConfigRefSchema,
      facts: {},
    }),
    config_stored: event("A document is durably on this node.", {
      old: ConfigRefSchema.nullable(),
      new: ConfigRefSchema,
      facts: {},
    }),
    config_fetched: event("A newer document was fetched from another node.", {
      old: ConfigRefSchema.nullable(),
      new: ConfigRefSchema,
      facts: { from: NodeIdSchema },
    }),
    config_committed: event("A document is committed: no later master lacks it.", {
      old: ConfigRefSchema.nullable(),
      new: ConfigRefSchema,
      facts: {},
    }),
    config_rejected: event("A document or a proposal was refused.", {
      old: ConfigRefSchema.nullable(),
      new: ConfigRefSchema.nullable(),
      facts: {},
    }),
    priority_swapped: event("The master took the highest priority.", {
      old: z.int(),
      new: z.int(),
      facts: peer,
    }),
    store_failed: event(
      "The state folder does not take documents; the running one stays, it is tried again.",
      {
        old: nothing,
        new: ConfigRefSchema,
        facts: {},
      },
    ),
    store_recovered: event("The state folder takes documents again.", {
      old: nothing,
      new: ConfigRefSchema,
      facts: {},
    }),
    file_differs: event("The operator's file differs from what runs.", {
      old: nothing,
      new: z.string(),
      facts: {},
    }),
    disarmed: event("Automation was switched off until `new`.", {
      old: z.string().nullable(),
      new: z.string(),
      facts: {},
    }),
    armed: event("Automation is on again.", { old: z.string().nullable(), new: nothing, facts: {} }),
  },
  node: {
    node_started: event("The supervisor started this node.", {
      old: nothing,
      new: z.literal("running"),
      facts: { bootId: BootIdSchema },
    }),
    node_stopped: event("The supervisor stops this node.", {
      old: z.literal("running"),
      new: z.literal("stopped"),
      facts: {},
    }),
    process_started: event("One of this node's processes started.", {
      old: nothing,
      new: z.int(),
      facts: { process: z.string() },
    }),
    process_restarted: event("One of this node's processes ended and was started again.", {
      old: z.int().nullable(),
      new: z.int(),
      facts: { process: z.string() },
    }),
    process_adopted: event("A new supervisor took over a process that ran on.", {
      old: z.int(),
      new: z.int(),
      facts: { process: z.string() },
    }),
  },
} as const satisfies Record<EventDomain, Record<string, { meaning: string; data: z.ZodType }>>;

export type EventName<Domain extends EventDomain> = keyof (typeof EVENTS)[Domain] & string;

type Registered<
  Domain extends EventDomain,
  Name extends EventName<Domain>,
> = (typeof EVENTS)[Domain][Name] extends {
  data: infer Data extends z.ZodType;
}
  ? z.output<Data>
  : never;

/** `{ old, new, reason, message, facts }` of one event. */
export type EventData<Domain extends EventDomain, Name extends EventName<Domain>> = Registered<Domain, Name>;

/** The frame around every event: CloudEvents 1.0, JSON. */
export const EventEnvelopeSchema = z.object({
  specversion: z.literal("1.0"),
  /** Unique: node, boot and sequence. */
  id: z.string(),
  /** `/quorate/<cluster>/<node>/<service>` */
  source: z.string(),
  /** `quorate.v1.<domain>.<event>` */
  type: z.string(),
  /** Wall clock of the node, ISO 8601 UTC: for people; order events of a node by `sequence`. */
  time: z.string(),
  datacontenttype: z.literal("application/json"),
  nodeid: NodeIdSchema,
  bootid: BootIdSchema,
  /** Rises by one with every event of the node, over all of its services: a gap is a lost event. */
  sequence: z.int(),
  /** Id of the event that brought this one about. */
  causeid: z.string().optional(),
  data: z.object({
    old: z.unknown(),
    new: z.unknown(),
    reason: z.string(),
    message: z.string(),
    facts: z.record(z.string(), FactSchema),
  }),
});
export type EventEnvelope = z.infer<typeof EventEnvelopeSchema>;

/** The registered form of an event by its CloudEvents type, or null when this version does not know it. */
export function eventDataSchema(type: string): z.ZodType | null {
  const match = /^quorate\.v1\.([a-z]+)\.([a-z_]+)$/.exec(type);
  if (match === null) return null;
  const domains: Record<string, Record<string, { data: z.ZodType }>> = EVENTS;
  const domain = Object.hasOwn(domains, match[1] ?? "") ? domains[match[1] ?? ""] : undefined;
  if (domain === undefined || !Object.hasOwn(domain, match[2] ?? "")) return null;
  return domain[match[2] ?? ""]?.data ?? null;
}
