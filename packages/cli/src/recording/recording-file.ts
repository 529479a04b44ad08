import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { QuorateError } from "@quorate/contracts";
import {
  QUORATE_VERSION,
  RECORDED_SERVICES,
  RECORDING_FORMAT,
  type RecordingOrigin,
  decodeTagged,
  sealRecording,
  writeFileDurablySync,
} from "@quorate/runtime";
import { z } from "zod";

/*
 * gzip of JSON lines: a header; for each service that answered its lines as it wrote them (`service`, then `segment` and
 * `step`, then `end`); last a digest of all lines before it.
 */
const MissingSchema = z.object({ node: z.int(), service: z.string(), why: z.string() });
const HeaderSchema = z.object({
  kind: z.literal("recording"),
  format: z.int(),
  version: z.string(),
  cluster: z.string(),
  recordedAt: z.string(),
  /** Who did not answer, and why. */
  missing: z.array(MissingSchema),
});
export type Missing = z.infer<typeof MissingSchema>;
export type RecordingHeader = z.infer<typeof HeaderSchema>;

const LineSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("service"),
    format: z.int(),
    version: z.string(),
    build: z.string(),
    service: z.enum(RECORDED_SERVICES),
    node: z.int(),
    recordedAt: z.string(),
  }),
  z.object({ kind: z.literal("segment"), state: z.unknown() }),
  z.object({ kind: z.literal("step"), input: z.unknown(), decided: z.unknown() }),
  z.object({ kind: z.literal("end"), steps: z.int(), decisions: z.string(), state: z.unknown() }),
]);
const SealSchema = z.object({ kind: z.literal("seal"), lines: z.int(), sha256: z.string() });

type Line = z.infer<typeof LineSchema>;
type Of<Kind extends Line["kind"]> = Extract<Line, { kind: Kind }>;

export interface RecordedSegment {
  state: unknown;
  steps: { input: unknown; decided: unknown }[];
}

export interface ServiceRecording {
  head: Of<"service">;
  segments: RecordedSegment[];
  end: Of<"end">;
}

export interface Recording {
  header: RecordingHeader;
  services: ServiceRecording[];
}

function invalid(path: string, what: string, hint: string): QuorateError {
  return new QuorateError("RECORDING_INVALID", `${path}: ${what}`, hint);
}

const AGAIN = "Make a new one with `quorate record`. If it was copied, copy it again.";

/** The bytes of a file of these parts; each part is a service's dump, gzip too. Throws QuorateError for a bad part. */
export function recordingBytes(origin: RecordingOrigin, parts: Uint8Array[]): Uint8Array {
  return sealRecording(
    origin,
    parts.map((part) => gunzipSync(part).toString("utf8")),
  );
}

export function writeRecording(path: string, bytes: Uint8Array): void {
  writeFileDurablySync(path, bytes, { mode: 0o600 });
}

/**
 * Reads and checks all of a recording; `force` takes one of another version of Quorate too.
 * Throws QuorateError RECORDING_INVALID with the place, or NODE_UNKNOWN's cousin for a file that is not there.
 */
export function readRecording(path: string, force: boolean): Recording {
  const lines = sealedLines(path, inflate(path));
  const header = parseLine(path, lines[0] ?? "", 1, HeaderSchema);
  checkVersion(path, header, force);
  const services: ServiceRecording[] = [];
  let open: { head: Of<"service">; segments: RecordedSegment[] } | null = null;
  for (const [index, text] of lines.slice(1).entries()) {
    const number = index + 2;
    const line: Line = parseLine(path, text, number, LineSchema);
    const out = (what: string) => invalid(path, `line ${number}: ${what}`, AGAIN);
    switch (line.kind) {
      case "service":
        if (open !== null) throw out("a service begins before the last one has ended");
        open = { head: line, segments: [] };
        break;
      case "segment":
        if (open === null) throw out("a segment outside of a service");
        open.segments.push({ state: line.state, steps: [] });
        break;
      case "step": {
        const segment = open?.segments.at(-1);
        if (segment === undefined) throw out("a step outside of a segment");
        segment.steps.push({ input: line.input, decided: line.decided });
        break;
      }
      case "end":
        if (open === null) throw out("an end without its service");
        services.push({ ...open, end: line });
        open = null;
        break;
    }
  }
  if (open !== null) throw invalid(path, `line ${lines.length}: the last service has no end.`, AGAIN);
  return { header, services };
}

function inflate(path: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw invalid(
      path,
      `cannot be read: ${(error as Error).message}.`,
      "Name a file that `quorate record` wrote.",
    );
  }
  try {
    return gunzipSync(bytes).toString("utf8");
  } catch (error) {
    const what = bytes[0] === 0x1f && bytes[1] === 0x8b ? "damaged or cut off" : "no recording (not gzip)";
    throw invalid(path, `is ${what}: ${(error as Error).message}.`, AGAIN);
  }
}

/** The lines before the seal, which is checked. */
function sealedLines(path: string, text: string): string[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw invalid(path, `line ${lines.length + 1} ends in the middle.`, AGAIN);
  const seal = parseLine(path, lines.pop() ?? "", lines.length + 1, SealSchema);
  const body = `${lines.join("\n")}\n`;
  if (seal.lines !== lines.length || createHash("sha256").update(body).digest("hex") !== seal.sha256) {
    throw invalid(
      path,
      `the ${lines.length} lines do not match the digest on line ${lines.length + 1}.`,
      AGAIN,
    );
  }
  return lines;
}

function parseLine<Schema extends z.ZodType>(
  path: string,
  text: string,
  number: number,
  schema: Schema,
): z.output<Schema> {
  let value: unknown;
  try {
    value = decodeTagged(text);
  } catch (error) {
    throw invalid(path, `line ${number}: ${(error as Error).message}.`, AGAIN);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(
    path,
    `line ${number}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not understood"}.`,
    AGAIN,
  );
}

function checkVersion(path: string, header: RecordingHeader, force: boolean): void {
  if (header.format !== RECORDING_FORMAT) {
    throw invalid(
      path,
      `line 1: it has format ${header.format}; this version reads ${RECORDING_FORMAT}.`,
      `Replay it with version ${header.version} of Quorate.`,
    );
  }
  if (header.version !== QUORATE_VERSION && !force) {
    throw invalid(
      path,
      `line 1: version ${header.version} recorded it, this is ${QUORATE_VERSION}: its cores may rightly decide otherwise.`,
      `Replay it with version ${header.version}; or see what this one would have decided, with --force.`,
    );
  }
}
