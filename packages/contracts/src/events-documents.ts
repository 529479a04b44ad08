/** What is generated from the registry of events; generate.ts writes it, a test compares it. */
import { z } from "zod";
import { EVENTS, EventEnvelopeSchema } from "./events.ts";

interface Registered {
  domain: string;
  name: string;
  meaning: string;
  data: z.ZodType;
}

function registered(): Registered[] {
  const domains: Record<string, Record<string, { meaning: string; data: z.ZodType }>> = EVENTS;
  return Object.keys(domains).flatMap((domain) =>
    Object.entries(domains[domain] ?? {}).map(([name, { meaning, data }]) => ({
      domain,
      name,
      meaning,
      data,
    })),
  );
}

function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "output" });
  return rest;
}

/** docs/schemas/events.json: the envelope, and `data` by the event's type. JSON Schema 2020-12. */
export function eventsJsonSchema(): string {
  const definitions: Record<string, unknown> = {};
  for (const { domain, name, meaning, data } of registered()) {
    definitions[`quorate.v1.${domain}.${name}`] = { description: meaning, ...jsonSchema(data) };
  }
  const document = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "events.json",
    title: "Events of Quorate: CloudEvents 1.0 in JSON",
    ...jsonSchema(EventEnvelopeSchema),
    allOf: Object.keys(definitions).map((type) => ({
      if: { properties: { type: { const: type } } },
      // biome-ignore lint/suspicious/noThenProperty: it is JSON Schema's word.
      then: { properties: { data: { $ref: `#/$defs/${type}` } } },
    })),
    $defs: definitions,
  };
  return `${printJson(document, "")}\n`;
}

/** As the formatter of this repository prints JSON: what fits on a line of 110 columns is on one. */
function printJson(value: unknown, indent: string, used = indent.length): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => JSON.stringify(item)).join(", ")}]`;
    const isPlain = value.every((item) => typeof item !== "object" || item === null);
    if (isPlain && used + flat.length < 110) return flat;
    return `[\n${value.map((item) => inner + printJson(item, inner)).join(",\n")}\n${indent}]`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return "{}";
  const lines = entries.map(([key, item]) => {
    const start = `${inner}${JSON.stringify(key)}: `;
    return start + printJson(item, inner, start.length);
  });
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

/** A form as one short expression: `"joined" | "left"`, `whole number`, `{ term, version }`. */
function shortForm(schema: unknown): string {
  const form = schema as {
    type?: string | string[];
    const?: unknown;
    enum?: unknown[];
    anyOf?: unknown[];
    items?: unknown;
    properties?: Record<string, unknown>;
  };
  if (form.const !== undefined) return JSON.stringify(form.const);
  if (form.enum !== undefined) return form.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (form.anyOf !== undefined) return form.anyOf.map(shortForm).join(" | ");
  if (form.type === "object") return `{ ${Object.keys(form.properties ?? {}).join(", ")} }`;
  if (form.type === "array") return `list of ${shortForm(form.items)}`;
  if (Array.isArray(form.type)) return form.type.map((type) => shortForm({ type })).join(" | ");
  return form.type === "integer" ? "whole number" : (form.type ?? "anything");
}

/** docs/events.md */
export function eventsMarkdown(): string {
  const lines = [
    "# Events",
    "",
    "<!-- Generated from packages/contracts/src/events.ts by `npm run generate`; do not edit. -->",
    "",
    "Every event is a CloudEvents 1.0 JSON document on the subject",
    "`quorate.v1.<cluster>.<node>.<domain>.<event>` of each node's NATS server; characters of the cluster's name",
    "that NATS does not allow there become `_`. Its `type` is `quorate.v1.<domain>.<event>`; the form of each is in",
    "[schemas/events.json](schemas/events.json).",
    "",
    "To read them: any NATS client, the address and the user of `/run/quorate/reader.json` on a node. That user",
    "may subscribe to events of all nodes and to nothing else, and may not publish:",
    "",
    "```sh",
    'nats --server "$(jq -r .url /run/quorate/reader.json)" --user reader \\',
    "  --password \"$(jq -r .password /run/quorate/reader.json)\" subscribe 'quorate.v1.>'",
    "```",
    "",
    "or `quorate events` (`--json` for the documents as they are).",
    "",
    "`data` holds `old`, `new`, `reason` (a stable code), `message` (one sentence) and `facts`. `sequence` rises by",
    "one with every event of a node over all of its services, starting anew with the boot (`bootid`): a gap is a lost",
    "event. Delivery is at most once; `causeid` names the event that brought this one about.",
    "",
  ];
  let domain = "";
  for (const entry of registered()) {
    if (entry.domain !== domain) {
      domain = entry.domain;
      lines.push(`## ${domain}`, "", "| event | meaning | old | new | facts |", "|---|---|---|---|---|");
    }
    const { properties = {} } = jsonSchema(entry.data) as { properties?: Record<string, unknown> };
    const facts = Object.keys((properties["facts"] as { properties?: object } | undefined)?.properties ?? {});
    const cells = [
      `\`${entry.name}\``,
      entry.meaning,
      shortForm(properties["old"]),
      shortForm(properties["new"]),
      facts.join(", "),
    ];
    lines.push(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`.replaceAll(/\n(## )/g, "\n\n$1").replaceAll("\n\n\n", "\n\n");
}
