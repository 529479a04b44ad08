import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./stand-in-plan.ts";

const MAIN = join(ROOT, "packages/lab/src/main.ts");

function run(args: string[], uid = 0) {
  const result = spawnSync(process.execPath, [MAIN, ...args], { uid, gid: uid, encoding: "utf8", cwd: "/" });
  return { code: result.status, said: result.stderr };
}

describe("quorate-lab says what is missing", () => {
  it("without root", () => {
    const result = run(["up", "--lab", "test-refusals"], 65_534);
    expect(result).toEqual({ code: 1, said: expect.stringContaining("which only root may") });
    expect(result.said).toContain("as root (sudo)");
  });

  it("of a lab that is not there", () => {
    expect(run(["status", "--lab", "test-refusals"])).toEqual({
      code: 64,
      said: expect.stringContaining("quorate-lab up --lab test-refusals"),
    });
  });

  it("on a wrong command line", () => {
    expect(run(["loss", "four", "3"]).code).toBe(64);
    expect(run(["status", "--lab", "../x"])).toEqual({
      code: 64,
      said: expect.stringContaining("no name for a lab"),
    });
  });
});
