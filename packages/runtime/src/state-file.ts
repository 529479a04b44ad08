import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { QuorateError } from "@quorate/contracts";
import type { z } from "zod";
import { writeFileDurably, writeFileDurablySync } from "./durable-file.ts";

/*
 * A state file is one header line and JSON:
 *   quorate-state 1 sha256=<hex of everything after this line>
 * The digest tells a torn or edited file from a good one; a rename alone does not survive every file system.
 */
const HEADER = /^quorate-state 1 sha256=([0-9a-f]{64})\n/;

function encode(state: unknown): string {
  const body = `${JSON.stringify(state)}\n`;
  return `quorate-state 1 sha256=${createHash("sha256").update(body).digest("hex")}\n${body}`;
}

function corrupt(path: string, what: string): QuorateError {
  return new QuorateError(
    "STATE_CORRUPT",
    `${path} cannot be trusted: ${what}.`,
    "Do not edit or copy state files by hand. Move the file away and start again: the node then has no vote " +
      "until a master elected without it re-admits it. Check the disk.",
  );
}

/**
 * The state last written, or null when there is no such file.
 * Throws QuorateError STATE_CORRUPT when the digest or the form is wrong.
 */
export function readStateFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): z.output<Schema> | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw corrupt(path, (error as Error).message);
  }
  const header = HEADER.exec(text);
  if (header === null) throw corrupt(path, "the header line is missing or broken");
  const body = text.slice(header[0].length);
  if (createHash("sha256").update(body).digest("hex") !== header[1]) {
    throw corrupt(path, "the digest does not match the content");
  }
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw corrupt(path, "the content is not JSON");
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw corrupt(path, `the content has not the agreed form (${parsed.error.issues[0]?.message ?? "?"})`);
  }
  return parsed.data;
}

/** Makes `state` durable, then resolves. Throws QuorateError DISK_FULL. */
export async function writeStateFile(path: string, state: unknown): Promise<void> {
  await writeFileDurably(path, encode(state), { mode: 0o600 });
}

/** Makes `state` durable before it returns (about 1.5 ms): persist, then send. Throws QuorateError DISK_FULL. */
export function writeStateFileSync(path: string, state: unknown): void {
  writeFileDurablySync(path, encode(state), { mode: 0o600 });
}
