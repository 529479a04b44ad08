import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JOURNAL_LINE_LIMIT_BYTES, JOURNAL_SOCKET } from "@quorate/contracts";
import { JournalStore, readJournal } from "@quorate/journal-file";
import { bootId, createLogger, DecisionRecorder, REMEMBERED_DECISIONS } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Door } from "../src/door.ts";
import { Intake } from "../src/intake.ts";

let folder: string;
let path: string;
let gaps: string[];
const ends: Array<() => void> = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-door-"));
  path = join(folder, "journal.sqlite");
  gaps = [];
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
  rmSync(folder, { recursive: true, force: true });
});

async function openDoor(): Promise<{ door: Door; intake: Intake; close(): Promise<void> }> {
  const intake = new Intake(JournalStore.open(path).store, {
    node: 4,
    bootId: bootId(),
    open: () => JournalStore.open(path).store,
    onDisk: () => undefined,
    onGap: (_run, service, first, last) => gaps.push(`${service} ${first}-${last}`),
  });
  const door = new Door(intake, createLogger({ service: "test", node: 4, level: "silent" }));
  await door.listen(join(folder, JOURNAL_SOCKET));
  const close = async () => {
    door.close();
    await intake.close();
  };
  return { door, intake, close };
}

function recorder(service = "membership"): DecisionRecorder {
  const made = new DecisionRecorder({ service, node: 4, runDir: folder });
  ends.push(() => made.close());
  return made;
}

const say = (from: DecisionRecorder, message: string) => from.record({ reason: { code: "silent", message } });
const messages = () => readJournal(path, { limit: 100_000 }).map(({ message }) => message);

async function until(isThere: () => boolean): Promise<void> {
  const limitMs = performance.now() + 10_000;
  while (!isThere()) {
    if (performance.now() > limitMs) throw new Error("it did not come");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("from a process to its journal", () => {
  it("what is decided is written, and a reason that is an event too is one decision", async () => {
    const { close } = await openDoor();
    const from = recorder();
    from.know({ term: 3 });
    const reason = { code: "silent", message: "Node 2 is silent.", facts: { node: 2 } };
    from.record({ reason });
    from.record({
      reason: { ...reason, facts: { node: 2, peer: 2 } },
      event: { name: "membership.peer_state_changed", id: "x", old: "joined", new: "failed", causeId: null },
    });
    await until(() => messages().length === 1);
    expect(readJournal(path, { limit: 9 })[0]).toMatchObject({
      event: "membership.peer_state_changed",
      term: 3,
      service: "membership",
      facts: { peer: 2 },
    });
    await close();
  });

  it("what was decided while the journal was away is told when it comes, nothing twice", async () => {
    const from = recorder();
    for (let count = 1; count <= 5; count++) say(from, `early ${count}`);
    const first = await openDoor();
    await until(() => messages().length === 5);
    await first.close();
    for (let count = 1; count <= 5; count++) say(from, `between ${count}`);
    const second = await openDoor();
    await until(() => messages().length === 10);
    say(from, "late");
    await until(() => messages().length === 11);
    expect(new Set(messages()).size).toBe(11);
    expect(gaps).toEqual([]);
    await second.close();
  });

  it("what fell out of memory is said to be lost", async () => {
    const from = recorder();
    for (let count = 1; count <= REMEMBERED_DECISIONS + 7; count++) say(from, `${count}`);
    const { close } = await openDoor();
    await until(() => messages().length === REMEMBERED_DECISIONS);
    expect(gaps).toEqual(["membership 1-7"]);
    await close();
  });

  it("the same sentence in a storm is counted, not kept", async () => {
    const { close } = await openDoor();
    const from = recorder();
    for (let count = 0; count < 50; count++) say(from, "again and again");
    say(from, "other");
    await until(() => messages().includes("other"));
    expect(messages()).toEqual(["again and again", "other"]);
    await close();
  });

  it("whoever does not keep to the form is shown the door", async () => {
    const { door, close } = await openDoor();
    for (const text of [
      "nonsense\n",
      '{"kind":"decision","decision":{}}\n',
      "x".repeat(JOURNAL_LINE_LIMIT_BYTES + 9),
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(join(folder, JOURNAL_SOCKET));
        socket.on("error", () => undefined);
        socket.on("close", () => resolve());
        socket.write(text);
      });
    }
    expect(door.refused).toBe(3);
    await close();
  });

  it("a decider is not held up by a journal that does not read", () => {
    const from = recorder();
    for (let count = 0; count < 20_000; count++) say(from, `${count}`);
    expect(from.run).toContain("/membership/");
  });
});
