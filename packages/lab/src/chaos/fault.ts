/** What a fault is: how it is done, what it excuses, what has to hold all the same. */
import { z } from "zod";
import { SampleSchema } from "../bench/results.ts";
import { DEFAULT_TOPOLOGY } from "../configuration.ts";
import type { Injection } from "./injection.ts";
import { ReplaySchema } from "./recordings.ts";

/** Of every lab of chaos. */
export const CHAOS_TOKEN_MS = DEFAULT_TOPOLOGY.tokenMs;

/** Whom it strikes. `all`: everybody at once. */
export type Struck = "master" | "slave" | "all";

/**
 * What the fault excuses.
 * nothing: master, term and view stay. view: the node may leave the view and return. failover: besides, one change
 * of master. anything: shown, not judged.
 */
export type Excuse = "nothing" | "view" | "failover" | "anything";

/** How the hosts are made. faketime: our processes' wall clock can be stepped. small-disk: 64 MB of state folder. */
export type HostKind = "plain" | "faketime" | "small-disk";

/** A value of every sample that must not exceed the limit. */
export type Reach = { value: string; limit: number };

/** Who is asked: the struck node, or one that was not; what `kind: phrase` of the cause has to match. */
export type ExpectedCause = { asked: "struck" | "other"; kind: RegExp };

export type Fault = {
  /** `<family>-<whom>`. */
  name: string;
  title: string;
  struck: Struck;
  /** Samples wanted. */
  n: number;
  hosts: HostKind;
  /** Faults of one group share a lab and take turns. */
  group: string;
  /** So many samples on one lab, then a new one: who was removed often is kept out ever longer. */
  samplesPerLab: number;
  excuse: Excuse;
  /** At least so long after the fault is over before "converged" counts: later effects must have shown. */
  watchMs: number;
  reach: readonly Reach[];
  /** What `quorate why` has to say of it. Null: nothing is decided, so nothing is asked. */
  expectedCause: ExpectedCause | null;
  /** Does it and undoes it; says when by `began` and `ended`. */
  inject: (injection: Injection) => Promise<void>;
};

const SeenSchema = z.object({
  master: z.int(),
  slaves: z.array(z.int()),
  term: z.int(),
  version: z.int(),
  view: z.string(),
});

export const ChaosSampleSchema = SampleSchema.extend({
  /** What was done, to whom, and when: wall clock, ms. */
  injected: z.object({
    fault: z.string(),
    node: z.int().nullable(),
    fromMs: z.number(),
    toMs: z.number(),
    details: z.array(z.string()),
  }),
  before: SeenSchema,
  /** Null: the cluster did not converge in time. */
  after: SeenSchema.nullable(),
  /** Who held the cluster address, in order of time. */
  holders: z.array(z.object({ host: z.int(), vip: z.string(), fromMs: z.number(), toMs: z.number() })),
  /** What `quorate why` said; null when it was not asked. */
  cause: z
    .object({
      asked: z.int(),
      expected: z.string(),
      /** The kind of cause that it named; null when it named none. */
      kind: z.string().nullable(),
      printed: z.string(),
      isRight: z.boolean(),
    })
    .nullable(),
  /** What became of the recordings of all nodes; null when none were asked for. */
  replay: ReplaySchema.nullable().default(null),
});
export type ChaosSample = z.infer<typeof ChaosSampleSchema>;

/** A sample in which the observer itself stood still for longer is marked. */
export const LATE_MS = 10;

export function isLate(sample: ChaosSample): boolean {
  return (sample.values["lateness_ms"] ?? 0) > LATE_MS;
}
