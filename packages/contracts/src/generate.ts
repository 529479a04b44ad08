// Writes docs/decisions.md, docs/events.md, docs/schemas/events.json and docs/manual/errors.md; with --check it writes nothing and fails when one differs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { decisionsMarkdown } from "./decision-documents.ts";
import { errorsMarkdown } from "./errors-documents.ts";
import { eventsJsonSchema, eventsMarkdown } from "./events-documents.ts";

const docs = join(import.meta.dirname, "../../../docs");
const files = {
  "decisions.md": decisionsMarkdown(),
  "events.md": eventsMarkdown(),
  "schemas/events.json": eventsJsonSchema(),
  "manual/errors.md": errorsMarkdown(),
};
for (const [name, content] of Object.entries(files)) {
  const path = join(docs, name);
  if (process.argv.includes("--check")) {
    let current = "";
    try {
      current = readFileSync(path, "utf8");
    } catch {
      // Not there: it differs.
    }
    if (current !== content) {
      process.stderr.write(`docs/${name} is out of date\n`);
      process.exitCode = 1;
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}
