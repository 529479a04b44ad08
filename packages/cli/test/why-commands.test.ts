import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EvaluatorState, JOURNAL_FILE, votersOf } from "@quorate/contracts";
import { documentDigest } from "@quorate/corosync-conf";
import { initialState } from "@quorate/core-quorum";
import { JournalStore } from "@quorate/journal-file";
import { writeStateFileSync } from "@quorate/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfiguration } from "../src/configuration-file.ts";
import { runCommand } from "../src/program.ts";
import { CLUSTER_CONF, temporaryFolder } from "./fixture.ts";
import { M, SLAVE, WON, decisions, peer } from "./why-story.ts";

async function capture(args: readonly string[]): Promise<{ code: number; out: string; complaint: string }> {
  let out = "";
  let complaint = "";
  const output = {
    write: (text: string) => {
      out += text;
    },
    complain: (text: string) => {
      complaint += text;
    },
    isTerminal: false,
  };
  const code = await runCommand("quorate", args, output);
  return { code, out, complaint };
}

describe("the commands, on a node that does not run", () => {
  let folder: string;
  let where: string[];

  beforeAll(() => {
    folder = temporaryFolder();
    const { config } = parseConfiguration(CLUSTER_CONF, "test.conf");
    mkdirSync(join(folder, "config"));
    writeFileSync(join(folder, "config", "running.conf"), CLUSTER_CONF);
    const ref = { term: 0, version: 1, digest: documentDigest(CLUSTER_CONF) };
    const state: EvaluatorState = { ...initialState(config, ref, 4), voters: votersOf(config) };
    writeStateFileSync(join(folder, "evaluator.json"), state);
    where = ["--state-dir", folder, "--run-dir", join(folder, "none")];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("why says that there is no journal; then what is in it; then that it knows nothing of something", async () => {
    expect((await capture(["why", ...where])).code).toBe(105);
    const { store } = JournalStore.open(join(folder, JOURNAL_FILE));
    store.insert(
      decisions([...SLAVE, [60_950, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })], ...WON]),
    );
    store.close();
    const told = await capture(["why", ...where]);
    expect(told.code).toBe(0);
    expect(told.out.split("\n")[0]).toMatch(
      /^At 10:01:01\.021 node 4 became master of term 2 because node 2 fell silent/,
    );
    expect(told.out).toMatch(/\nRule .*\n(?:.*\n)*Otherwise .*\n/);
    expect(told.out).toContain("the journal service does not run");
    const json = JSON.parse((await capture(["why", "term:2", "--json", ...where])).out) as {
      cause: { kind: string };
    };
    expect(json.cause.kind).toBe("peer-silent");
    const unknown = await capture(["why", "term:99", ...where]);
    expect([unknown.code, unknown.complaint]).toEqual([
      105,
      expect.stringContaining("knows nothing of term 99"),
    ]);
    expect((await capture(["why", "25:99", ...where])).code).toBe(64);
    expect((await capture(["why", "node:99", ...where])).code).toBe(105);
  });

  it("log lists it, filtered", async () => {
    const lines = async (...args: string[]) =>
      (await capture(["log", ...args, ...where])).out.trim().split("\n");
    expect((await lines("--level", "important")).at(-1)).toContain("Node 4 is master of term 2.");
    expect(await lines("--service", "membership")).toHaveLength(1);
    expect((await lines("--node", "2", "-n", "1"))[0]).toContain("Silent.");
    expect(JSON.parse((await lines("--json", "-n", "1"))[0] ?? "")).toMatchObject({ code: "MASTER_KNOWN" });
    expect((await capture(["log", "--since", "nonsense", ...where])).code).toBe(64);
    expect((await capture(["log", "--level", "loud", ...where])).code).toBe(64);
  });

  it("a damaged journal is named, not guessed at", async () => {
    writeFileSync(join(folder, JOURNAL_FILE), "no database at all, only words ".repeat(100));
    const told = await capture(["why", ...where]);
    expect(told.code).toBe(1);
    expect(told.complaint).toContain("cannot be read");
  });
});
