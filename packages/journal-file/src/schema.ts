import { type Decision, DecisionSchema } from "@quorate/contracts";
import { z } from "zod";

/** Of the file; another one is set aside as if it were broken. */
export const JOURNAL_FORMAT = 1;

export const CREATE_TABLES = `
CREATE TABLE IF NOT EXISTS decision (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  seq INTEGER NOT NULL,
  service TEXT NOT NULL,
  node INTEGER NOT NULL,
  boot TEXT NOT NULL,
  wall_ms INTEGER NOT NULL,
  mono_us INTEGER NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  facts TEXT NOT NULL,
  event TEXT,
  old TEXT NOT NULL,
  new TEXT NOT NULL,
  event_id TEXT,
  cause_id TEXT,
  term INTEGER,
  view TEXT,
  config INTEGER,
  weight TEXT NOT NULL,
  UNIQUE (run, seq)
) STRICT;
CREATE INDEX IF NOT EXISTS decision_wall ON decision (wall_ms);
CREATE INDEX IF NOT EXISTS decision_weight ON decision (weight, id);
PRAGMA user_version = ${JOURNAL_FORMAT};
`;

/** A decision as the journal gives it back. */
export interface JournalRow extends Decision {
  /** In the order in which the journal learnt of them. */
  id: number;
  weight: "detail" | "notable" | "important";
}

const StoredSchema = z.object({
  id: z.int(),
  run: z.string(),
  seq: z.int(),
  service: z.string(),
  node: z.int(),
  boot: z.string(),
  wall_ms: z.int(),
  mono_us: z.int(),
  code: z.string(),
  message: z.string(),
  facts: z.string(),
  event: z.string().nullable(),
  old: z.string(),
  new: z.string(),
  event_id: z.string().nullable(),
  cause_id: z.string().nullable(),
  term: z.int().nullable(),
  view: z.string().nullable(),
  config: z.int().nullable(),
  weight: z.enum(["detail", "notable", "important"]),
});

/** Null for a row that has not the agreed form: the file was edited, or its pages are damaged. */
export function rowOf(stored: unknown): JournalRow | null {
  const parsed = StoredSchema.safeParse(stored);
  if (!parsed.success) return null;
  const {
    boot,
    wall_ms,
    mono_us,
    facts,
    old,
    new: now,
    event_id,
    cause_id,
    weight,
    id,
    ...rest
  } = parsed.data;
  try {
    const decision = DecisionSchema.safeParse({
      ...rest,
      bootId: boot,
      wallMs: wall_ms,
      monoUs: mono_us,
      facts: JSON.parse(facts) as unknown,
      old: JSON.parse(old) as unknown,
      new: JSON.parse(now) as unknown,
      eventId: event_id,
      causeId: cause_id,
    });
    return decision.success ? { ...decision.data, id, weight } : null;
  } catch {
    return null;
  }
}
