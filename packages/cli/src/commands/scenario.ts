import { EXIT_CODES, type ExitCode } from "@quorate/contracts";
import { expectedLog, firstDifference, readScenario, runScenario, scenarioNames } from "@quorate/sim";
import type { Output } from "../output.ts";

export interface ScenarioOptions {
  scenarios?: string;
  trace?: boolean;
  json?: boolean;
}

/** `quorate sim --list`: every scenario with what is done in it. */
export function listScenarios(options: ScenarioOptions, output: Output): ExitCode {
  const listed = scenarioNames(options.scenarios).map((name) => ({
    name,
    description: readScenario(name, options.scenarios).script.description,
  }));
  if (options.json === true) output.write(`${JSON.stringify(listed)}\n`);
  else {
    const width = Math.max(0, ...listed.map(({ name }) => name.length));
    for (const { name, description } of listed) output.write(`${name.padEnd(width)}  ${description}\n`);
  }
  return EXIT_CODES.ok;
}

/**
 * `quorate sim --scenario NAME`: its log, or with `--trace` every word that was said. Exit code 1 when an invariant
 * broke or the log is not the expected one.
 */
export async function showScenario(
  name: string,
  options: ScenarioOptions,
  output: Output,
): Promise<ExitCode> {
  const scenario = readScenario(name, options.scenarios);
  const { log, violations, trace } = await runScenario(scenario, { trace: options.trace ?? false });
  const expected = expectedLog(scenario);
  const difference = expected === null ? "there is no log.expect yet" : firstDifference(expected, log);
  if (options.json === true) {
    const found = { seeds: 1, violations: violations.length, found: violations };
    output.write(
      `${JSON.stringify({ scenario: name, ...found, difference, log: log.trimEnd().split("\n") })}\n`,
    );
  } else {
    output.write(options.trace === true ? `${trace.join("\n")}\n` : log);
    for (const violation of violations) output.complain(`${violation}\n`);
    if (difference !== null) output.complain(`${difference}\n`);
  }
  return violations.length === 0 && difference === null ? EXIT_CODES.ok : EXIT_CODES.error;
}
