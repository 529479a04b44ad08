/** Crash-only: whatever the disk gives back of what the evaluator wrote, it is the same, or the node has no vote. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostConfig } from "@quorate/corosync-conf";
import { initialState, startQuorum, stepQuorum } from "@quorate/core-quorum";
import { writeStateFileSync } from "@quorate/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadDurableState } from "../src/durable-state.ts";

const text = `totem {
 config_version: 1
 cluster_name: V
 transport: udpu
}
nodelist {
${[2, 4, 8].map((id) => ` node {\n  ring0_addr: 10.0.0.${id}\n  nodeid: ${id}\n }`).join("\n")}
}
`;
const config = hostConfig(text, "cluster.conf");
const node = config.nodes[0]?.id ?? 0;
const BOOT = "00000000000000aa";
let folder: string;
let path: string;
let good: Buffer;
let written: ReturnType<typeof loadDurableState>["durable"];

/** A state as the evaluator itself writes it: after a vote. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-evaluator-"));
  path = join(folder, "evaluator.json");
  const ref = { term: 3, version: config.configVersion, digest: "ab".repeat(32) };
  const first = { ...initialState(config, ref, node), term: 7, follows: node, generation: 4 };
  const state = startQuorum(first, { nowUs: 1_000_000, bootId: BOOT, seed: 1 });
  const { effects } = stepQuorum(state, { kind: "tick", nowUs: 1_000_000, drainedUs: 0 });
  const persist = effects.find((effect) => effect.kind === "persist");
  if (persist === undefined) throw new Error("nothing to persist");
  written = persist.state;
  writeStateFileSync(path, written);
  good = readFileSync(path);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load() {
  return loadDurableState(folder, { config, text }, node);
}

function expectNoVote(): void {
  const { durable, lost } = load();
  expect(lost?.code).toMatch(/^STATE_(TORN|CORRUPT|FOREIGN)$/);
  expect(lost?.message).toContain("evaluator.json.refused");
  expect(durable).toMatchObject({ amnesic: true, out: true, follows: null, term: 0 });
  expect(readFileSync(`${path}.refused`)).not.toEqual(good);
}

it("every truncation is refused", () => {
  for (let length = 0; length < good.length; length++) {
    writeFileSync(path, good.subarray(0, length));
    expectNoVote();
    // The next start stumbles over nothing: the state is missing then, which is as safe.
    expect(load()).toMatchObject({ durable: { amnesic: true }, lost: { code: "STATE_MISSING" } });
  }
  writeFileSync(path, good);
  expect(load()).toEqual({ durable: written, lost: null });
});

it("every flipped bit is refused", { timeout: 180_000 }, () => {
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = Buffer.from(good);
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(path, bad);
    expectNoVote();
  }
});

it("another node's state is refused, and so is a whole one of another form", () => {
  writeStateFileSync(path, { ...written, node: node + 1 });
  expect(load()).toMatchObject({ durable: { amnesic: true }, lost: { code: "STATE_FOREIGN" } });
  writeStateFileSync(path, { ...written, format: 2 });
  expectNoVote();
});

it("a folder in the place of the file costs the vote and no crash", () => {
  rmSync(path);
  mkdirSync(path);
  expect(load()).toMatchObject({ durable: { amnesic: true }, lost: { code: "STATE_CORRUPT" } });
  expect(load()).toMatchObject({ durable: { amnesic: true }, lost: { code: "STATE_MISSING" } });
});

it("a node without vote votes for nobody, grants nothing, and says so in every ballot", () => {
  writeFileSync(path, good.subarray(0, 100));
  const { durable } = load();
  let state = startQuorum(durable, { nowUs: 1_000_000, bootId: BOOT, seed: 1 });
  for (let nowUs = 1_000_000; nowUs < 8_000_000; nowUs += 20_000) {
    const result = stepQuorum(state, { kind: "tick", nowUs, drainedUs: nowUs });
    state = result.state;
    for (const effect of result.effects) {
      if (effect.kind === "ballot")
        expect(effect.ballot).toMatchObject({ amnesic: true, follows: null, master: false });
      if (effect.kind === "grant") expect(effect.grant.role).not.toBe("master");
    }
  }
  expect(state.wonTerm).toBeNull();
});
