import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventsJsonSchema, eventsMarkdown } from "../src/events-documents.ts";

const docs = join(import.meta.dirname, "../../../docs");

describe("the registry of events", () => {
  it.each([
    ["events.md", eventsMarkdown()],
    ["schemas/events.json", eventsJsonSchema()],
  ])("is what docs/%s says (else: npm run generate in packages/contracts)", (name, expected) => {
    expect(readFileSync(join(docs, name), "utf8")).toBe(expected);
  });
});
