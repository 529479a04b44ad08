import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmRecord, VmReport } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InventoryStore } from "../src/inventory-store.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "inventory-"));
  path = join(folder, "inventory", "inventory.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function record(vm: string, change: Partial<VmRecord> = {}): VmRecord {
  return {
    vm,
    placement: { term: 1, number: 5 },
    revision: 1,
    definition: "d",
    memoryMib: 96,
    vcpus: 1,
    prio: 0,
    wanted: "running",
    storage: "shared",
    storages: [],
    gated: true,
    released: null,
    ...change,
  };
}

function report(node: number, sequence: number, records: VmRecord[], incarnation = 1): VmReport {
  return {
    node,
    incarnation,
    sequence,
    adopted: { term: 1, number: 1 },
    view: { term: 1, number: 1 },
    copies: [],
    records,
    failures: [],
    memoryMib: 1000,
    vcpus: 2,
    storageGone: [],
  };
}

function names(store: InventoryStore): string[] {
  return store.records().map(({ node, record: { vm } }) => `${node} ${vm}`);
}

describe("the replica of the inventories", () => {
  it("remembers for a host that has lost its records, until another life of it knows better", () => {
    const { store } = InventoryStore.open(path);
    store.take(report(2, 1, [record("a"), record("b")]));
    store.take({ ...report(2, 1, [record("b", { revision: 7 })], 2), recordsLost: true });
    expect(names(store)).toEqual(["2 a", "2 b"]);
    expect(store.records()[1]?.record.revision).toBe(7);
    store.take(report(2, 1, [record("b", { revision: 7 })], 3));
    expect(names(store)).toEqual(["2 b"]);
  });

  it("is each node's own word, over a restart too", () => {
    const { store } = InventoryStore.open(path);
    expect(store.take(report(2, 1, [record("b"), record("a")]))).toBe(true);
    expect(store.take(report(3, 1, [record("c")]))).toBe(true);
    expect(store.take(report(2, 2, [record("b"), record("a")]))).toBe(false);
    expect(store.take(report(2, 3, [record("a", { wanted: "stopped", revision: 2 })]))).toBe(true);
    store.close();
    const again = InventoryStore.open(path).store;
    expect(names(again)).toEqual(["2 a", "3 c"]);
    expect(again.records()[0]?.record.wanted).toBe("stopped");
    again.close();
  });

  it("takes no older word for a newer one, but that of a new life", () => {
    const { store } = InventoryStore.open(path);
    store.take(report(2, 9, [record("new")], 4));
    store.take(report(2, 8, [record("old")], 4));
    store.take(report(2, 99, [record("old")], 3));
    expect(names(store)).toEqual(["2 new"]);
    store.take(report(2, 1, [record("newest")], 5));
    expect(names(store)).toEqual(["2 newest"]);
    store.close();
  });

  it("keeps a definition only under its own digest, and for as long as a record names it", () => {
    const { store } = InventoryStore.open(path);
    const digest = createHash("sha256").update("<domain/>").digest("hex");
    expect(store.addDefinition(digest, "<other/>")).toBe(false);
    expect(store.addDefinition(digest, "<domain/>")).toBe(true);
    store.take(report(2, 1, [record("a", { definition: digest })]));
    store.sweep();
    expect(store.definition(digest)).toBe("<domain/>");
    store.take(report(2, 2, []));
    store.sweep();
    expect(store.definition(digest)).toBeNull();
    store.close();
  });

  it("sets a damaged file aside and begins anew", () => {
    const { store } = InventoryStore.open(path);
    store.take(report(2, 1, [record("a")]));
    store.close();
    writeFileSync(path, "no database at all, but longer than a header of SQLite would be".repeat(20));
    const { store: fresh, setAside } = InventoryStore.open(path);
    expect(setAside).not.toBeNull();
    expect(existsSync(`${path}.corrupt`)).toBe(true);
    expect(names(fresh)).toEqual([]);
    fresh.close();
  });
});
