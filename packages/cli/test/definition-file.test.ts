import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failureText } from "../src/output.ts";
import { runCommand } from "../src/program.ts";
import { temporaryFolder } from "./fixture.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** There is no node here: what is refused is refused before anybody is asked. */
async function refusal(file: string): Promise<{ code: number; said: string }> {
  let said = "";
  const code = await runCommand("quorate", ["vm", "define", file, "--run-dir", folder], {
    write: () => {},
    complain: (part) => {
      said += part;
    },
    isTerminal: false,
  });
  return { code, said };
}

it("does not let what others wrote move the cursor", () => {
  const text = failureText(new QuorateError("USAGE", "\u001b[2J\u009b1m\u202ea\nb", "c\u0007"));
  expect(text).toBe("quorate: \\u001b[2J\\u009b1m\\u202ea\nb\n  what to do: c\\u0007\n");
});

describe("the file of a definition", () => {
  it("is a regular one, of a definition's size", async () => {
    const file = join(folder, "large.xml");
    writeFileSync(file, "x".repeat(20_000_000));
    expect(await refusal(file)).toMatchObject({
      code: EXIT_CODES.configuration,
      said: expect.stringContaining(`${file} has 20 MiB; a definition has 256 KiB at the most.`),
    });
    expect(await refusal("/dev/null")).toMatchObject({
      code: EXIT_CODES.configuration,
      said: expect.stringContaining("/dev/null is no regular file."),
    });
    expect((await refusal(folder)).said).toContain("is no regular file.");
    const latin = join(folder, "latin.xml");
    writeFileSync(latin, Buffer.from("<domain><title>f\u00fcr</title></domain>", "latin1"));
    expect(await refusal(latin)).toMatchObject({
      code: EXIT_CODES.configuration,
      said: expect.stringMatching(/latin\.xml is not UTF-8\.[^]*iconv/),
    });
    expect((await refusal(join(folder, "none.xml"))).said).toContain("ENOENT");
  });
});
