import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CRASH_RECORDINGS_KEPT, keepCrashRecording, rememberForCrash } from "../src/crash-recording.ts";
import { crashRecordings, InputRecorder } from "../src/index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-crash-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const of = (stateDir: string) => ({ service: "membership", node: 4, cluster: "C", stateDir });

function stepped(): InputRecorder<{ sum: number }, number> {
  const recorder = new InputRecorder<{ sum: number }, number>();
  recorder.run({ sum: 0 }, 1, () => ({ state: { sum: 1 } }));
  return recorder;
}

describe("what a crashed process leaves", () => {
  it("is nothing when its core was given nothing", () => {
    rememberForCrash(new InputRecorder());
    expect(keepCrashRecording(of(folder))).toEqual({ path: null, problem: null });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is bounded: the first ones and the newest, of each service", () => {
    stepped();
    const crash = join(folder, "crash");
    mkdirSync(crash);
    const old = (service: string, day: number) => `${service}-2026-01-0${day}T00-00-00-000Z.recording.gz`;
    for (let day = 1; day <= CRASH_RECORDINGS_KEPT + 2; day++) {
      for (const service of ["membership", "quorum-evaluator"])
        writeFileSync(join(crash, old(service, day)), "x");
    }
    // A writer that was killed left this.
    writeFileSync(join(crash, ".membership.999999999.1.tmp"), "half");
    const { path } = keepCrashRecording(of(folder));
    const left = crashRecordings(folder).filter(({ service }) => service === "membership");
    expect(left.map((one) => one.path)).toEqual([
      ...[1, 2, 3].map((day) => join(crash, old("membership", day))),
      path,
    ]);
    expect(crashRecordings(folder)).toHaveLength(left.length + CRASH_RECORDINGS_KEPT + 2);
    expect(readdirSync(crash).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("says why it is nothing when the disk does not take it, and never throws", () => {
    stepped();
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { path, problem } = keepCrashRecording(of(file));
    expect(path).toBeNull();
    expect(problem).toMatch(/ENOTDIR/);
    expect(crashRecordings(file)).toEqual([]);
  });
});
