import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EVENTS } from "../src/events.ts";
import { eventsJsonSchema, eventsMarkdown } from "../src/events-documents.ts";

const docs = join(import.meta.dirname, "../../../docs");

describe("the registry of events", () => {
  it.each([
    ["events.md", eventsMarkdown()],
    ["schemas/events.json", eventsJsonSchema()],
  ])("is what docs/%s says (else: npm run generate in packages/contracts)", (name, expected) => {
    expect(readFileSync(join(docs, name), "utf8")).toBe(expected);
  });

  it("holds no event that nobody publishes", () => {
    const root = join(import.meta.dirname, "../../..");
    const files = globSync(["packages/*/src/**/*.ts", "services/*/src/**/*.ts"], { cwd: root });
    const sources = files
      .filter((file) => !file.startsWith("packages/contracts/"))
      .map((file) => readFileSync(join(root, file), "utf8"))
      .join("\n");
    const names = Object.values(EVENTS).flatMap((domain) => Object.keys(domain));
    expect(names.filter((name) => !sources.includes(`"${name}"`))).toEqual([]);
  });
});
