/**
 * What the nodes decide, as their own logs say it, read from outside while it is written: code, facts, and the wall
 * clock at which it was decided, which all hosts of a lab share.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { hostDir } from "../host.ts";
import type { Lab } from "../lab.ts";
import { Listeners } from "./listeners.ts";

const LOGS = ["quorum-evaluator.log", "failover-actuator.log"];
const LOOK_MS = 10;
const MOST_BYTES = 1024 * 1024;

const LineSchema = z.looseObject({ time: z.iso.datetime(), code: z.string(), message: z.string() });

export type Decision = {
  host: number;
  atMs: number;
  code: string;
  message: string;
  facts: Readonly<Record<string, unknown>>;
};

type Followed = { host: number; path: string; offset: number; rest: string };

export class DecisionLog extends Listeners<Decision> {
  readonly #files: Followed[];
  readonly #timer: NodeJS.Timeout;

  private constructor(files: Followed[]) {
    super();
    this.#files = files;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Everything that is decided from now on. */
  static start(lab: Lab): DecisionLog {
    const record = lab.record();
    const files = record.hosts.flatMap(({ id }) =>
      LOGS.map((name) => {
        const path = join(hostDir(record, id), "state/log", name);
        return { host: id, path, offset: sizeOf(path), rest: "" };
      }),
    );
    return new DecisionLog(files);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const file of this.#files) {
      file.rest += readFrom(file);
      const lines = file.rest.split("\n");
      file.rest = lines.pop() ?? "";
      for (const line of lines) {
        const decision = parseDecision(file.host, line);
        if (decision !== null) this.tell(decision);
      }
    }
  }
}

/** Null for a line of the log that is no decision. */
export function parseDecision(host: number, line: string): Decision | null {
  try {
    const parsed = LineSchema.safeParse(JSON.parse(line));
    if (!parsed.success) return null;
    const { time, code, message, ...facts } = parsed.data;
    return { host, atMs: Date.parse(time), code, message, facts };
  } catch {
    return null;
  }
}

function sizeOf(path: string): number {
  return withFile(path, (file) => fstatSync(file).size) ?? 0;
}

function readFrom(followed: Followed): string {
  const read = (file: number) => {
    const { size } = fstatSync(file);
    // Emptied, because it had grown too large.
    if (size < followed.offset) followed.offset = 0;
    const bytes = Buffer.alloc(Math.min(MOST_BYTES, size - followed.offset));
    const count = readSync(file, bytes, 0, bytes.length, followed.offset);
    followed.offset += count;
    return bytes.toString("utf8", 0, count);
  };
  return withFile(followed.path, read) ?? "";
}

function withFile<Result>(path: string, body: (file: number) => Result): Result | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    // The host has not got its power yet.
    return null;
  }
  try {
    return body(file);
  } finally {
    closeSync(file);
  }
}
