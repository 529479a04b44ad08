/** The four cores in the simulator's world, recorded as the services record them, then replayed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { QuorateError } from "@quorate/contracts";
import { RecordedTools, type stepRegister as StepRegister } from "@quorate/core-config";
import { QUORATE_VERSION, type RecordedService } from "@quorate/runtime";
import { runSeed } from "@quorate/sim";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { replay } from "../src/commands/recording.ts";
import { recordingBytes } from "../src/recording/recording-file.ts";
import { runCommand } from "../src/program.ts";
import { entries, SEGMENT_STEPS, switches } from "./recorded-steps.ts";

vi.mock("../../core-quorum/src/step.ts", async (original) => {
  const { watched } = await import("./recorded-steps.ts");
  const real = await original<{ stepQuorum: (state: object, ...given: unknown[]) => { state: object } }>();
  const stepQuorum = watched("quorum-evaluator", real.stepQuorum, (args) => ({ input: args[1], args }));
  return { ...real, stepQuorum };
});
vi.mock("../../core-membership/src/step.ts", async (original) => {
  const { watched } = await import("./recorded-steps.ts");
  const real = await original<{
    stepMembership: (state: object, ...given: unknown[]) => { state: object };
  }>();
  const stepMembership = watched("membership", real.stepMembership, (args) => ({
    input: { nowUs: args[1], input: args[2] },
    args,
  }));
  return { ...real, stepMembership };
});
vi.mock("../../core-failover/src/failover.ts", async (original) => {
  const { watched } = await import("./recorded-steps.ts");
  const real = await original<{ step: (state: object, ...given: unknown[]) => { state: object } }>();
  const step = watched("failover-actuator", real.step, (args) => ({
    input: { input: args[1], nowUs: args[2] },
    args,
  }));
  return { ...real, step };
});
vi.mock("../../core-config/src/step.ts", async (original) => {
  const { switches, watched } = await import("./recorded-steps.ts");
  const real = await original<{ stepRegister: typeof StepRegister }>();
  const stepRegister = watched("config-distributor", real.stepRegister, ([state, input, tools]) => {
    const recorded = switches.recordTools?.(tools);
    if (recorded === undefined) throw new Error("before the tools are there");
    const args: [typeof state, typeof input, typeof tools] = [state, input, recorded];
    return { input: { input, answers: recorded.begin() }, args };
  });
  return { ...real, stepRegister };
});

const folder = mkdtempSync(join(tmpdir(), "quorate-replay-"));
const path = join(folder, "one.recording.gz");
const parts: Uint8Array[] = [];
const steps = new Map<RecordedService, number>();

async function run(...argv: string[]): Promise<{ exit: number; out: string; complaint: string }> {
  const [out, complaint]: string[][] = [[], []];
  const output = {
    write: (text: string) => void out?.push(text),
    complain: (text: string) => void complaint?.push(text),
    isTerminal: false,
  };
  const exit = await runCommand("quorate", argv, output);
  return { exit, out: out?.join("") ?? "", complaint: complaint?.join("") ?? "" };
}

function header(cluster = "simulated") {
  return { cluster, recordedAt: "2026-11-22T12:00:00.000Z", missing: [] };
}

beforeAll(async () => {
  switches.recordTools = (tools) => new RecordedTools(tools);
  switches.recording = true;
  for (const seed of [1, 2]) await runSeed({ seed, faultUs: 10_000_000, healUs: 5_000_000 });
  switches.recording = false;
  for (const { service, recorder, state, steps: count } of entries) {
    if (count === 0) continue;
    parts.push(await recorder.dump({ service, node: 1 }, state));
    steps.set(service, (steps.get(service) ?? 0) + recorder.steps);
  }
  writeFileSync(path, recordingBytes(header(), parts));
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("what the simulator's cores decided", { timeout: 120_000 }, () => {
  it("is decided again, by every core, under faults", () => {
    for (const service of [
      "membership",
      "quorum-evaluator",
      "failover-actuator",
      "config-distributor",
    ] as const) {
      expect(steps.get(service), service).toBeGreaterThan(100);
    }
    const { json, exit, text } = replay(path, false);
    expect(text).not.toContain("NOT EQUAL");
    expect(exit).toBe(0);
    expect(json).toMatchObject({ equal: true });
    expect(Math.max(...entries.map(({ recorder }) => recorder.steps))).toBeLessThanOrEqual(2 * SEGMENT_STEPS);
    // Longer than two segments: the older steps are gone, and the states at the segments' beginnings were used.
    expect(entries.some((entry) => entry.steps > 2 * SEGMENT_STEPS)).toBe(true);
  });

  it.each([
    ["membership", "effects"],
    ["quorum-evaluator", "effects"],
    ["failover-actuator", "steps"],
    ["config-distributor", "effects"],
  ] as const)("a core that decides otherwise is found: %s", async (wanted, what) => {
    let count = 0;
    switches.planted = (service, result) => {
      const list = (result as Record<string, unknown>)[what];
      if (service !== wanted || !Array.isArray(list) || list.length === 0) return result;
      count += 1;
      return count === 7 ? { ...result, [what]: list.slice(1) } : result;
    };
    try {
      const { exit, out } = await run("replay", path);
      expect(exit).toBe(1);
      expect(out).toMatch(new RegExp(`node 1 ${wanted}: NOT EQUAL at step \\d+`));
      expect(out).toContain(`decision at ${what}`);
      expect(out).toContain("recorded: ");
      expect(out).toContain("input: ");
      expect(out.match(/NOT EQUAL/g)).toHaveLength(1);
    } finally {
      switches.planted = null;
    }
  });

  it("a state that went another way is found though the decisions are equal", async () => {
    let last: object | null = null;
    switches.planted = (service, result) => {
      if (service === "config-distributor") last = result;
      return result;
    };
    expect((await run("replay", path)).exit).toBe(0);
    const final = last;
    switches.planted = (_, result) => {
      if (JSON.stringify(result) !== JSON.stringify(final)) return result;
      return { ...result, state: { ...(result as { state: object }).state, nextAttempt: -1 } };
    };
    try {
      const { exit, out } = await run("replay", path);
      expect(exit).toBe(1);
      expect(out).toContain("differs:  state at nextAttempt");
    } finally {
      switches.planted = null;
    }
  });
});

describe("a recording that cannot be used", () => {
  async function refusal(name: string, bytes: Uint8Array, ...options: string[]): Promise<string> {
    const bad = join(folder, name);
    writeFileSync(bad, bytes);
    const { exit, complaint } = await run("replay", bad, ...options);
    expect(exit).toBe(78);
    expect(complaint).toContain("what to do:");
    return complaint;
  }
  const small = () => recordingBytes(header(), parts.slice(0, 1));
  const lines = () => gunzipSync(small()).toString("utf8").split("\n");
  const zipped = (edited: string[]) => gzipSync(edited.join("\n"));

  it("is refused with the place: cut off, changed, no recording, not there", async () => {
    const good = small();
    for (const share of [0.1, 0.5, 0.9, 0.999]) {
      expect(await refusal("cut", good.subarray(0, Math.floor(good.length * share)))).toContain(
        "damaged or cut off",
      );
    }
    expect(await refusal("text", Buffer.from("totem { }"))).toContain("no recording");
    expect(await refusal("short", zipped(lines().slice(0, -3)))).toMatch(/line \d+/);
    const edited = lines();
    edited[4] = (edited[4] ?? "").replace(/\d/, "7").replace(/"kind"/, '"kind" ');
    expect(await refusal("edited", zipped(edited))).toContain("do not match the digest");
    const { exit, complaint } = await run("replay", join(folder, "none"));
    expect({ exit, complaint }).toMatchObject({
      exit: 78,
      complaint: expect.stringContaining("cannot be read"),
    });
  });

  it("every single bit flip is refused or changes nothing", { timeout: 120_000 }, () => {
    const tiny = recordingBytes(header(), []);
    const bad = join(folder, "flip");
    for (let bit = 0; bit < tiny.length * 8; bit++) {
      const flipped = Buffer.from(tiny);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(bad, flipped);
      try {
        // The header of gzip holds a time and a system, which say nothing.
        expect(replay(bad, false).json).toMatchObject({ header: header(), services: [], equal: true });
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error;
        expect(error.code).toBe("RECORDING_INVALID");
      }
    }
  });

  it("of another version is refused, and replayed with --force", async () => {
    const other = join(folder, "other");
    const text = gunzipSync(recordingBytes(header(), [])).toString("utf8");
    expect(text).toContain(`"version":"${QUORATE_VERSION}"`);
    const sealed = await otherVersion(text);
    writeFileSync(other, sealed);
    const { exit, complaint } = await run("replay", other);
    expect(exit).toBe(78);
    expect(complaint).toContain("version 9.9.9 recorded it");
    expect((await run("replay", other, "--force")).exit).toBe(0);
  });
});

/** As that version would have sealed it. */
async function otherVersion(text: string): Promise<Uint8Array> {
  const { createHash } = await import("node:crypto");
  const body = `${text.split("\n")[0]}\n`.replace(`"version":"${QUORATE_VERSION}"`, '"version":"9.9.9"');
  const sha256 = createHash("sha256").update(body).digest("hex");
  return gzipSync(`${body}${JSON.stringify({ kind: "seal", lines: 1, sha256 })}\n`);
}

it("the file says who did not answer", () => {
  const missing = [{ node: 4, service: "membership", why: "It is down." }];
  const bytes = recordingBytes({ ...header(), missing }, []);
  writeFileSync(path, bytes);
  expect(replay(path, false).text).toContain("node 4 membership: not recorded: It is down.");
  expect(readFileSync(path).length).toBe(bytes.length);
});
