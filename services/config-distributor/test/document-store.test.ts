import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredDocument } from "@quorate/core-config";
import { documentDigest } from "@quorate/corosync-conf";
import { createLogger } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DocumentStore, HISTORY_LIMIT } from "../src/document-store.ts";
import { createDocumentTools } from "../src/document-tools.ts";
import { ORIGINAL } from "./fixture.ts";

const tools = createDocumentTools();
const logger = createLogger({ service: "test", node: 2, level: "silent" });

let stateDir: string;
let config: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "quorate-store-"));
  config = join(stateDir, "config");
});

afterEach(() => {
  rmSync(stateDir, { recursive: true, force: true });
});

function initialise(text: string | Uint8Array = ORIGINAL): void {
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, "running.conf"), text);
}

function open() {
  return DocumentStore.open({ stateDir, configFile: join(stateDir, "cluster.conf") }, tools, logger);
}

function document(term: number, version: number, note = ""): StoredDocument {
  const text = ORIGINAL.replace("config_version: 1", `config_version: ${version}`).replace(
    "original's",
    `x ${note}`,
  );
  return {
    ref: { term, version, digest: documentDigest(text) },
    text,
    from: 4,
    reason: { code: "TEST", message: "test" },
    stickinessDue: false,
  };
}

describe("the document store", () => {
  it("takes what `quorate init` left as version of term 0", async () => {
    initialise();
    const opened = await open();
    expect(opened.document).toMatchObject({
      ref: { term: 0, version: 1, digest: documentDigest(ORIGINAL) },
      from: null,
    });
    expect(JSON.parse(readFileSync(join(config, "running.json"), "utf8").split("\n")[1] ?? "")).toMatchObject(
      {
        term: 0,
        version: 1,
      },
    );
  });

  it("calls an empty folder missing state, not a new node", async () => {
    await expect(open()).rejects.toMatchObject({ code: "STATE_MISSING" });
  });

  it("reads back what was written, with its source and whether stickiness is due", async () => {
    initialise();
    const { store } = await open();
    const written = { ...document(3, 7), stickinessDue: true };
    expect(await store.write(written)).toEqual({ ok: true });
    expect((await open()).document).toEqual(written);
    expect(readFileSync(join(config, "running.conf"), "utf8")).toBe(written.text);
  });

  it("finishes what a crash left half done: the history is ahead of running.conf", async () => {
    initialise();
    const { store } = await open();
    await store.write(document(1, 2));
    const conf = readFileSync(join(config, "running.conf"));
    const json = readFileSync(join(config, "running.json"));
    await store.write(document(1, 3));
    // The crash came between the entry and what follows from it.
    writeFileSync(join(config, "running.json"), json);
    expect((await open()).document).toEqual(document(1, 3));
    writeFileSync(join(config, "running.conf"), conf);
    writeFileSync(join(config, "running.json"), json);
    expect((await open()).document).toEqual(document(1, 3));
    expect(readFileSync(join(config, "running.conf"), "utf8")).toBe(document(1, 3).text);
  });

  it("passes over a torn entry, and refuses when nothing can be trusted", async () => {
    initialise();
    const { store } = await open();
    await store.write(document(1, 2));
    const history = join(config, "history");
    writeFileSync(join(history, "000000000009-000000000009.json"), "quorate-state 1 sha256=00\n{");
    expect((await open()).document).toEqual(document(1, 2));
    for (const name of readdirSync(history)) writeFileSync(join(history, name), "torn");
    expect((await open()).document).toMatchObject(document(1, 2));
    for (const name of readdirSync(history)) writeFileSync(join(history, name), "torn");
    writeFileSync(join(config, "running.conf"), "torn");
    await expect(open()).rejects.toMatchObject({ code: "STATE_CORRUPT" });
  });

  it("keeps the bytes of an old code page", async () => {
    const bytes = Buffer.concat([Buffer.from("# caf\xe9\n", "latin1"), Buffer.from(ORIGINAL)]);
    initialise(bytes);
    const { store, document: opened } = await open();
    await store.write({ ...opened, ref: { ...opened.ref, term: 1 } });
    expect(readFileSync(join(config, "running.conf"))).toEqual(bytes);
    // It crosses the bus as JSON.
    expect(documentDigest(JSON.parse(JSON.stringify(opened.text)) as string)).toBe(opened.ref.digest);
    expect((await open()).document.ref.term).toBe(1);
  });

  it("keeps the newest documents and of mere stamps only the last", async () => {
    initialise();
    const { store } = await open();
    for (let term = 1; term <= 5; term++)
      await store.write({ ...document(term, 1), text: document(term, 1).text });
    expect(store.history(100).map(({ ref }) => ref.term)).toEqual([5, 1, 0]);
    for (let version = 2; version <= HISTORY_LIMIT + 20; version++) await store.write(document(6, version));
    expect(store.history(1000)).toHaveLength(HISTORY_LIMIT);
    expect(readdirSync(join(config, "history"))).toHaveLength(HISTORY_LIMIT);
    expect(store.history(1)[0]?.ref.version).toBe(HISTORY_LIMIT + 20);
    expect(store.hasDigest(document(6, 150).ref.digest)).toBe(true);
    expect(store.hasDigest(document(6, 3).ref.digest)).toBe(false);
    expect((await open()).store.history(1000)).toHaveLength(HISTORY_LIMIT);
  });

  it("says whether a document that was not written may still be there", async () => {
    initialise();
    const { store } = await open();
    rmSync(join(config, "history"), { recursive: true });
    expect(await store.write(document(1, 2))).toMatchObject({ ok: false, surelyAbsent: true });
    mkdirSync(join(config, "history"));
    // The entry is down, what follows from it is not.
    rmSync(join(config, "running.json"));
    mkdirSync(join(config, "running.json"));
    expect(await store.write(document(1, 3))).toMatchObject({ ok: false, surelyAbsent: false });
  });
});
