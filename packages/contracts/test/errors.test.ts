import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERROR_TABLE } from "../src/errors.ts";
import { errorsMarkdown } from "../src/errors-documents.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/manual/errors.md"), "utf8");

describe("the table of errors", () => {
  it("is what docs/manual/errors.md says (else: npm run generate in packages/contracts)", () => {
    expect(page).toBe(errorsMarkdown());
  });

  it("and the manual name the same codes with the same exit codes", () => {
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)];
    const documented = Object.fromEntries(rows.map(([, code, exit]) => [code, Number(exit)]));
    const known = Object.fromEntries(Object.entries(ERROR_TABLE).map(([code, { exit }]) => [code, exit]));
    expect(documented).toEqual(known);
  });
});
