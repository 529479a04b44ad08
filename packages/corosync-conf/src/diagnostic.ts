/**
 * `error` refuses the file; `dangerous` lets it be read, but a node must not start with it; `warning` wants a
 * look; `note` says what we do with something that is kept.
 */
export type Severity = "error" | "dangerous" | "warning" | "note";

/** One finding, at a place. Lines and columns count from 1; a tab is one column. */
export interface Diagnostic {
  readonly severity: Severity;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly what: string;
  readonly remedy: string;
}

/** `file:line:column: what; what to do`. Whatever isn't an error says so before the `what`. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { severity, file, line, column, what, remedy } = diagnostic;
  const label = severity === "error" ? "" : `${severity}: `;
  return `${file}:${line}:${column}: ${label}${what}; ${remedy}`;
}

/** A place in a file. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** In reading order; findings at one place keep the order in which they were made. */
export function sortedByPlace<T extends Place>(findings: readonly T[]): T[] {
  return [...findings].sort((a, b) => a.line - b.line || a.column - b.column);
}
