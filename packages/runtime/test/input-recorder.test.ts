import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeTagged, encodeTagged, InputRecorder } from "../src/index.ts";

const leaf = fc.oneof(
  fc.string(),
  fc.double(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
);
const key = fc.oneof(fc.string(), fc.constantFrom("$map", "$set", "$object", "$bigint", "$", "a"));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(leaf, { maxLength: 4 }).map((items) => new Set(items)),
    fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** As JSON does: members that are undefined are not there. */
function withoutUndefined(of: unknown): unknown {
  if (of instanceof Map) return new Map([...of].map(([name, member]) => [name, withoutUndefined(member)]));
  if (of instanceof Set) return of;
  if (Array.isArray(of)) return of.map(withoutUndefined);
  if (typeof of !== "object" || of === null) return of;
  const members = Object.entries(of).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutUndefined(member)]));
}

describe("tagged JSON", () => {
  it("gives back what was written, also what JSON has not", () => {
    fc.assert(
      fc.property(value, (of) => {
        const wanted = withoutUndefined(of);
        const text = encodeTagged(of === undefined ? null : of);
        const back = decodeTagged(text);
        expect(back).toEqual(wanted === undefined ? null : wanted);
        expect(encodeTagged(back)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("refuses what is no plain data, and tags that it does not know", () => {
    expect(() => encodeTagged({ act: () => 1 })).toThrow(TypeError);
    expect(() => encodeTagged({ key: Buffer.from("secret") })).toThrow(TypeError);
    expect(() => decodeTagged('{"$what":1}')).toThrow(/\$what is not known/);
    expect(() => decodeTagged('{"$map":[[1]]}')).toThrow(TypeError);
  });
});

/** A core that changes its state in place, as core-quorum does. */
function count(state: { sum: number; seen: Map<number, number> }, add: number) {
  if (add < 0) throw new Error("invariant broken: never less");
  state.sum += add;
  state.seen.set(add, (state.seen.get(add) ?? 0) + 1);
  return { state, effects: [{ say: state.sum }] };
}

describe("the recorder", () => {
  async function linesOf(recorder: InputRecorder<ReturnType<typeof count>["state"], number>, state: object) {
    const bytes = await recorder.dump({ service: "test", node: 1 }, state as never);
    return gunzipSync(bytes)
      .toString("utf8")
      .trimEnd()
      .split("\n")
      .map((line) => decodeTagged(line) as Record<string, unknown>);
  }

  it("keeps two segments, each with the state before its first step", async () => {
    const recorder = new InputRecorder<ReturnType<typeof count>["state"], number>({ steps: 10 });
    const state = { sum: 0, seen: new Map<number, number>() };
    for (let add = 0; add < 35; add++) recorder.run(state, add, () => count(state, add));
    expect(recorder.steps).toBe(15);
    const lines = await linesOf(recorder, state);
    const segments = lines.filter(({ kind }) => kind === "segment");
    expect(segments.map((segment) => (segment["state"] as typeof state).sum)).toEqual([190, 435]);
    expect(lines.filter(({ kind }) => kind === "step")[0]).toEqual({
      kind: "step",
      input: 20,
      decided: { effects: [{ say: 210 }] },
    });
    expect(lines.at(-1)).toMatchObject({ kind: "end", steps: 15, state: { sum: 595, seen: state.seen } });
  });

  it("is bounded in bytes too", () => {
    const recorder = new InputRecorder<object, string>({ bytes: 100_000 });
    const state = {};
    for (let step = 0; step < 1000; step++) recorder.run(state, "x".repeat(1000), () => ({ state }));
    // A segment ends at the latest one measuring interval after it is full.
    expect(recorder.steps).toBeLessThan(2 * (100 + 64));
  });

  it("ends when something cannot be recorded, and does no harm", async () => {
    const recorder = new InputRecorder<object, unknown>();
    const state = {};
    expect(
      recorder.run(state, { key: Buffer.from("secret") }, () => ({ state, effects: [1] })).effects,
    ).toEqual([1]);
    expect(recorder.run(state, "more", () => ({ state, effects: [2] })).effects).toEqual([2]);
    const dump = recorder.dump({ service: "test", node: 1 }, state);
    await expect(dump).rejects.toMatchObject({ code: "RECORDING_INVALID" });
  });

  it("records the step that failed, and throws on", async () => {
    const recorder = new InputRecorder<ReturnType<typeof count>["state"], number>();
    const state = { sum: 1, seen: new Map<number, number>() };
    expect(() => recorder.run(state, -1, () => count(state, -1))).toThrow("never less");
    const lines = await linesOf(recorder, state);
    expect(lines[2]).toMatchObject({
      kind: "step",
      input: -1,
      decided: { thrown: expect.stringContaining("never less") },
    });
  });
});
