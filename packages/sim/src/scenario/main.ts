/**
 * `npm run sim:scenarios [-- NAME …] [--rewrite] [--trace]`: runs scenarios and holds their logs against
 * log.expect; `--rewrite` writes these anew, to be reviewed as a diff. Exit code 1 when something differs.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EXIT_CODES, type ExitCode, QuorateError } from "@quorate/contracts";
import { firstDifference } from "./difference.ts";
import { expectedLog, LOG_FILE, readScenario, SCENARIOS_FOLDER, scenarioNames } from "./folder.ts";
import { indexPage } from "./index-page.ts";
import { runScenario } from "./run-scenario.ts";

async function main(): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rewrite: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
    },
  });
  const names = positionals.length > 0 ? positionals : scenarioNames();
  let failed = 0;
  for (const name of names) {
    const scenario = readScenario(name);
    const result = await runScenario(scenario, values).catch((error: unknown) => {
      if (error instanceof QuorateError) return error;
      throw error;
    });
    if (result instanceof QuorateError) {
      // The others are told about all the same.
      process.stdout.write(`${name}: ${result.message}\n`);
      failed += 1;
      continue;
    }
    const { log, violations, trace } = result;
    if (values.trace) process.stdout.write(`${trace.join("\n")}\n`);
    const difference = firstDifference(expectedLog(scenario) ?? "", log);
    if (values.rewrite && difference !== null) writeFileSync(join(scenario.folder, LOG_FILE), log);
    for (const violation of violations) process.stdout.write(`${name}: ${violation}\n`);
    const verdict = difference === null ? "as expected" : values.rewrite ? "rewritten" : difference;
    process.stdout.write(`${name}: ${verdict}\n`);
    if (violations.length > 0 || (difference !== null && !values.rewrite)) failed += 1;
  }
  if (values.rewrite) writeFileSync(join(SCENARIOS_FOLDER, "README.md"), indexPage());
  return failed === 0 ? EXIT_CODES.ok : EXIT_CODES.error;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof QuorateError) {
    process.stderr.write(`${error.code}: ${error.message}\n${error.hint}\n`);
    process.exitCode = error.exitCode;
  } else if (
    error instanceof TypeError &&
    "code" in error &&
    String(error.code).startsWith("ERR_PARSE_ARGS")
  ) {
    process.stderr.write(`USAGE: ${error.message}\n`);
    process.exitCode = EXIT_CODES.usage;
  } else throw error;
}
