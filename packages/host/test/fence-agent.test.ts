import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFenceAgent, fenceAgentProblem, monotonicNowUs } from "../src/index.ts";
import { AgentFixture } from "./fence-agent.ts";

let folder: string;
let fixture: AgentFixture;
const { signal } = new AbortController();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-agent-"));
  fixture = new AgentFixture(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const device = (parameters: Record<string, string> = {}, timeoutMs?: number) =>
  createFenceAgent({ nowUs: monotonicNowUs }, fixture.config(2, parameters, timeoutMs));

describe("a fence agent", () => {
  it.each([
    ["a shell that does not understand it", "#!/bin/sh\ncase x in\n"],
    ["a name that was never set", "#!/bin/sh\nset -u\necho $nothing\n"],
    ["Perl that misses a file", "#!/usr/bin/perl\nopen(F, '<', '/nowhere') or die 'no configuration';\n"],
  ])("whose program fails with 2 (%s) says nothing of the host", async (_what, program) => {
    writeFileSync(fixture.agent, program);
    await expect(device().isOff(signal)).rejects.toMatchObject({ code: "TOOL_FAILED" });
  });

  it("says whether the host is off, and switches it off; what it needs goes over its input alone", async () => {
    expect(await device().isOff(signal)).toBe(false);
    await device().switchOff(signal);
    expect(await device().isOff(signal)).toBe(true);
    expect(fixture.calls()).toEqual(["status 0 hunter2=x", "off 0 hunter2=x", "status 0 hunter2=x"]);
  });

  it("that fails says nothing of the host, and its words are told without the secrets", async () => {
    const asked = device({ trouble: "deaf" }).isOff(signal);
    await expect(asked).rejects.toMatchObject({ code: "TOOL_FAILED" });
    await expect(asked).rejects.toThrow("cannot log in with …");
    await expect(device({ trouble: "deaf" }).switchOff(signal)).rejects.toMatchObject({
      code: "TOOL_FAILED",
    });
  });

  it("that hangs is killed with all that it has started, in time or when it is broken off", async () => {
    const began = performance.now();
    await expect(device({ trouble: "slow" }, 200).isOff(signal)).rejects.toThrow("did not end within 200 ms");
    const stopping = new AbortController();
    const asked = device({ trouble: "slow" }).isOff(stopping.signal);
    setTimeout(() => stopping.abort(), 100);
    await expect(asked).rejects.toThrow("was broken off");
    expect(performance.now() - began).toBeLessThan(3000);
  });

  it.each<[string, string, () => void]>([
    ["that others may read", "has the mode 644", () => chmodSync(fixture.secretsFile, 0o644)],
    ["that is not there", "ENOENT", () => rmSync(fixture.secretsFile)],
    [
      "that is a symbolic link",
      "cannot be opened",
      () => {
        rmSync(fixture.secretsFile);
        symlinkSync(fixture.agent, fixture.secretsFile);
      },
    ],
    [
      "with a broken line",
      "secrets:2 is no key=value",
      () => writeFileSync(fixture.secretsFile, "a=b\nhunter2\n"),
    ],
    ["with an action", "secrets:1 is no key=value", () => writeFileSync(fixture.secretsFile, "action=on\n")],
  ])("does not take a secrets file %s, and says so beforehand", async (_, words, spoil) => {
    expect(fenceAgentProblem(fixture.config(2))).toBeNull();
    spoil();
    const problem = fenceAgentProblem(fixture.config(2));
    expect(problem).toMatchObject({ code: "SECRETS_INVALID" });
    expect(problem?.message).toContain(words);
    expect(problem?.message).not.toContain("hunter2");
    await expect(device().isOff(signal)).rejects.toMatchObject({ code: "SECRETS_INVALID" });
    expect(fixture.calls()).toEqual([]);
  });

  it("that is not installed is said beforehand", () => {
    expect(fenceAgentProblem({ ...fixture.config(2), agent: "fence_nowhere" })).toMatchObject({
      code: "TOOL_MISSING",
      hint: expect.stringContaining("fence-agents"),
    });
  });
});
