import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Decision } from "@quorate/contracts";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asRows, isCorruption, JOURNAL_BOUNDS, JournalStore, readJournal } from "../src/index.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-file-"));
  path = join(folder, "journal.sqlite");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function decision(seq: number, change: Partial<Decision> = {}): Decision {
  return {
    run: "0123456789abcdef/membership/7-1",
    seq,
    service: "membership",
    node: 4,
    bootId: "0123456789abcdef",
    wallMs: 1_700_000_000_000 + seq,
    monoUs: seq * 1000,
    code: "silent",
    message: `decision ${seq}`,
    facts: { peer: 2, silentMs: 1000 },
    event: "membership.peer_state_changed",
    old: "joined",
    new: "failed",
    eventId: null,
    causeId: null,
    term: 7,
    view: "7.2",
    config: 3,
    ...change,
  };
}

const all = { limit: 1_000_000 };

describe("the journal's file", () => {
  it("gives back what was put in, once, in order, and over a reopening", () => {
    const { store, setAside } = JournalStore.open(path);
    expect(setAside).toBeNull();
    store.insert([decision(2), decision(1), decision(2, { message: "again" })]);
    expect(store.newestByRun("0123456789abcdef")).toEqual(new Map([["0123456789abcdef/membership/7-1", 2]]));
    expect(store.newestByRun("fedcba9876543210").size).toBe(0);
    store.close();
    const again = JournalStore.open(path).store;
    again.insert([decision(3)]);
    const rows = readJournal(path, all);
    expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(rows[1]).toMatchObject({ ...decision(2), weight: "notable" });
    again.close();
  });

  it("orders by boot, then by the clock that does not jump", () => {
    const { store } = JournalStore.open(path);
    const late = { bootId: "1111111111111111", run: "b", wallMs: 5 };
    store.insert([
      decision(1, { monoUs: 900 }),
      decision(2, { monoUs: 100 }),
      decision(1, { ...late, monoUs: 7 }),
    ]);
    expect(readJournal(path, all).map(({ monoUs }) => monoUs)).toEqual([100, 900, 7]);
    store.close();
  });

  it("is bounded by rows, details first, and by age", () => {
    const { store } = JournalStore.open(path, { detailRows: 20, importantRows: 10, ageMs: 1_000_000 });
    const nowMs = 1_700_000_000_000;
    for (let seq = 1; seq <= 100; seq++) {
      const important = seq % 10 === 0;
      store.insert([
        decision(seq, {
          wallMs: nowMs,
          event: null,
          code: important ? "duplicate-node-id" : "link-silent",
        }),
      ]);
    }
    store.prune(nowMs);
    const rows = readJournal(path, all);
    expect(rows.filter(({ weight }) => weight === "detail")).toHaveLength(20);
    expect(rows.filter(({ weight }) => weight === "important")).toHaveLength(10);
    expect(store.prune(nowMs)).toBe(0);
    expect(store.prune(nowMs + 1_000_001)).toBe(30);
    expect(store.count()).toBe(0);
    store.close();
  });

  it("sets a file aside that is none, is torn, or is of another format, and begins anew", () => {
    writeFileSync(path, "this is no database, and long enough to be taken for one ".repeat(40));
    const first = JournalStore.open(path);
    expect(first.setAside).toMatch(/not a database/);
    expect(readFileSync(`${path}.corrupt`, "utf8")).toContain("this is no database");
    first.store.insert(Array.from({ length: 500 }, (_, index) => decision(index + 1)));
    first.store.close();
    truncateSync(path, statSync(path).size - 5000);
    const second = JournalStore.open(path);
    expect(second.setAside).toMatch(/malformed|page|corrupt|Tree/i);
    expect(second.store.count()).toBe(0);
    second.store.close();
    const other = new DatabaseSync(path);
    other.exec("PRAGMA user_version = 99");
    other.close();
    const third = JournalStore.open(path);
    expect(third.setAside).toMatch(/format 99/);
    third.store.close();
  });

  it("whatever bytes are damaged: opens, or is set aside; never lies about the form of a row", () => {
    const { store } = JournalStore.open(path);
    store.insert(Array.from({ length: 60 }, (_, index) => decision(index + 1)));
    store.close();
    const intact = readFileSync(path);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(intact.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 }),
        (edits) => {
          const bytes = Buffer.from(intact);
          for (const [at, value] of edits) bytes[at] = value;
          for (const suffix of ["", "-wal", "-shm", ".corrupt"]) rmSync(path + suffix, { force: true });
          writeFileSync(path, bytes);
          let { store: opened } = JournalStore.open(path);
          try {
            opened.insert([decision(1000)]);
          } catch (error) {
            // What no check finds is found when it is used.
            expect(isCorruption(error)).toBe(true);
            opened.close();
            opened = JournalStore.open(path, JOURNAL_BOUNDS, "it broke").store;
            opened.insert([decision(1000)]);
          }
          for (const row of readJournal(path, all)) expect(row.facts).toBeTypeOf("object");
          opened.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("can be read while it is written, after a writer was killed, and not at all when it is not there", () => {
    const { store } = JournalStore.open(path);
    store.insert([decision(1)]);
    expect(readJournal(path, all)).toHaveLength(1);
    expect(store.isInPlace()).toBe(true);
    rmSync(path);
    expect(store.isInPlace()).toBe(false);
    expect(() => readJournal(path, all)).toThrow(/does not exist/);
    store.close();
  });

  it("filters by time, process, weight, place", () => {
    const { store } = JournalStore.open(path);
    store.insert([
      decision(1, { wallMs: 100 }),
      decision(2, { wallMs: 200, service: "journal", run: "j" }),
      decision(3, { wallMs: 300, event: null, code: "link-silent" }),
    ]);
    const seqs = (query: Parameters<typeof readJournal>[1]) => readJournal(path, query).map(({ seq }) => seq);
    expect(seqs({ limit: 9, fromMs: 150 })).toEqual([2, 3]);
    expect(seqs({ limit: 9, untilMs: 150 })).toEqual([1]);
    expect(seqs({ limit: 9, services: ["journal"] })).toEqual([2]);
    expect(seqs({ limit: 9, notableOnly: true })).toEqual([1, 2]);
    expect(seqs({ limit: 1 })).toEqual([3]);
    expect(seqs({ limit: 9, afterId: 2 })).toEqual([3]);
    store.close();
  });

  it("adds what is not written yet, once", () => {
    const { store } = JournalStore.open(path);
    store.insert([decision(1)]);
    const rows = readJournal(path, all);
    expect(asRows([decision(1), decision(2)], rows).map(({ seq, id }) => [seq, id])).toEqual([[2, 2]]);
    store.close();
  });
});
