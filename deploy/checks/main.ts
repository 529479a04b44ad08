// `npm test`: every check, whatever the ones before it said, and the count of all as the last line.
//   npm test                                    everything
//   npm test -- --only lint,types               these checks alone
//   npm test -- --only unit packages/host -t x  the rest goes to vitest: files, -t NAME
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { endPrograms, runProgram } from "./programs.ts";
import { StallWitness } from "./stall-witness.ts";
import { type Check, checks, type ProgramCheck, type TestCheck } from "./table.ts";
import { countReport, parseReport, type TestCount, type TestFailure } from "./test-report.ts";

const root = dirname(dirname(import.meta.dirname));

type Outcome = {
  readonly check: Check;
  readonly passed: number;
  readonly failures: readonly { readonly what: string; readonly rerun: string; readonly remedy?: string }[];
  readonly seconds: number;
};

type Request = { readonly chosen: readonly Check[]; readonly forVitest: readonly string[] };

function readArguments(args: readonly string[]): Request | string {
  const forVitest: string[] = [];
  let names: readonly string[] | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? "";
    if (argument === "--only") {
      index += 1;
      names = (args[index] ?? "").split(",");
    } else if (argument.startsWith("--only=")) {
      names = argument.slice("--only=".length).split(",");
    } else {
      forVitest.push(argument);
    }
  }
  const known = checks.map((check) => check.name);
  const unknown = names?.filter((name) => !known.includes(name)) ?? [];
  if (unknown.length > 0) {
    return `no such check: ${unknown.join(", ")}. There are: ${known.join(", ")}`;
  }
  const chosen = checks.filter((check) => names?.includes(check.name) ?? true);
  if (forVitest.length > 0 && !chosen.every((check) => check.kind === "tests")) {
    return `"${forVitest.join(" ")}" is for the tests alone. Say which: --only unit, or --only lab`;
  }
  return { chosen, forVitest };
}

async function runProgramCheck(check: ProgramCheck): Promise<Omit<Outcome, "seconds">> {
  const end = await runProgram(check.command, { cwd: root, timeoutMs: check.timeoutMs });
  if (end.exitCode === 0) {
    return { check, passed: 1, failures: [] };
  }
  const what = end.timedOut ? `did not end in ${check.timeoutMs / 1000} s` : check.judges;
  const failure = { what, rerun: `npm test -- --only ${check.name}` };
  return {
    check,
    passed: 0,
    failures: [check.remedy === undefined ? failure : { ...failure, remedy: check.remedy }],
  };
}

async function runTestCheck(
  check: TestCheck,
  forVitest: readonly string[],
  folder: string,
): Promise<Omit<Outcome, "seconds">> {
  const rerun = `npm test -- --only ${check.name}`;
  if (check.needsRoot && process.getuid?.() !== 0) {
    return {
      check,
      passed: 0,
      failures: [{ what: "these tests make network namespaces: run them as root", rerun }],
    };
  }
  const witness = new StallWitness();
  const first = await runVitest(check, forVitest, join(folder, `${check.name}.json`));
  witness.stop();
  if (typeof first === "string") return { check, passed: 0, failures: [{ what: first, rerun }] };
  let { passed } = first;
  const failures: TestFailure[] = [];
  for (const failure of first.failures) {
    const again = await runAgain(check, failure, witness, join(folder, `${check.name}-again.json`));
    passed += again.passed;
    failures.push(...again.failures);
  }
  return { check, passed, failures: failures.map((failure) => describe(failure, rerun)) };
}

/** How many tests one run may try again: more than a few is no accident. */
const AGAIN_MAX = 3;
let triedAgain = 0;

/**
 * A test that failed while the machine stood still says nothing, so it is run once more, alone, and that counts.
 * One that failed on a machine that ran has failed.
 */
async function runAgain(
  check: TestCheck,
  failure: TestFailure,
  witness: StallWitness,
  file: string,
): Promise<TestCount> {
  const stallMs = witness.longestMs(failure.fromMs, failure.untilMs);
  const failed = { passed: 0, failures: [failure] };
  if (stallMs === 0 || failure.name === undefined || triedAgain >= AGAIN_MAX) return failed;
  triedAgain += 1;
  process.stdout.write(
    `\n== again, alone: the machine stood still for ${stallMs} ms while this failed (${failure.reason}):\n` +
      `   ${relative(root, failure.file)} > ${failure.name}\n`,
  );
  const second = await runVitest(check, [failure.file, "-t", escaped(failure.name)], file);
  return typeof second === "string" || second.passed === 0 ? failed : second;
}

/** What vitest counted, or why it could not. `forVitest` chooses some of the tests; empty is all. */
async function runVitest(
  check: TestCheck,
  forVitest: readonly string[],
  file: string,
): Promise<TestCount | string> {
  rmSync(file, { force: true });
  const command = [
    "vitest",
    "run",
    "--project",
    check.name,
    "--reporter=default",
    "--reporter=json",
  ] as const;
  const end = await runProgram([...command, `--outputFile.json=${file}`, ...forVitest], {
    cwd: root,
    timeoutMs: check.timeoutMs,
  });
  if (end.timedOut) return `did not end in ${check.timeoutMs / 1000} s`;
  if (!existsSync(file)) return `vitest ended with ${end.exitCode} and no report`;
  return countReport(parseReport(readFileSync(file, "utf8")), {
    exitCode: end.exitCode,
    isPartial: forVitest.length > 0,
  });
}

/** For `vitest -t`, which takes a regular expression. */
function escaped(name: string): string {
  return name.replaceAll(/[$^*+?.()|[\]{}\\]/g, "\\$&");
}

function describe(failure: TestFailure, rerun: string): { what: string; rerun: string } {
  if (failure.file === "") {
    return { what: failure.reason, rerun };
  }
  const file = relative(root, failure.file);
  if (failure.name === undefined) {
    return { what: `${file}: ${failure.reason}`, rerun: `${rerun} ${file}` };
  }
  const name = escaped(failure.name).replaceAll("'", "'\\''");
  return { what: `${file} > ${failure.name}: ${failure.reason}`, rerun: `${rerun} ${file} -t '${name}'` };
}

function printSummary(outcomes: readonly Outcome[]): { passed: number; failed: number } {
  let passed = 0;
  let failed = 0;
  process.stdout.write("\n== summary\n");
  for (const { check, failures, passed: passedHere, seconds } of outcomes) {
    passed += passedHere;
    failed += failures.length;
    const verdict = failures.length === 0 ? "ok    " : "FAILED";
    const count = check.kind === "tests" ? `${passedHere} passed, ${failures.length} failed, ` : "";
    process.stdout.write(`${verdict} ${check.name.padEnd(13)} ${count}${seconds.toFixed(1)} s\n`);
  }
  for (const { check, failures } of outcomes) {
    for (const failure of failures) {
      process.stdout.write(`\nFAILED ${check.name}: ${failure.what}\n`);
      if (failure.remedy !== undefined) {
        process.stdout.write(`  repair: ${failure.remedy}\n`);
      }
      process.stdout.write(`  again:  ${failure.rerun}\n`);
    }
  }
  return { passed, failed };
}

async function main(): Promise<number> {
  const request = readArguments(process.argv.slice(2));
  if (typeof request === "string") {
    process.stderr.write(`${request}\n`);
    return 64;
  }
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      endPrograms();
    });
  }
  const folder = mkdtempSync(join(tmpdir(), "quorate-checks-"));
  const outcomes: Outcome[] = [];
  try {
    for (const check of request.chosen) {
      process.stdout.write(`\n== ${check.name}: ${check.judges}\n`);
      const startMs = performance.now();
      const outcome =
        check.kind === "program"
          ? await runProgramCheck(check)
          : await runTestCheck(check, request.forVitest, folder);
      outcomes.push({ ...outcome, seconds: (performance.now() - startMs) / 1000 });
      if (interrupted) {
        process.stderr.write("interrupted\n");
        return 130;
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { passed, failed } = printSummary(outcomes);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = await main();
