/**
 * Requests between services and from the command line: subject `requestSubject(cluster, node, service, verb)`,
 * JSON both ways. Every answer is `{ ok: true, … }` or `{ ok: false, error }`.
 */
import { z } from "zod";
import { ConfigRefSchema, TermSchema } from "./ballot.ts";
import { NodeIdSchema } from "./cluster-config.ts";
import { ERROR_TABLE, type ErrorCode } from "./errors.ts";
import {
  PeersMessageSchema,
  QuorumMessageSchema,
  ReasonSchema,
  ReportMessageSchema,
} from "./local-messages.ts";
import {
  DEFINITION_LIMIT_BYTES,
  PlacementNameSchema,
  VmIdSchema,
  VmMoveSchema,
  VmRecordSchema,
  VmReportSchema,
} from "./machine-messages.ts";

export const FailureSchema = z.object({
  ok: z.literal(false),
  error: z.object({
    code: z.custom<ErrorCode>((value) => typeof value === "string" && value in ERROR_TABLE),
    message: z.string(),
    hint: z.string(),
  }),
});

function answer<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.union([z.object({ ok: z.literal(true), ...shape }), FailureSchema]);
}

export const ConfigHistoryEntrySchema = z.object({
  ref: ConfigRefSchema,
  /** Wall clock of this node when it was stored, ISO 8601 UTC. */
  storedAt: z.string(),
  /** The node that proposed it under ref.term. */
  from: NodeIdSchema.nullable(),
  reason: ReasonSchema,
});

/**
 * What the service's core was given and what it decided, as far back as it is kept: gzip of JSON lines, base64, in
 * parts. `dump` null makes a new one; a dump is kept for a minute.
 */
const recording = {
  request: z.object({ dump: z.int().nullable(), part: z.int().min(0) }),
  answer: answer({ dump: z.int(), parts: z.int().min(1), data: z.string() }),
};

const WISH = z.enum(["running", "stopped", "undefined"]);

const MACHINES_SHAPE = {
  /** Null until this node has looked. */
  report: VmReportSchema.nullable(),
  /** The newest report of each node, this one's included. */
  reports: z.array(VmReportSchema),
  /** At the master, from when on it is sure: whose each machine is. */
  table: z.array(
    z.object({
      vm: VmIdSchema,
      owner: NodeIdSchema.nullable(),
      placement: PlacementNameSchema,
      movingTo: NodeIdSchema.nullable(),
    }),
  ),
  /** At the master: why each machine that should run does not. */
  blocked: z.array(z.object({ vm: VmIdSchema, reason: ReasonSchema })),
  /** At the master: why the newest move of a machine that was asked for came to nothing. */
  refusedMoves: z.array(z.object({ vm: VmIdSchema, to: NodeIdSchema, why: z.string() })).optional(),
  /** Hosts that a power device can switch off, as this node's configuration has them. */
  powerDevices: z.array(NodeIdSchema).optional(),
  /** This host's watchdog, where one is configured or armed. */
  watchdog: z
    .object({ timeoutMs: z.int().min(1), state: z.enum(["idle", "armed", "starving", "missing"]) })
    .nullable()
    .optional(),
  /** At the master: hosts that are taken for off, on whose word and since when. */
  offProofs: z
    .array(z.object({ node: NodeIdSchema, witness: z.enum(["operator", "device"]), agoMs: z.int().min(0) }))
    .optional(),
  /** At the master: hosts that their power device is to switch off, and what became of that so far. */
  offAttempts: z
    .array(z.object({ node: NodeIdSchema, failures: z.int().min(0), why: z.string().nullable() }))
    .optional(),
  /** Why a lease alone does not fence a machine of this node: it is not relocated when the node falls silent. */
  obstacles: z.array(z.object({ vm: VmIdSchema, obstacles: z.array(z.string()) })),
  problems: z.array(ReasonSchema),
} as const;

/** Verbs by service. The distributor of a node that is not master passes `propose` on to the master's. */
export const REQUESTS = {
  membership: {
    recording,
    status: {
      request: z.object({}),
      answer: answer({
        peers: PeersMessageSchema,
        counters: z.record(z.string(), z.int()),
        /** What is degraded, worst first. */
        problems: z.array(ReasonSchema),
      }),
    },
  },
  "quorum-evaluator": {
    recording,
    status: { request: z.object({}), answer: answer({ quorum: QuorumMessageSchema }) },
    /** Asks the master (this node) to hand over to `target`; answers when the order is taken. */
    move: { request: z.object({ target: NodeIdSchema }), answer: answer({ term: TermSchema }) },
    /** This node is about to stop: hand over if master, then ask to leave the view. Answers when done. */
    drain: { request: z.object({}), answer: answer({}) },
  },
  "failover-actuator": {
    recording,
    status: { request: z.object({}), answer: answer({ report: ReportMessageSchema }) },
    /** What this node has and knows of machines. MACHINES_OFF without a section `machines`. */
    machines: { request: z.object({}), answer: answer(MACHINES_SHAPE) },
    /** What this node's libvirt knows and nobody has taken under care. */
    "machine-discover": {
      request: z.object({}),
      answer: answer({
        domains: z.array(
          z.object({
            name: z.string(),
            state: z.string(),
            autostart: z.boolean(),
            /** False: libvirt forgets it when it ends. */
            persistent: z.boolean(),
            /** Null: its definition cannot be read; `problem` says why. */
            meaning: z
              .object({
                memoryMib: z.int(),
                vcpus: z.int(),
                disks: z.array(z.object({ target: z.string(), kind: z.string(), source: z.string() })),
                obstacles: z.array(z.string()),
              })
              .nullable(),
            problem: z.string().nullable(),
            xml: z.string(),
          }),
        ),
      }),
    },
    /** Takes a machine under care on this node, or changes its definition. */
    "machine-define": {
      request: z.object({
        xml: z.string().max(DEFINITION_LIMIT_BYTES),
        prio: z.int().nullable(),
        wanted: WISH.nullable(),
      }),
      answer: answer({ vm: VmIdSchema, obstacles: z.array(z.string()) }),
    },
    /** Other wishes for a machine that this node owns. `undefined` gives it up; its disks stay. */
    "machine-wish": {
      request: z.object({
        vm: VmIdSchema,
        wanted: WISH.nullable(),
        prio: z.int().nullable(),
        move: VmMoveSchema.nullable(),
      }),
      answer: answer({}),
    },
    /** At the master: move it live. Answers when the order is taken. */
    "machine-move": {
      request: z.object({ vm: VmIdSchema, to: NodeIdSchema }),
      answer: answer({ term: TermSchema }),
    },
    "machine-definition": {
      request: z.object({ digest: z.string() }),
      answer: answer({ xml: z.string() }),
    },
    /** At the master: an operator's word that this node is off. NODE_MAY_BE_ON where something speaks against it. */
    "machine-confirm-off": {
      request: z.object({ node: NodeIdSchema }),
      answer: answer({
        term: TermSchema,
        /** Machines that waited for it: where they start now, or why they wait on. */
        placed: z.array(z.object({ vm: VmIdSchema, to: NodeIdSchema })),
        left: z.array(z.object({ vm: VmIdSchema, reason: ReasonSchema })),
      }),
    },
    /** At the master: what would happen if these nodes were gone; from the live state, by the same code. */
    "machine-plan": {
      request: z.object({ down: z.array(NodeIdSchema) }),
      answer: answer({
        term: TermSchema,
        placed: z.array(z.object({ vm: VmIdSchema, from: NodeIdSchema.nullable(), to: NodeIdSchema })),
        left: z.array(z.object({ vm: VmIdSchema, reason: ReasonSchema })),
        /** Storages that do not answer a host that would be left. */
        unreachable: z.array(z.object({ node: NodeIdSchema, storage: z.string() })),
        /** From the death on: until the start is ordered, as the protocol bounds it. */
        orderedWithinMs: z.int(),
      }),
    },
  },
  "config-distributor": {
    recording,
    status: {
      request: z.object({}),
      answer: answer({
        stored: ConfigRefSchema,
        committed: ConfigRefSchema.nullable(),
        /** The operator's file differs from what runs: what to do about it. */
        fileNote: ReasonSchema.nullable(),
        text: z.string(),
        /** What is degraded, worst first. */
        problems: z.array(ReasonSchema),
      }),
    },
    /** The document itself, newest here; carries the asker's term, refused by a node that is older. */
    get: {
      request: z.object({ term: TermSchema, ref: ConfigRefSchema }),
      answer: answer({ ref: ConfigRefSchema, text: z.string(), reason: ReasonSchema }),
    },
    /** Compare-and-swap: `text` becomes version base.version + 1 if `base` is still the committed one. */
    propose: {
      request: z.object({
        base: ConfigRefSchema,
        text: z.string(),
        reason: ReasonSchema,
        /** Passed on by another node's distributor: never passed on again. */
        forwarded: z.boolean().optional(),
      }),
      answer: answer({ ref: ConfigRefSchema }),
    },
    /** All nodes' inventories as this node has them; `replication: off`: REPLICA_OFF. */
    inventory: {
      request: z.object({}),
      answer: answer({ records: z.array(z.object({ node: NodeIdSchema, record: VmRecordSchema })) }),
    },
    "machine-definition": {
      request: z.object({ digest: z.string() }),
      answer: answer({ xml: z.string() }),
    },
    history: {
      request: z.object({ limit: z.int().min(1).max(1000) }),
      answer: answer({ entries: z.array(ConfigHistoryEntrySchema) }),
    },
  },
  /** Is not on the bus: it has to work while the bus is down. */
  journal: {},
} as const;
