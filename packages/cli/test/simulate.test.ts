import { EXIT_CODES } from "@quorate/contracts";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { runCommand } from "../src/program.ts";

async function run(...args: string[]): Promise<{ exit: number; out: string; errors: string }> {
  let out = "";
  let errors = "";
  const exit = await runCommand("quorate", ["sim", ...args], {
    write: (text) => {
      out += text;
    },
    complain: (text) => {
      errors += text;
    },
    isTerminal: false,
  });
  return { exit, out, errors };
}

describe("quorate sim", () => {
  test("runs seeds on threads and ends with one line for programs", async () => {
    const { exit, out } = await run(
      "--seconds",
      "20",
      "--seeds",
      "2",
      "--from",
      "5",
      "--generator",
      "clean-cut",
      "--json",
    );
    expect(exit).toBe(EXIT_CODES.ok);
    const last = JSON.parse(out.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(last).toMatchObject({ seeds: 2, from: 5, violations: 0, generators: { "clean-cut": 2 } });
    expect(out).toContain("seeds per second");
    expect(out).toContain("violations: none");
  });

  test("replays a seed bit for bit, with its whole story", async () => {
    const replay = () => run("--seed", "9", "--trace", "--seconds", "20", "--generator", "freeze-near-cut");
    const [first, second] = [await replay(), await replay()];
    expect(first.exit).toBe(EXIT_CODES.ok);
    expect(second.out).toBe(first.out);
    expect(first.out).toMatch(/ELECTED: Elected master of term 1/);
    expect(first.out).toMatch(/no violation; \d+ events, digest \d+-[0-9a-f]+/);
  });

  test("ends when the reader of a pipe has it all, however long it is and however slow he is", async () => {
    const main = join(import.meta.dirname, "../src/main.ts");
    const replay = `"${process.execPath}" "${main}" sim --seed 403370 --trace`;
    const { stdout } = await promisify(execFile)(
      "sh",
      ["-c", `${replay} | { dd bs=1 count=20000 status=none; cat; }`],
      { maxBuffer: 10 * 1024 * 1024 },
    );
    // A pipe holds 64 KiB; what is longer was cut off there.
    expect(stdout.length).toBeGreaterThan(65_536);
    expect(stdout).toMatch(/no violation; \d+ events, digest \d+-[0-9a-f]+\n$/);
  });

  for (const [what, args, remedy] of [
    ["an unknown generator", ["--generator", "chaos"], "Give one of: mixed"],
    ["a trace of no seed", ["--trace"], "--seed 7 --trace"],
    ["two nodes", ["--nodes", "2"], "A whole number from 3 to 9"],
    ["ten nodes", ["--nodes", "10"], "A whole number from 3 to 9"],
    ["no seeds", ["--seeds", "0"], "A whole number from 1"],
    ["half a seed", ["--from", "1.5"], "A whole number"],
  ] as const) {
    test(`says what to do about ${what}`, async () => {
      const { exit, out, errors } = await run(...args);
      expect(exit).toBe(EXIT_CODES.usage);
      expect(errors).toContain(remedy);
      expect(out).toBe("");
    });
  }
});
