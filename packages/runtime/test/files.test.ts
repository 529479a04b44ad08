import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  identifyProcess,
  isAlive,
  pidFilePath,
  processStartTime,
  readPidFile,
  readStateFile,
  refusedStateFiles,
  takeStateFile,
  writeFileDurably,
  writeFileDurablySync,
  writeStateFile,
  writeStateFileSync,
} from "../src/index.ts";
import { temporaryFolder } from "./nats-fixture.ts";

const StateSchema = z.object({ term: z.int(), note: z.string() });
let folder: string;

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("durable files", () => {
  it("replace the whole content and mode, and leave nothing else behind", async () => {
    const path = join(folder, "file");
    await writeFileDurably(path, "one", { mode: 0o644 });
    writeFileDurablySync(path, "two", { mode: 0o400 });
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o400);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("keep the old content when the new one cannot be written", async () => {
    const path = join(folder, "gone", "file");
    await expect(writeFileDurably(path, "x")).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(() => writeFileDurablySync(path, "x")).toThrow(/Cannot write/);
    mkdirSync(join(folder, "target"));
    writeFileSync(join(folder, "target", "inside"), "");
    expect(() => writeFileDurablySync(join(folder, "target"), "x")).toThrow(/Cannot write/);
    expect(readdirSync(folder)).toEqual(["target"]);
  });
});

describe("state files", () => {
  it("give back what was written, null when there is none", async () => {
    const path = join(folder, "state.json");
    expect(readStateFile(path, StateSchema)).toBeNull();
    await writeStateFile(path, { term: 1, note: "äöü\n" });
    expect(readStateFile(path, StateSchema)).toEqual({ term: 1, note: "äöü\n" });
    writeStateFileSync(path, { term: 2, note: "" });
    expect(readStateFile(path, StateSchema)).toEqual({ term: 2, note: "" });
    chmodSync(path, 0o600);
  });

  it("are refused whatever is cut off or flipped: each length, each bit", () => {
    const path = join(folder, "state.json");
    writeStateFileSync(path, { term: 7, note: "a note of some length, with \ufffd and ä" });
    const good = readFileSync(path);
    for (let length = 0; length < good.length; length++) {
      writeFileSync(path, good.subarray(0, length));
      expect(() => readStateFile(path, StateSchema)).toThrow(expect.objectContaining({ code: "STATE_TORN" }));
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(path, bad);
      expect(() => readStateFile(path, StateSchema)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^STATE_(CORRUPT|TORN|FOREIGN)$/) }),
      );
    }
    writeFileSync(path, Buffer.concat([good, Buffer.from("x\n")]));
    expect(() => readStateFile(path, StateSchema)).toThrow(
      expect.objectContaining({ code: "STATE_CORRUPT" }),
    );
    writeFileSync(path, "quorate-state 2 anything\n{}\n");
    expect(() => readStateFile(path, StateSchema)).toThrow(
      expect.objectContaining({ code: "STATE_FOREIGN" }),
    );
  });

  it("that are refused are moved aside once, named, and stumbled over no more", () => {
    const path = join(folder, "state.json");
    writeFileSync(path, "quorate-state 1 sha");
    writeFileSync(join(folder, `.state.json.${2 ** 22 + 1}.1.tmp`), "left by a writer that was killed");
    writeFileSync(join(folder, `.state.json.${process.pid}.1.tmp`), "of a writer that lives");
    expect(takeStateFile(path, StateSchema)).toMatchObject({
      state: null,
      refused: { code: "STATE_TORN", message: expect.stringContaining(`${path}.refused`) },
    });
    expect(takeStateFile(path, StateSchema)).toEqual({ state: null, refused: null });
    expect(readdirSync(folder).sort()).toEqual([`.state.json.${process.pid}.1.tmp`, "state.json.refused"]);
    expect(refusedStateFiles(folder)).toMatchObject([{ path: `${path}.refused`, code: "STATE_TORN" }]);
    writeStateFileSync(path, { term: 1, note: "" });
    expect(takeStateFile(path, StateSchema).state).toEqual({ term: 1, note: "" });
    expect(refusedStateFiles(join(folder, "none"))).toEqual([]);
  });

  it("are refused when whole but of another form", () => {
    const path = join(folder, "state.json");
    writeStateFileSync(path, { term: "seven", note: "" });
    expect(() => readStateFile(path, StateSchema)).toThrow(
      expect.objectContaining({ code: "STATE_FOREIGN", message: expect.stringContaining("agreed form") }),
    );
  });
});

describe("pid files", () => {
  it("name a process for ever: a later one with the same number is another", () => {
    const self = identifyProcess(process.pid);
    expect(self).not.toBeNull();
    if (self === null) return;
    expect(isAlive(self)).toBe(true);
    expect(isAlive({ ...self, startTime: "1" })).toBe(false);
    expect(processStartTime(2 ** 22 + 1)).toBeNull();
    mkdirSync(join(folder, "pids"));
    const path = pidFilePath(folder, "x");
    writeFileSync(path, `${self.pid} ${self.startTime}\n`);
    expect(readPidFile(path)).toEqual(self);
    for (const text of ["", "abc", `${self.pid}`, `${self.pid} 1\n`, `${self.pid} ${self.startTime} more`]) {
      writeFileSync(path, text);
      expect(readPidFile(path)).toBeNull();
    }
  });
});
