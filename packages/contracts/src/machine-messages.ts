/**
 * What a master and the hosts of virtual machines say to each other. Every message is a complete statement of the
 * sender's present knowledge, repeated until taken: a lost one heals by the next.
 * See docs/adr/0013-placements-live-with-the-owner.md.
 */
import { z } from "zod";
import { TermSchema } from "./ballot.ts";
import { NodeIdSchema, WatchdogConfigSchema } from "./cluster-config.ts";

/** A machine's name, as libvirt has it. */
export const VmIdSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}$/);
export type VmId = z.infer<typeof VmIdSchema>;

/**
 * A definition is parsed in one go by the process that keeps the leases alive, on every host that gets it. libvirt's own
 * are of 5 to 20 KiB; one of 255 disks has 3500 tags. What is within the limits takes 30 ms at the worst.
 */
export const DEFINITION_LIMIT_BYTES = 256 * 1024;
/** Counted by `<`: every tag, comment and the like. */
export const DEFINITION_LIMIT_TAGS = 4000;
/** Counted by `xmlns`. libvirt's own have one or two; each that is nested is copied by the parser for all inside it. */
export const DEFINITION_LIMIT_NAMESPACES = 64;

/**
 * Names one placement for ever: one machine, one owner, one start. What was given up under it is never started under
 * it again. {0, 0} is the placement of a machine that was found on its host before any master spoke.
 */
export const PlacementNameSchema = z.object({
  term: TermSchema,
  /** Rises within the term with every decision of its master, over restarts of its process too. */
  number: z.int().min(0),
});
export type PlacementName = z.infer<typeof PlacementNameSchema>;

export const ViewNameSchema = z.object({ term: TermSchema, number: z.int().min(0) });
export type ViewName = z.infer<typeof ViewNameSchema>;

/**
 * How a machine leaves a host that is drained, or is moved: with its memory; shut down there and started here; or the one
 * and, where that is broken off, the other. `live` unless its record says otherwise.
 */
export const VmMoveSchema = z.enum(["live", "restart", "live-or-restart"]);
export type VmMove = z.infer<typeof VmMoveSchema>;

/** One machine as its owner's inventory has it. The owner is its only writer. */
export const VmRecordSchema = z.object({
  vm: VmIdSchema,
  /** Under which the writer owns, or owned, the machine. */
  placement: PlacementNameSchema,
  /** Rises with every change that the writer makes under one placement. */
  revision: z.int().min(0),
  /** Names the definition (the domain's XML) among the documents: its SHA-256, hex. */
  definition: z.string(),
  memoryMib: z.int().min(0),
  vcpus: z.int().min(0),
  /** Higher is placed first. */
  prio: z.int(),
  wanted: z.enum(["running", "stopped", "undefined"]),
  /** `local`: its disks lie on the writer's host only. */
  storage: z.enum(["shared", "local"]),
  /** The storages that its disks need, by name, sorted. */
  storages: z.array(z.string()),
  move: VmMoveSchema.optional(),
  /** False when something of it passes by the gates (macvtap, hostdev …): a lease alone does not fence it. */
  gated: z.boolean(),
  /**
   * What runs under this placement, from before its start: the definition may have been changed since, and counts from
   * the next start. Null or missing: nothing was started, or by a version that did not say.
   */
  started: z.object({ definition: z.string(), gated: z.boolean() }).nullable().optional(),
  /**
   * A promise of whoever keeps the record: since it stands, nothing that the gates do not hold was started here but under
   * an armed watchdog which resets the host this long after it was fed last, at the most. Never withdrawn: who has it
   * starts the machine so, or not at all. Missing: no promise.
   */
  watchdogUs: z.int().min(1).optional(),
  /**
   * The placement is over on the writer's host: nothing is left of it and nothing will be started under it. Written
   * before it is said. `to` is the placement that a live migration went to.
   */
  released: z.object({ to: PlacementNameSchema.nullable() }).nullable(),
});
export type VmRecord = z.infer<typeof VmRecordSchema>;

/** A host's inventory as it lies on its disk. */
export const VmInventoryFileSchema = z.object({ records: z.array(VmRecordSchema) });
/** The number of the newest life of the process that keeps it. */
export const VmLifeFileSchema = z.object({ incarnation: z.int().min(0) });
/** The watchdog that this host armed and has not taken down. */
export const ArmedWatchdogFileSchema = z.object({ watchdog: WatchdogConfigSchema.nullable() });

/**
 * `incoming`: a live migration's target, paused, its memory not yet complete; `incoming-complete`: complete, paused;
 * `moved-out`: its source after it, stopped for good; `ended`: there, and will never run again.
 */
export const CopyStateSchema = z.enum([
  "starting",
  "running",
  "paused",
  "incoming",
  "incoming-complete",
  "migrating",
  "moved-out",
  "ended",
]);
export type CopyState = z.infer<typeof CopyStateSchema>;

/** A copy of a machine on a host, in whatever state. None in a report means that there is none. */
export const CopyReportSchema = z.object({
  vm: VmIdSchema,
  state: CopyStateSchema,
  /** The placement that it was started under; null for one that nobody here ordered. */
  placement: PlacementNameSchema.nullable(),
  /** Its owner still has the word of a master on it and the lease has not lapsed since. */
  confirmed: z.boolean(),
  /** Its host was out of the view since its last confirmation: it may have been relocated meanwhile. */
  wasOut: z.boolean(),
  /** Its host's watchdog, which was promised for it, is lost: nobody may count on that. */
  unguarded: z.boolean().optional(),
  /** So often in a row it was found paused though nobody had paused it: it is resumed later and later. */
  relapses: z.int().min(2).optional(),
});
export type CopyReport = z.infer<typeof CopyReportSchema>;

/** Why a placement came to nothing on a host. */
export const CopyFailureSchema = z.object({
  vm: VmIdSchema,
  placement: PlacementNameSchema,
  /** The target of the live move that failed; null or missing: something else did. */
  move: PlacementNameSchema.nullable().optional(),
  code: z.string(),
  message: z.string(),
});
export type CopyFailure = z.infer<typeof CopyFailureSchema>;

/** A host to everybody: what it has. Sent only after it has looked. On change and every T/2. */
export const VmReportSchema = z.object({
  node: NodeIdSchema,
  /** Rises with every life of the process; a statement to an earlier life counts for nothing. */
  incarnation: z.int().min(0),
  sequence: z.int().min(0),
  /** The newest statement carried in; nothing older will ever be obeyed by this life or a later one. */
  adopted: PlacementNameSchema,
  view: ViewNameSchema,
  /** Sorted by machine. */
  copies: z.array(CopyReportSchema),
  records: z.array(VmRecordSchema),
  /** This life found its records damaged: a machine that it does not name it may have had all the same. */
  recordsLost: z.boolean().optional(),
  failures: z.array(CopyFailureSchema),
  memoryMib: z.int().min(0),
  vcpus: z.int().min(0),
  /** Names of storages that this host cannot reach. */
  storageGone: z.array(z.string()),
  /** Its hypervisor does not say what is here: nothing is given to this host. */
  hypervisorSilent: z.boolean().optional(),
  /** The timeout of the watchdog that the host can arm, in microseconds; null: it has none. */
  watchdogUs: z.int().min(0).nullable().optional(),
});
export type VmReport = z.infer<typeof VmReportSchema>;

/** What a master wants of one machine on one host. A machine that no order names is left as it is, gates shut. */
export const VmOrderSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("run"),
    vm: VmIdSchema,
    /** Yours under this name. A copy of another one is destroyed first. */
    placement: PlacementNameSchema,
    /** For a start: everything a host needs to become the machine's writer. */
    record: VmRecordSchema,
    /** A start waits this long from the receipt: what the fenced owner sent may still be on its way. */
    waitUs: z.int().min(0),
  }),
  /** Yours, and must not run. */
  z.object({ kind: z.literal("stop"), vm: VmIdSchema, placement: PlacementNameSchema }),
  /** Not yours. `forget`: its record here is outdated, and the newer one is known to be kept by its owner. */
  z.object({
    kind: z.literal("destroy"),
    vm: VmIdSchema,
    owner: NodeIdSchema.nullable(),
    forget: z.boolean(),
  }),
  /** A live migration will come; start it paused and gated under this name. It is not yours until a `run`. */
  z.object({
    kind: z.literal("incoming"),
    vm: VmIdSchema,
    placement: PlacementNameSchema,
    from: NodeIdSchema,
    record: VmRecordSchema,
  }),
  /** Yours; move it live. Without success it stays yours. */
  z.object({
    kind: z.literal("migrate"),
    vm: VmIdSchema,
    placement: PlacementNameSchema,
    to: NodeIdSchema,
    target: PlacementNameSchema,
  }),
]);
export type VmOrder = z.infer<typeof VmOrderSchema>;

/** The master of `term` to one life of one host. Without orders it only asks. */
export const VmStatementSchema = z.object({
  term: TermSchema,
  view: ViewNameSchema,
  /** Rises with every change of the orders to this host. */
  number: z.int().min(0),
  from: NodeIdSchema,
  to: NodeIdSchema,
  incarnation: z.int().min(0),
  /** Sorted by machine, one for each at most. */
  orders: z.array(VmOrderSchema),
});
export type VmStatement = z.infer<typeof VmStatementSchema>;
