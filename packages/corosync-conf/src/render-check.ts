import type { ClusterConfig, ExitCode, NotHonoured } from "@quorate/contracts";
import { EXIT_CODES } from "@quorate/contracts";
import { formatDiagnostic } from "./diagnostic.ts";
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

/**
 * The answer of `quorate config check FILE`: every finding in reading order, then one line that says whether a
 * node would start with it. Exit code 0, or 78 when it would not.
 */
export function renderCheck(fileName: string, result: ReadResult): RenderedCheck {
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  const lines = diagnostics.map(formatDiagnostic);
  if (!result.ok) {
    const errorCount = diagnostics.filter(({ severity }) => severity === "error").length;
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
