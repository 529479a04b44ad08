/** A disk that takes no state: what `quorate status` is told meanwhile. The refusal is a real one. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QuorumMessage } from "@quorate/contracts";
import { hostConfig } from "@quorate/corosync-conf";
import { initialState, startQuorum } from "@quorate/core-quorum";
import { writeStateFileSync } from "@quorate/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { toldStatus } from "../src/disk-trouble.ts";
import { QuorumLoop } from "../src/loop.ts";

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
let folder: string;
let state: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-evaluator-"));
  state = join(folder, "state");
  mkdirSync(state);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A loop whose state goes into a folder that the test takes away. */
function loopOn(path: string): { loop: QuorumLoop; trouble: () => Error | null } {
  const ref = { term: 0, version: 1, digest: "ab".repeat(32) };
  const durable = initialState(config, ref, config.nodes[0]?.id ?? 0);
  let trouble: Error | null = null;
  const loop = new QuorumLoop(startQuorum(durable, { nowUs: 1, bootId: "00000000000000aa", seed: 1 }), {
    persist: (what) => writeStateFileSync(path, what),
    send: () => undefined,
    publish: () => undefined,
    suspendedUs: () => 0,
    barrier: () => Promise.resolve(true),
    diskTrouble: (error) => {
      trouble = error;
    },
  });
  return { loop, trouble: () => trouble };
}

it("names the file, the trouble and the remedy beside what was judged before", () => {
  const { loop, trouble } = loopOn(join(state, "evaluator.json"));
  loop.step({ kind: "tick" });
  const judged = toldStatus(loop.quorum, trouble()).quorum;
  expect(judged.problems.map(({ code }) => code)).not.toContain("DISK_FULL");
  rmSync(state, { recursive: true });
  // Which document it has is part of what it may not forget.
  const newer = { term: 0, version: 2, digest: "cd".repeat(32) };
  loop.step({ kind: "stored", ref: newer, from: null, config });
  loop.stop();
  expect(trouble()).not.toBeNull();
  const told = toldStatus(judged, trouble());
  expect(told.quorum.problems[0]).toMatchObject({ code: "DISK_FULL" });
  expect(told.quorum.problems[0]?.message).toContain("evaluator.json");
  expect(told.quorum.problems[0]?.facts?.["remedy"]).toContain(state);
  expect(told.quorum.problems.slice(1)).toEqual(judged.problems);
});

it("says so too when nothing could be judged at all", () => {
  rmSync(state, { recursive: true });
  const { loop, trouble } = loopOn(join(state, "evaluator.json"));
  loop.step({ kind: "tick" });
  loop.stop();
  expect(loop.quorum).toBeNull();
  expect(() => toldStatus(loop.quorum, trouble())).toThrow(/refuses the evaluator's state.*evaluator\.json/);
  expect(() => toldStatus(null, null)).toThrow("has not judged anything yet");
});

it("changes nothing while the disk is well", () => {
  const quorum = { problems: [] } as unknown as QuorumMessage;
  expect(toldStatus(quorum, null)).toEqual({ quorum });
});
