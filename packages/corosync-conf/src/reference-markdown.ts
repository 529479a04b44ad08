import { CONFIG_REFERENCE, REFERENCE_SECTIONS } from "./reference.ts";
import type { ReferenceKey, ReferenceSection } from "./reference-types.ts";
import { TOKEN_MINIMUM_MS, TOKEN_RESTART_MS, timingOf } from "./timing.ts";
import { expectation } from "./value-types.ts";

const INTRODUCTION = `# Configuration reference

<!-- Made from packages/corosync-conf/src/reference*.ts by \`node packages/corosync-conf/src/generate.ts\`. Change it there. -->

One file, \`/etc/quorate/cluster.conf\`, the same on every node, in the grammar of corosync.conf. A corosync.conf
works as it is; so does the original's file. Everything has a default, save who the nodes are.
\`quorate config check FILE\` says all that is wrong with a file at once, as \`file:line:column: what; what to do\`,
and ends with 78 when a node would not start with it. \`quorate config show --effective\` prints every value that
counts, and where it comes from.

## How the file is read

- Line by line: a comment (\`#\` as the first thing on it), \`section {\`, \`}\`, or \`key: value\`. Blanks and tabs around
  these don't matter. \`section{\` is fine. Each of these needs a line of its own: \`node { nodeid: 1 }\` is refused, as
  by corosync.
- A comment behind a value is no comment: corosync reads \`#\` and the rest as part of the value, and so do we, with a
  warning. A value may contain blanks, \`:\`, \`#\` and \`}\`, but no \`{\`, which always starts a section.
- Sections of one name are read as one, as by corosync, save those that are things of their own ("one for each"
  below). A key that is there twice with two values is refused: corosync takes the last, we don't guess.
- Numbers are decimal digits. Yes and no are \`on\`, \`yes\`, \`1\`, \`true\` and \`off\`, \`no\`, \`0\`, \`false\`.
- Unknown sections and keys are kept; a note says that they have no effect, with the likely name of a misspelt one.
- Line endings (CRLF too), order, comments and layout stay as they are when Quorate changes a value; what isn't
  changed is written back byte for byte. With \`version: 2\` in the input \`corosync -t\` accepts what is written.

## What is refused, and what is only named

Refused: broken syntax; a word where a number must stand, or a number out of range; no node, a second
nodelist (corosync would lay it over the first), a node without \`nodeid\`
or \`ring0_addr\`, an id or an address that is there twice, gaps in a node's rings, two address families on one ring;
no node that may lead (all \`prio: 0\`); votes of which all nodes together are no quorum; unsafe timing; a cluster address
that is also a node's, is there twice, or isn't an address a host can have; two rings in one place; ports that are
missing, there twice, or also the message servers'; a managed service with both, or neither, \`unit\` and \`command\`.

Warnings, because it is safe but not what one wants: two nodes without a third voter (the majority of two is two, so
the death of one stops the other; never two masters), votes so that the death of one node stops all, one node alone.

What corosync would do and we don't is named by \`check\` and by \`status\`. Ignoring it never endangers data, because a
quorum here is a strict majority of all votes, at least as strict as any of these. It is **dangerous** where it turns a
failure which the file means to survive into a stop of everything: \`two_node\` with two nodes; \`auto_tie_breaker\` or a
quorum \`device\` where the loss of one node leaves no majority. There the node refuses to start until the file says what
is meant: a third voter (a node with \`prio: 0\` on any small machine votes and never leads), or the line deleted.
`;

/** The whole of docs/manual/configuration.md. */
export function renderReference(): string {
  const parts = [INTRODUCTION, timingTable(), "## Sections and keys\n"];
  for (const section of REFERENCE_SECTIONS) {
    const rows = CONFIG_REFERENCE.filter((row) => row.section === section.section);
    const honoured = rows.filter((row) => row.use === "honoured");
    if (section.use === "honoured" && honoured.length > 0) parts.push(sectionTable(section, honoured));
  }
  parts.push(notHonouredTable(), ignoredTable());
  return `${parts.join("\n").trimEnd()}\n`;
}

function timingTable(): string {
  const tokens = [TOKEN_MINIMUM_MS, 300, TOKEN_RESTART_MS, 1000, 3000];
  const timings = tokens.map(timingOf);
  const cells = (label: string, value: (timing: (typeof timings)[number]) => number): string =>
    tableRow([label, ...timings.map((timing) => `${Math.round(value(timing) * 10) / 10}`)]);
  return [
    "## What follows from `token`, in milliseconds",
    "",
    tableRow(["", ...tokens.map((tokenMs) => `T = ${tokenMs}`)]),
    tableRow(["---", ...tokens.map(() => "---:")]),
    cells("heartbeat, T/10", ({ heartbeatMs }) => heartbeatMs),
    cells("lease, T * (1 - 0.01)", ({ leaseMs }) => leaseMs),
    cells("permit M, max(20, T/20)", ({ permitMs }) => permitMs),
    cells("what a lease must outlive, 4 * T/10 + 2 * M + 20", ({ leaseNeedMs }) => leaseNeedMs),
    cells("address on the next master after a host's death, up to 1.3 T", ({ tokenMs }) => tokenMs * 1.3),
    "",
    `T = ${TOKEN_MINIMUM_MS} is the smallest that is accepted: a lease just outlives two lost heartbeats and the renewal that`,
    `follows. From ${TOKEN_RESTART_MS} on it also outlives the crash and restart (about 300 ms) of one of our own processes.`,
    "",
  ].join("\n");
}

function sectionTable(section: ReferenceSection, rows: readonly ReferenceKey[]): string {
  const title = section.section === "" ? "Outside of all sections" : `\`${section.section}\``;
  const lines = [
    `### ${title}`,
    "",
    section.meaning,
    "",
    tableRow(["key", "value", "default", "what it does", "formula", "trade-off"]),
    tableRow(["---", "---", "---", "---", "---", "---"]),
    ...rows.map((row) =>
      tableRow([
        keyCell(row),
        expectation(row.type),
        defaultCell(row),
        row.meaning,
        row.formula ?? "",
        row.tradeOff ?? "",
      ]),
    ),
    "",
  ];
  return lines.join("\n");
}

function notHonouredTable(): string {
  const keys = CONFIG_REFERENCE.filter((row) => row.use === "notHonoured");
  const sections = REFERENCE_SECTIONS.filter((row) => row.use === "notHonoured");
  return [
    "## Named, and not honoured",
    "",
    tableRow(["what", "in corosync", "ignoring it"]),
    tableRow(["---", "---", "---"]),
    ...keys.map((row) => tableRow([`\`${row.section}.${row.key}\``, row.meaning, row.tradeOff ?? ""])),
    ...sections.map((row) => tableRow([`\`${row.section} { … }\``, row.meaning, row.ignoring ?? ""])),
    "",
  ].join("\n");
}

function ignoredTable(): string {
  const byMeaning = new Map<string, string[]>();
  for (const row of CONFIG_REFERENCE.filter((candidate) => candidate.use === "ignored")) {
    const name = row.section === "" ? row.key : `${row.section}.${row.key}`;
    byMeaning.set(row.meaning, [...(byMeaning.get(row.meaning) ?? []), `\`${name}\``]);
  }
  const sections = REFERENCE_SECTIONS.filter((row) => row.use === "ignored");
  return [
    "## Kept, without effect",
    "",
    tableRow(["what", "why"]),
    tableRow(["---", "---"]),
    ...[...byMeaning].map(([meaning, names]) => tableRow([names.join(", "), meaning])),
    ...sections.map((row) => tableRow([`\`${row.section} { … }\``, row.meaning])),
    "",
  ].join("\n");
}

function keyCell(row: ReferenceKey): string {
  const also = row.also === undefined ? "" : `, also ${row.also.map((key) => `\`${key}\``).join(", ")}`;
  return `\`${row.key}\`${also}`;
}

function defaultCell(row: ReferenceKey): string {
  return row.default === undefined ? (row.defaultMeaning ?? "none") : `\`${row.default}\``;
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
