// What vitest's JSON report says, counted so that nothing that went wrong counts as passed.

export type TestCount = { readonly passed: number; readonly failures: readonly TestFailure[] };

export type TestFailure = {
  readonly file: string;
  readonly name: string | undefined;
  readonly reason: string;
  /** When its file ran, milliseconds of the wall clock; 0 when that is not known. */
  readonly fromMs: number;
  readonly untilMs: number;
};

type Report = {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly startTime?: number;
    readonly endTime?: number;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
      readonly failureMessages?: readonly (string | null)[] | null;
    }[];
  }[];
};

/** A report as vitest writes it; throws when it is not one. */
export function parseReport(text: string): Report {
  const report: unknown = JSON.parse(text);
  if (typeof report !== "object" || report === null || !("testResults" in report)) {
    throw new Error("not a vitest report");
  }
  return report as Report;
}

/**
 * Counts each test as one. A test that was skipped or left to do counts as failed, unless only some were asked for
 * (`isPartial`): then they are what was not asked for. A file that could not run counts as one failure, and so does a
 * run that ended badly though each test passed (an unhandled error), or in which no test ran.
 */
export function countReport(
  report: Report,
  run: { readonly exitCode: number; readonly isPartial: boolean },
): TestCount {
  let passed = 0;
  const failures: TestFailure[] = [];
  const never = { fromMs: 0, untilMs: 0 };
  for (const file of report.testResults) {
    let failedHere = 0;
    const when = { fromMs: file.startTime ?? 0, untilMs: file.endTime ?? 0 };
    for (const test of file.assertionResults) {
      // As `vitest -t` wants it.
      const name = [...test.ancestorTitles, test.title].join(" > ");
      if (test.status === "passed") {
        passed += 1;
      } else if (test.status === "failed" || !run.isPartial) {
        const reason =
          test.status === "failed" ? firstLine(test.failureMessages?.[0]) : `was not run (${test.status})`;
        failures.push({ file: file.name, name, reason, ...when });
        failedHere += 1;
      }
    }
    if (file.status === "failed" && failedHere === 0) {
      failures.push({ file: file.name, name: undefined, reason: firstLine(file.message), ...when });
    }
  }
  if (passed + failures.length === 0) {
    failures.push({ file: "", name: undefined, reason: "no test ran", ...never });
  } else if (run.exitCode !== 0 && failures.length === 0) {
    failures.push({
      file: "",
      name: undefined,
      reason: `vitest ended with ${run.exitCode}: see its output above`,
      ...never,
    });
  }
  return { passed, failures };
}

function firstLine(text: string | null | undefined): string {
  const line = (text ?? "").split("\n", 1)[0]?.trim() ?? "";
  return line === "" ? "failed without a message" : line;
}
