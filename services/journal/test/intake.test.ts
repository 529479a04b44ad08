import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Decision } from "@quorate/contracts";
import { JournalStore, readJournal } from "@quorate/journal-file";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Intake, WAITING_LIMIT } from "../src/intake.ts";

const BOOT = "0123456789abcdef";
let folder: string;
let path: string;
let gaps: string[];
let disk: Array<string | null>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-intake-"));
  path = join(folder, "journal.sqlite");
  gaps = [];
  disk = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function decision(run: string, seq: number, change: Partial<Decision> = {}): Decision {
  return {
    run,
    seq,
    service: "membership",
    node: 4,
    bootId: BOOT,
    wallMs: seq,
    monoUs: seq,
    code: "silent",
    message: "silent",
    facts: {},
    event: null,
    old: null,
    new: null,
    eventId: null,
    causeId: null,
    term: null,
    view: null,
    config: null,
    ...change,
  };
}

const refuses = (): JournalStore => {
  throw new Error("unable to open database file");
};

function intakeOn(store: JournalStore | null, open: () => JournalStore = refuses): Intake {
  return new Intake(store, {
    node: 4,
    bootId: BOOT,
    open,
    onDisk: (problem) => disk.push(problem),
    onGap: (run, _service, first, last) => gaps.push(`${run} ${first}-${last}`),
  });
}

const stored = () => readJournal(path, { limit: 100_000 }).map(({ run, seq }) => `${run} ${seq}`);

describe("the journal's intake", () => {
  it("asks for what it has not, takes nothing twice, and says what nobody remembers", async () => {
    const intake = intakeOn(JournalStore.open(path).store);
    expect(intake.greet("a", "membership", 1)).toBe(0);
    for (const seq of [1, 2, 2, 1]) intake.take(decision("a", seq));
    expect(intake.greet("a", "membership", 1)).toBe(2);
    // Its ring has lost 3 and 4 while the journal was away.
    expect(intake.greet("a", "membership", 5)).toBe(4);
    intake.take(decision("a", 5));
    intake.take(decision("a", 8));
    expect(gaps).toEqual(["a 3-4", "a 6-7"]);
    await intake.close();
    expect(stored()).toEqual(["a 1", "a 2", "a 5", "a 8"]);
  });

  it("knows after its own restart what it had, and is told the rest", async () => {
    const first = intakeOn(JournalStore.open(path).store);
    first.take(decision("a", 1));
    first.take(decision("b", 1));
    await first.close();
    const second = intakeOn(JournalStore.open(path).store);
    expect(second.greet("a", "membership", 1)).toBe(1);
    second.take(decision("a", 2));
    await second.close();
    expect(gaps).toEqual([]);
    expect(stored().toSorted((left, right) => left.localeCompare(right))).toEqual(["a 1", "a 2", "b 1"]);
  });

  it("stamps what others decide with the term that the evaluator last spoke of", async () => {
    const intake = intakeOn(JournalStore.open(path).store);
    intake.take(decision("e", 1, { service: "quorum-evaluator", term: 7, view: "7.1", config: 3 }));
    intake.take(decision("a", 2));
    await intake.close();
    expect(readJournal(path, { limit: 9 }).map(({ term }) => term)).toEqual([7, 7]);
  });

  it("keeps in memory what the disk refuses, within bounds, and writes it later", async () => {
    let allowed: JournalStore | null = null;
    const intake = intakeOn(null, () => allowed ?? refuses());
    for (let seq = 1; seq <= WAITING_LIMIT + 3; seq++)
      intake.take(decision("a", seq, { wallMs: Date.now() }));
    intake.look();
    expect(intake.waiting).toHaveLength(WAITING_LIMIT);
    expect(gaps).toEqual(["a 1-1", "a 2-2", "a 3-3"]);
    expect(disk).toEqual(["unable to open database file"]);
    allowed = JournalStore.open(path).store;
    intake.look();
    expect(intake.waiting).toHaveLength(0);
    expect(intake.problem).toBeNull();
    await intake.close();
    expect(stored()).toHaveLength(WAITING_LIMIT);
  });

  it("says that the disk refuses, once, and that it takes again", async () => {
    const { store } = JournalStore.open(path);
    const insert = store.insert.bind(store);
    let isFull = true;
    store.insert = (decisions) => {
      if (isFull) throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
      insert(decisions);
    };
    const intake = intakeOn(store);
    intake.take(decision("a", 1));
    intake.look();
    intake.take(decision("a", 2));
    intake.look();
    expect(intake.problem).toMatch(/full/);
    isFull = false;
    intake.look();
    expect(disk).toEqual(["database or disk is full", null]);
    await intake.close();
    expect(stored()).toEqual(["a 1", "a 2"]);
  });

  it("begins a new file when somebody removed it", async () => {
    const intake = intakeOn(JournalStore.open(path).store, () => JournalStore.open(path).store);
    intake.take(decision("a", 1));
    intake.look();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
    intake.take(decision("a", 2));
    intake.look();
    await intake.close();
    expect(stored()).toEqual(["a 2"]);
  });
});
