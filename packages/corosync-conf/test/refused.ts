import { expect, test } from "vitest";
import { formatDiagnostic, readClusterConfig } from "../src/index.ts";

/** A file that is fine, and ends in line 14. */
export const THREE = `nodelist {
 node {
  nodeid: 1
  ring0_addr: 10.0.0.1
 }
 node {
  nodeid: 2
  ring0_addr: 10.0.0.2
 }
 node {
  nodeid: 3
  ring0_addr: 10.0.0.3
 }
}
`;

/** The errors alone, as printed, of a file called `f`. */
function errors(text: string): string[] {
  const result = readClusterConfig(text, "f");
  if (result.ok) return [];
  return result.diagnostics.filter(({ severity }) => severity === "error").map(formatDiagnostic);
}

export interface Case {
  readonly name: string;
  readonly text: string;
  /** One for each error, in order: the place in full, and how the `what` starts. */
  readonly expected: readonly string[];
}

export function totem(...lines: string[]): string {
  return `${THREE}totem {\n${lines.map((line) => ` ${line}\n`).join("")}}\n`;
}

export function section(name: string, ...lines: string[]): string {
  return `${THREE}${name} {\n${lines.map((line) => ` ${line}\n`).join("")}}\n`;
}

export function nodes(...bodies: readonly (readonly string[])[]): string {
  const node = (lines: readonly string[]): string =>
    ` node {\n${lines.map((line) => `  ${line}\n`).join("")} }\n`;
  return `nodelist {\n${bodies.map(node).join("")}}\n`;
}

/** One test for each case. */
export function testCases(cases: readonly Case[]): void {
  test.each(cases)("$name", ({ text, expected }) => {
    const found = errors(text);
    expect(found.map((line, index) => line.slice(0, expected[index]?.length))).toEqual(expected);
    for (const line of found) expect(line).toMatch(/^f:\d+:\d+: .+; .+/);
  });
}
