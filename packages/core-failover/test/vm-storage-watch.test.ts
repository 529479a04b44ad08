import { describe, expect, it } from "vitest";
import {
  createStorageWatch,
  stepStorageWatch,
  type StorageLook,
  type StorageWatchInput,
} from "../src/index.ts";

const SAN = "10.0.9.1:10809";
const OTHER = "10.0.9.2:10809";

/** A host whose looks are answered after a moment, by what each storage does. */
class Bench {
  nowUs = 1_000_000;
  state = createStorageWatch();
  gone: string[] = [];
  codes: string[] = [];
  looks: { name: string; atUs: number }[] = [];
  wakeAtUs = 0;
  readonly says = new Map<string, StorageLook>();
  #due: { name: string; atUs: number }[] = [];

  input(input: StorageWatchInput): void {
    const result = stepStorageWatch(this.state, input, this.nowUs);
    this.state = result.state;
    this.gone = result.gone;
    this.wakeAtUs = result.wakeAtUs;
    this.codes.push(...result.reasons.map(({ code }) => code));
    for (const name of result.looks) {
      this.looks.push({ name, atUs: this.nowUs });
      const isSlow = this.says.get(name)?.kind === "silent";
      this.#due.push({ name, atUs: this.nowUs + (isSlow ? 1_200_000 : 1_000) });
    }
  }

  run(us: number): void {
    const endUs = this.nowUs + us;
    for (;;) {
      const nextUs = Math.min(this.wakeAtUs, ...this.#due.map(({ atUs }) => atUs));
      if (nextUs > endUs) break;
      this.nowUs = Math.max(this.nowUs, nextUs);
      const due = this.#due.find(({ atUs }) => atUs <= this.nowUs);
      this.#due = this.#due.filter((each) => each !== due);
      if (due === undefined) this.input({ kind: "tick" });
      else this.input({ kind: "seen", name: due.name, look: this.says.get(due.name) ?? { kind: "answers" } });
    }
    this.nowUs = endUs;
  }

  watch(...names: string[]): void {
    this.input({ kind: "storages", names });
  }

  looksAt(name: string): number {
    return this.looks.filter((look) => look.name === name).length;
  }
}

const REFUSED: StorageLook = { kind: "refused", message: "Connection refused" };
const SILENT: StorageLook = { kind: "silent", message: "no answer within 1200 ms" };

describe("a host that looks at its storages", () => {
  it("finds one gone after a few failures in a row, and back with one answer", () => {
    const bench = new Bench();
    bench.watch(SAN, OTHER);
    bench.run(10_000_000);
    expect(bench.gone).toEqual([]);
    bench.says.set(SAN, REFUSED);
    bench.run(3_000_000);
    expect(bench.gone).toEqual([SAN]);
    expect(bench.codes).toEqual(["STORAGE_GONE"]);
    expect(bench.state.storages[SAN]?.trouble?.message).toContain("Connection refused");
    bench.says.delete(SAN);
    bench.run(5_100_000);
    expect(bench.gone).toEqual([]);
    expect(bench.codes).toEqual(["STORAGE_GONE", "STORAGE_BACK"]);
    expect(bench.state.storages[SAN]?.trouble).toBeNull();
  });

  it("knows of a silent one within seven seconds", () => {
    const bench = new Bench();
    bench.watch(SAN);
    bench.run(1_000_000);
    bench.says.set(SAN, SILENT);
    bench.run(7_000_000);
    expect(bench.gone).toEqual([SAN]);
  });

  it("makes nothing of one failure, or two", () => {
    const bench = new Bench();
    bench.watch(SAN);
    bench.says.set(SAN, REFUSED);
    bench.run(300_000);
    expect(bench.looksAt(SAN)).toBe(2);
    bench.says.delete(SAN);
    bench.run(10_000_000);
    expect(bench.codes).toEqual([]);
  });

  it("looks later and later, for ever, and one look at a time", () => {
    const bench = new Bench();
    bench.watch(SAN);
    bench.says.set(SAN, REFUSED);
    bench.run(60_000_000);
    expect(bench.looksAt(SAN)).toBeLessThan(22);
    const before = bench.looksAt(SAN);
    bench.run(60_000_000);
    expect(bench.looksAt(SAN) - before).toBe(12);
  });

  it("does not take its own failure for the storage's", () => {
    const bench = new Bench();
    bench.watch(SAN);
    const error = { code: "TOOL_MISSING", message: "no perl", hint: "Install it." };
    bench.says.set(SAN, { kind: "unknown", error });
    bench.run(60_000_000);
    expect(bench.gone).toEqual([]);
    expect(bench.codes).toEqual(["TOOL_MISSING"]);
    expect(bench.state.storages[SAN]?.trouble?.code).toBe("TOOL_MISSING");
  });

  it("keeps what it knows when it cannot look any more", () => {
    const bench = new Bench();
    bench.watch(SAN);
    bench.says.set(SAN, REFUSED);
    bench.run(5_000_000);
    bench.says.set(SAN, { kind: "unknown", error: { code: "TOOL_FAILED", message: "x", hint: "y" } });
    bench.run(20_000_000);
    expect(bench.gone).toEqual([SAN]);
  });

  it("forgets what no machine needs, and an answer that comes after that", () => {
    const bench = new Bench();
    bench.says.set(SAN, SILENT);
    bench.watch(SAN);
    bench.run(10_000_000);
    bench.watch(OTHER);
    bench.run(10_000_000);
    expect(bench.gone).toEqual([]);
    expect(Object.keys(bench.state.storages)).toEqual([OTHER]);
  });

  it("looks at sixteen at once, and at every one in turn", () => {
    const bench = new Bench();
    const names = Array.from({ length: 40 }, (_, index) => `10.0.8.${index}:10809`);
    for (const name of names) bench.says.set(name, SILENT);
    bench.watch(...names);
    expect(bench.looks).toHaveLength(16);
    bench.run(60_000_000);
    expect(bench.gone).toEqual([...names].sort());
  });
});
