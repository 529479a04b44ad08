import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { Output } from "../output.ts";
import { LOG_KEPT } from "../node-run/log-file.ts";
import { locateNode, type Places } from "../snapshot.ts";

/** Of each file no more than its end is read. */
const TAIL_BYTES = 4 * 1024 * 1024;
const FOLLOW_EVERY_MS = 300;

interface Line {
  time: string;
  text: string;
  raw: string;
}

export interface LogOptions {
  limit: number;
  follow?: boolean | undefined;
  json?: boolean | undefined;
  /** Names of processes; empty: all. */
  names: readonly string[];
}

/** What the node's processes wrote, in the order of time, as text for people or as it is. */
export async function showLog(output: Output, places: Places, options: LogOptions): Promise<void> {
  const { stateDir } = locateNode(places);
  const folder = join(stateDir, "log");
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith(".log"))
        .map((file) => file.slice(0, -".log".length))
        .sort()
    : [];
  const unknown = options.names.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new QuorateError(
      "USAGE",
      `There is no log of ${unknown.join(", ")} in ${folder}.`,
      `There are: ${names.join(", ")}.`,
    );
  }
  const chosen = options.names.length === 0 ? names : options.names;
  const files = chosen.map((name) => ({ name, path: join(folder, `${name}.log`), offset: -1 }));
  const print = (lines: Line[]) => {
    for (const line of lines) output.write(options.json === true ? line.raw : line.text);
  };
  const read = () =>
    files.flatMap((file) => readNew(file)).sort((left, right) => compare(left.time, right.time));
  const first = files.flatMap((file) => readFirst(file, options.limit));
  print(first.sort((left, right) => compare(left.time, right.time)).slice(-options.limit));
  while (options.follow === true) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    print(read());
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

interface LogFile {
  name: string;
  path: string;
  /** Read up to here; negative before the first time. */
  offset: number;
}

/** The end of the file; of a file that was rotated lately, of the older ones too, until `limit` lines are found. */
function readFirst(file: LogFile, limit: number): Line[] {
  let lines = readNew(file);
  for (let age = 1; age <= LOG_KEPT && lines.length < limit; age++) {
    const older = `${file.path}.${age}`;
    if (!existsSync(older)) break;
    lines = [...readNew({ name: file.name, path: older, offset: -1 }), ...lines];
  }
  return lines;
}

/** Whole lines that came since last time. A file that became smaller was rotated: the rest is in the older one. */
function readNew(file: LogFile): Line[] {
  const descriptor = openSync(file.path, "r");
  try {
    const { size } = fstatSync(descriptor);
    let rest: Line[] = [];
    if (file.offset < 0) file.offset = Math.max(0, size - TAIL_BYTES);
    if (size < file.offset) {
      const older = `${file.path}.1`;
      if (existsSync(older) && statSync(older).size >= file.offset) rest = readNew({ ...file, path: older });
      file.offset = 0;
    }
    const buffer = Buffer.alloc(size - file.offset);
    const got = readSync(descriptor, buffer, 0, buffer.length, file.offset);
    const whole = buffer.subarray(0, buffer.subarray(0, got).lastIndexOf(0x0a) + 1);
    file.offset += whole.length;
    const lines = whole.toString("utf8").split("\n");
    return [...rest, ...lines.filter((text) => text !== "").map((text) => logLine(file.name, text))];
  } finally {
    closeSync(descriptor);
  }
}

const SHOWN_APART = new Set([
  "level",
  "time",
  "service",
  "node",
  "message",
  "hint",
  "stack",
  "event",
  "eventId",
]);

/** One line for people. nats-server writes `[pid] 2026/11/22 16:52:45.889961 [INF] …` in the host's time zone. */
export function logLine(name: string, raw: string): Line {
  const nats = /^\[\d+\] (\d{4})\/(\d\d)\/(\d\d) ([\d:]+\.\d{3})\d* \[(\w+)\] (.*)$/.exec(raw);
  if (nats !== null) {
    const [, year, month, day, clock, level = "", message = ""] = nats;
    const at = new Date(`${year}-${month}-${day}T${clock}`);
    const time = Number.isNaN(at.getTime()) ? "" : at.toISOString();
    return { time, raw: `${raw}\n`, text: `${time} ${name} ${level.toLowerCase()}: ${message}\n` };
  }
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(raw) as Record<string, unknown>;
  } catch {
    return { time: "", raw: `${raw}\n`, text: `${name}: ${raw}\n` };
  }
  const word = (key: string) => {
    const value = entry[key];
    return value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  };
  const time = word("time");
  const event = entry["event"] === undefined ? "" : `${word("event")}: `;
  const rest = Object.keys(entry)
    .filter((key) => !SHOWN_APART.has(key))
    .map((key) => `${key}=${word(key)}`);
  const hint = entry["hint"] === undefined ? "" : ` What to do: ${word("hint")}`;
  const facts = rest.length === 0 ? "" : ` (${rest.join(" ")})`;
  const text = `${time} ${name} ${word("level")}: ${event}${word("message")}${hint}${facts}\n`;
  return { time, raw: `${raw}\n`, text };
}
