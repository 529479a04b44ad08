import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { QuorateError } from "@quorate/contracts";
import { z } from "zod";
import { writeFileDurablySync } from "./durable-file.ts";

/*
 * Files of the run directory that other programs read too: plain JSON, with the digest of the rest as one more member
 * that who does not know it ignores. A file without a digest was written by somebody else, and is believed.
 */
const WithDigestSchema = z.looseObject({ digest: z.string().optional() });

function digestOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** Replaces the file in one step, unless it says the same already. Throws QuorateError DISK_FULL. */
export function writeRunFileSync(path: string, content: object, mode: number): void {
  const text = `${JSON.stringify({ ...content, digest: digestOf(content) }, null, 2)}\n`;
  try {
    if (readFileSync(path, "utf8") === text) return;
  } catch {
    // Not there, or not readable: it is written.
  }
  writeFileDurablySync(path, text, { mode });
}

/** Throws QuorateError BUS_UNREACHABLE (not there), STATE_TORN, STATE_CORRUPT or MESSAGE_INVALID (other form). */
export function readRunFile<Schema extends z.ZodType>(path: string, schema: Schema): z.output<Schema> {
  const again =
    "Start the node again with `quorate node run`, which writes it anew; while it runs, it does so by itself.";
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new QuorateError(
      "BUS_UNREACHABLE",
      `Cannot read ${path}: ${(error as Error).message}.`,
      "Start the node with `quorate node run`, which writes it; or name its run directory with --run-dir.",
      { cause: error },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new QuorateError("STATE_TORN", `${path} is not whole: ${(error as Error).message}.`, again);
  }
  const stamped = WithDigestSchema.safeParse(value);
  if (stamped.success && stamped.data.digest !== undefined) {
    const { digest, ...content } = stamped.data;
    if (digestOf(content) !== digest) {
      throw new QuorateError("STATE_CORRUPT", `${path} does not match its digest.`, again);
    }
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues[0]?.message ?? "?";
  throw new QuorateError("MESSAGE_INVALID", `${path} has not the agreed form: ${what}.`, again);
}
