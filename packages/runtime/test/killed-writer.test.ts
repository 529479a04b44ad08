import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { readStateFile, takeStateFile, writeStateFileSync } from "../src/index.ts";
import { temporaryFolder } from "./nats-fixture.ts";

const StateSchema = z.object({ term: z.int(), note: z.string() });
const WRITER = fileURLToPath(new URL("./killed-writer.ts", import.meta.url));
const OLD = { term: 1, note: "the old one" };
const NEW = { term: 2, note: "the new one" };
let folder: string;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "state.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(kind: string, step: number | string): { signal: string | null; calls: number } {
  const { signal, stdout, stderr } = spawnSync(process.execPath, [
    WRITER,
    path,
    NEW.note,
    kind,
    String(step),
  ]);
  if (signal === null && stdout.length === 0) throw new Error(stderr.toString());
  return { signal, calls: Number(stdout.toString()) };
}

it.each(["sync", "async"])(
  "a writer killed at any step leaves the old or the new state, %s",
  { timeout: 120_000 },
  (kind) => {
    const { calls } = write(kind, -1);
    expect(readStateFile(path, StateSchema)).toEqual(NEW);
    expect(calls).toBeGreaterThanOrEqual(8);
    const left: number[] = [];
    for (const step of ["half", ...Array.from({ length: calls }, (_, call) => call)]) {
      writeStateFileSync(path, OLD);
      expect(write(kind, step).signal).toBe("SIGKILL");
      const { state, refused } = takeStateFile(path, StateSchema);
      expect(refused).toBeNull();
      expect([OLD, NEW]).toContainEqual(state);
      left.push(state?.term ?? 0);
      // What the killed writer had begun is swept away.
      expect(readdirSync(folder)).toEqual(["state.json"]);
    }
    // Old up to one step, new from there on.
    expect(left).toEqual(left.toSorted((one, other) => one - other));
    expect(left).toContain(1);
    expect(left).toContain(2);
  },
);
