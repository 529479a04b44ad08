// Writes docs/manual/configuration.md from the reference's table; with --check it only says whether it is up to date.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderReference } from "./reference-markdown.ts";

const file = join(import.meta.dirname, "../../../docs/manual/configuration.md");
const wanted = renderReference();

function current(): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

if (!process.argv.includes("--check")) writeFileSync(file, wanted);
else if (current() !== wanted) process.exitCode = 1;
