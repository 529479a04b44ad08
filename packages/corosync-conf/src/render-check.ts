import type { ClusterConfig, ExitCode, NotHonoured } from "@quorate/contracts";
import { EXIT_CODES } from "@quorate/contracts";
import type { Place } from "./diagnostic.ts";
import { formatDiagnostic, sortedByPlace } from "./diagnostic.ts";
import type { ReadResult } from "./meaning.ts";

export interface RenderedCheck {
  /** Lines, each ended by a newline. */
  readonly text: string;
  readonly exitCode: ExitCode;
}

/** What keeps a node with this configuration from starting; empty when nothing does. */
export function dangerousEntries(config: ClusterConfig): readonly NotHonoured[] {
  return config.notHonoured.filter((entry) => entry.dangerous);
}

/** `file:line:column: dangerous: …; what to do` (or `warning:`), for `check` and `status`. */
export function formatNotHonoured(entry: NotHonoured, fileName: string): string {
  const label = entry.dangerous ? "dangerous" : "warning";
  return `${fileName}:${entry.line}:${entry.column}: ${label}: ${entry.message}; ${entry.hint}`;
}

/**
 * The answer of `quorate config check FILE`: every finding in reading order, then one line that says whether a
 * node would start with it. Exit code 0, or 78 when it would not.
 */
export function renderCheck(fileName: string, result: ReadResult): RenderedCheck {
  const lines = reportLines(fileName, result);
  if (!result.ok) {
    const errorCount = result.diagnostics.filter(({ severity }) => severity === "error").length;
    lines.push(`${fileName}: refused: ${counted(errorCount, "error")}`);
    return { text: joined(lines), exitCode: EXIT_CODES.configuration };
  }
  const { config } = result;
  const dangerous = dangerousEntries(config);
  if (dangerous.length > 0) {
    const keys = dangerous.map(({ key }) => key).join(", ");
    lines.push(`${fileName}: refused: a node would not start, because ignoring ${keys} is dangerous`);
    return { text: joined(lines), exitCode: EXIT_CODES.configuration };
  }
  lines.push(`${fileName}: good: ${summary(config)}`);
  return { text: joined(lines), exitCode: EXIT_CODES.ok };
}

/** Diagnostics and what isn't honoured, in reading order. */
function reportLines(fileName: string, result: ReadResult): string[] {
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  const notHonoured = result.ok ? result.config.notHonoured : result.notHonoured;
  const found = [
    ...diagnostics.map((entry) => ({ ...placeOf(entry), text: formatDiagnostic(entry) })),
    ...notHonoured.map((entry) => ({ ...placeOf(entry), text: formatNotHonoured(entry, fileName) })),
  ];
  return sortedByPlace(found).map(({ text }) => text);
}

function placeOf({ line, column }: Place): Place {
  return { line, column };
}

function summary(config: ClusterConfig): string {
  return [
    `cluster ${config.clusterName}`,
    `version ${config.configVersion}`,
    counted(config.nodes.length, "node"),
    `quorum ${config.quorumVotes} of ${counted(config.totalVotes, "vote")}`,
    counted(config.clusterIps.length, "cluster address", "cluster addresses"),
    `token ${config.tokenMs} ms`,
  ].join(", ");
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
