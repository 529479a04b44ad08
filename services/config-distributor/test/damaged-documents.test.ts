/** Crash-only: whatever the disk gives back, the node runs on a document that somebody vouches for, or says why not. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredDocument } from "@quorate/core-config";
import { documentDigest, encodeText } from "@quorate/corosync-conf";
import { createLogger, readRunningDocument, writeStateFileSync } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DocumentStore } from "../src/document-store.ts";
import { createDocumentTools } from "../src/document-tools.ts";

const tools = createDocumentTools();
const logger = createLogger({ service: "test", node: 2, level: "silent" });
/** Small: each of its bits is tried. */
const ORIGINAL = `totem {
 config_version: 1
 cluster_name: V
 transport: udpu
}
nodelist {
 node {
  ring0_addr: 10.0.0.1
  nodeid: 2
 }
 node {
  ring0_addr: 10.0.0.2
  nodeid: 4
 }
}
`;
const newText = ORIGINAL.replace("config_version: 1", "config_version: 2");
const newest: StoredDocument = {
  ref: { term: 3, version: 2, digest: documentDigest(newText) },
  text: newText,
  from: 4,
  reason: { code: "TEST", message: "test" },
  stickinessDue: true,
};
const ENTRY = "history/000000000003-000000000002.json";

let stateDir: string;
let configFile: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "quorate-damaged-"));
  configFile = join(stateDir, "cluster.conf");
  mkdirSync(join(stateDir, "config"));
  writeFileSync(join(stateDir, "config", "running.conf"), ORIGINAL);
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

function at(name: string): string {
  return join(stateDir, "config", name);
}

function open() {
  return DocumentStore.open({ stateDir, configFile }, tools, logger);
}

function read() {
  return readRunningDocument({ stateDir, configFile, encodeText });
}

/** As the distributor leaves its folder after a change, and the evaluator its promise. */
async function written(): Promise<void> {
  const { store } = await open();
  expect(await store.write(newest)).toEqual({ ok: true });
  writeStateFileSync(join(stateDir, "evaluator.json"), { stored: newest.ref });
}

/** As `quorate init` leaves it. */
function initialised(): void {
  const ref = { term: 0, version: 1, digest: documentDigest(ORIGINAL) };
  writeStateFileSync(at("running.json"), ref);
  writeStateFileSync(join(stateDir, "evaluator.json"), { stored: ref });
}

function* damages(good: Buffer): Generator<Buffer> {
  for (let length = 0; length < good.length; length++) yield good.subarray(0, length);
  for (let bit = 0; bit < good.length * 8; bit++) {
    const flipped = Buffer.from(good);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
}

describe("one damaged file", { timeout: 180_000 }, () => {
  it.each(["running.conf", "running.json", "../evaluator.json"])(
    "each truncation and each flipped bit of %s leaves the document as it was",
    async (name) => {
      await written();
      const good = readFileSync(at(name));
      for (const bad of damages(good)) {
        writeFileSync(at(name), bad);
        const document = read();
        expect(Buffer.from(document.bytes).toString("utf8")).toBe(newText);
        expect(document.ref).toMatchObject(newest.ref);
      }
    },
  );

  it.each(["running.conf", "running.json", ENTRY])(
    "the distributor puts %s right, and keeps what it refused",
    async (name) => {
      await written();
      const good = readFileSync(at(name));
      const all = [...damages(good)];
      for (let index = 0; index < all.length; index += 101) {
        writeFileSync(at(name), all[index] ?? good);
        const { document, store } = await open();
        expect(document).toEqual(newest);
        expect(store.history(1)[0]?.ref).toEqual(newest.ref);
        expect(readFileSync(at("running.conf"), "utf8")).toBe(newText);
        expect(read()).toMatchObject({ witness: "running.json", refused: null });
        rmSync(at(`${name}.refused`));
      }
    },
  );

  it("before the first change the evaluator's promise vouches", () => {
    initialised();
    for (const bad of damages(readFileSync(at("running.json")))) {
      writeFileSync(at("running.json"), bad);
      expect(read()).toMatchObject({ witness: "evaluator", ref: { term: 0, version: 1 } });
    }
  });
});

it("what is damaged while the service runs is written anew from what it runs on", async () => {
  await written();
  const { store, document } = await open();
  expect(await store.repair(document)).toBe(false);
  for (const name of ["running.conf", "running.json"]) {
    writeFileSync(at(name), "torn");
    expect(await store.repair(document)).toBe(true);
    expect(read()).toMatchObject({ witness: "running.json", ref: newest.ref, refused: null });
  }
  rmSync(at("running.conf"));
  expect(await store.repair(document)).toBe(true);
  expect(await store.repair(document)).toBe(false);
  expect((await open()).document).toEqual(newest);
});

describe("nobody left who could vouch", { timeout: 180_000 }, () => {
  it("the operator's file is where the node starts to look for the others", async () => {
    await written();
    writeFileSync(at("running.conf"), "torn");
    writeFileSync(at("running.json"), "torn");
    for (const name of readdirSync(at("history"))) writeFileSync(at(`history/${name}`), "torn");
    expect(() => read()).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
    await expect(open()).rejects.toMatchObject({
      code: "STATE_CORRUPT",
      hint: expect.stringContaining("another node"),
    });
    // What the distributor last wrote there is what was promised: nothing is lost.
    writeFileSync(configFile, newText);
    expect(read()).toMatchObject({ witness: "operator's file", ref: newest.ref });
    // Anything else is older than the promise, so that the register fetches before it counts for anything.
    writeFileSync(configFile, ORIGINAL);
    const { document } = await open();
    expect(document).toMatchObject({ ref: { term: 0, version: 1 }, text: ORIGINAL });
    expect(read()).toMatchObject({ witness: "running.json", ref: { term: 0 } });
  });

  it("a document alone was placed by hand, and an empty folder is no new node", async () => {
    expect(read()).toMatchObject({ witness: "placed by hand", ref: null, refused: null });
    rmSync(at("running.conf"));
    writeFileSync(configFile, ORIGINAL);
    expect(() => read()).toThrow(expect.objectContaining({ code: "STATE_MISSING" }));
    await expect(open()).rejects.toMatchObject({ code: "STATE_MISSING" });
  });

  it("a damaged document that only its digest would have vouched for is not run on", () => {
    initialised();
    for (const bad of damages(readFileSync(at("running.conf")))) {
      writeFileSync(at("running.conf"), bad);
      expect(() => read()).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
    }
  });
});
