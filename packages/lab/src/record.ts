/**
 * What a lab has made, on disk before it is made: so that `down` clears everything even when the process that
 * brought the lab up was killed. One folder per lab, /run/quorate-lab/NAME by default.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { NodeIdSchema, QuorateError } from "@quorate/contracts";
import { z } from "zod";
import { isAlive, nameProcess, ProcessNameSchema, waitUntil } from "./processes.ts";

export const LAB_RUN_ROOT = "/run/quorate-lab";

export const LINK_STATES = ["up", "cut", "partitioned", "absent"] as const;

export const PortRecordSchema = z.object({
  /** The switch's end of the cable. */
  name: z.string(),
  /** The host's end, or the bridge that it is plugged into. */
  device: z.string(),
  /** The host's end where `device` is a bridge, as on a host of virtual machines; null: `device` itself. */
  uplink: z.string().nullable(),
  ring: z.int().min(0),
  mac: z.string(),
  address: z.string(),
  prefixLength: z.int(),
  link: z.enum(LINK_STATES),
  /** The bridge that it is plugged into while `link` is "partitioned". */
  bridge: z.string(),
});
export type PortRecord = z.infer<typeof PortRecordSchema>;

export const HostRecordSchema = z.object({
  id: NodeIdSchema,
  name: z.string(),
  ports: z.array(PortRecordSchema),
  /** How often it was switched on. */
  boots: z.int().min(0),
  /** What this boot's CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the machine's, in seconds. */
  clockOffsetS: z.int().min(0),
  /** The `unshare` that holds the namespaces, and its child, the host's PID 1; null while it has no power. */
  holder: ProcessNameSchema.nullable(),
  init: ProcessNameSchema.nullable(),
  frozen: z.boolean(),
  /** Command lines run once in the host before the node is started for the first time. */
  prepare: z.array(z.array(z.string())),
  prepared: z.boolean(),
  /** The command that PID 1 runs for ever. */
  run: z.array(z.string()),
});
export type HostRecord = z.infer<typeof HostRecordSchema>;

export const RuleSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("oneway"), from: NodeIdSchema, to: NodeIdSchema }),
  z.object({ kind: z.literal("storage-cut"), host: NodeIdSchema }),
  z.object({ kind: z.literal("loss"), host: NodeIdSchema, percent: z.int().min(0).max(100) }),
]);
export type Rule = z.infer<typeof RuleSchema>;

const StorageRecordSchema = z.object({
  holder: ProcessNameSchema,
  init: ProcessNameSchema,
  link: z.enum(["up", "cut"]),
});
export type StorageRecord = z.infer<typeof StorageRecordSchema>;

export const LabRecordSchema = z.object({
  format: z.literal(1),
  name: z.string(),
  /** The checkout whose programs run. */
  root: z.string(),
  dataDir: z.string(),
  tokenMs: z.int(),
  vips: z.array(z.string()),
  servicePort: z.int(),
  clientAddresses: z.array(z.string()),
  observerAddress: z.string(),
  rings: z.int().min(1),
  /** How many virtual machines there are, defined on every host and running nowhere by themselves; 0: none. */
  guests: z.int().min(0),
  /** The storage host with the guests' disks. */
  storage: StorageRecordSchema.nullable(),
  keysDir: z.string(),
  /** Who takes this lab down when it ends (`npm start`); null: somebody by hand. */
  owner: ProcessNameSchema.nullable(),
  /** The product's command line as run in a host. */
  quorate: z.array(z.string()),
  switch: ProcessNameSchema.nullable(),
  client: ProcessNameSchema.nullable(),
  hosts: z.array(HostRecordSchema),
  rules: z.array(RuleSchema),
});
export type LabRecord = z.infer<typeof LabRecordSchema>;

export type LabPlace = { name: string; runDir: string };

const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,31}$/;

export function placeOf(name: string, runRoot = LAB_RUN_ROOT): LabPlace {
  if (!NAME_PATTERN.test(name)) {
    throw new QuorateError(
      "USAGE",
      `"${name}" is no name for a lab`,
      "Use small letters, digits and dashes.",
    );
  }
  return { name, runDir: join(runRoot, name) };
}

function recordPath(place: LabPlace): string {
  return join(place.runDir, "lab.json");
}

/** The lab's record, or null when no lab of that name exists. A damaged record is an error, not absence. */
export function readRecord(place: LabPlace): LabRecord | null {
  let text: string;
  try {
    text = readFileSync(recordPath(place), "utf8");
  } catch {
    return null;
  }
  return LabRecordSchema.parse(JSON.parse(text));
}

const RemainsSchema = z.object({
  dataDir: z.string(),
  switch: ProcessNameSchema.nullable().catch(null),
  client: ProcessNameSchema.nullable().catch(null),
  storage: z.object({ holder: ProcessNameSchema, init: ProcessNameSchema }).nullable().catch(null),
  hosts: z
    .array(z.object({ holder: ProcessNameSchema.nullable(), init: ProcessNameSchema.nullable() }))
    .catch([]),
});
export type Remains = z.infer<typeof RemainsSchema>;

/** What there is to clear, even from a damaged record or one that another version wrote. */
export function readRemains(place: LabPlace): Remains | null {
  try {
    return RemainsSchema.parse(JSON.parse(readFileSync(recordPath(place), "utf8")));
  } catch {
    return null;
  }
}

export function writeRecord(place: LabPlace, record: LabRecord): void {
  mkdirSync(place.runDir, { recursive: true, mode: 0o755 });
  const temporary = `${recordPath(place)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(temporary, recordPath(place));
}

/** Runs `body` while no other command changes this lab. A lock whose owner died is taken over. */
export async function withLock<Result>(place: LabPlace, body: () => Promise<Result>): Promise<Result> {
  const path = `${place.runDir}.lock`;
  const own = nameProcess(process.pid);
  const taken = await waitUntil(() => takeLock(path, JSON.stringify(own)), 60_000, 25);
  if (!taken) {
    throw new QuorateError(
      "ALREADY_RUNNING",
      `lab ${place.name} is being changed`,
      `Its owner is in ${path}.`,
    );
  }
  try {
    return await body();
  } finally {
    rmSync(path, { force: true });
  }
}

function takeLock(path: string, owner: string): boolean {
  const temporary = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(temporary, owner);
  try {
    // A link appears whole: nobody ever reads a lock without its owner's name.
    linkSync(temporary, path);
    return true;
  } catch {
    if (!ownerLives(path)) rmSync(path, { force: true });
    return false;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function ownerLives(path: string): boolean {
  try {
    const owner = ProcessNameSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
    return owner.success && isAlive(owner.data);
  } catch {
    return true;
  }
}
