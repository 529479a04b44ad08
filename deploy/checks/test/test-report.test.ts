// The count is what people and machines trust: nothing that went wrong may count as passed, or vanish.
import { expect, test } from "vitest";
import { countReport, parseReport } from "../test-report.ts";

type TestLine = { ancestorTitles: string[]; title: string; status: string; failureMessages?: string[] };

function reportOf(...files: readonly { status: string; message?: string; tests: readonly TestLine[] }[]) {
  const testResults = files.map((file, index) => ({
    name: `/repository/${index}.test.ts`,
    status: file.status,
    message: file.message ?? "",
    startTime: 1000 + index,
    endTime: 2000 + index,
    assertionResults: file.tests,
  }));
  return parseReport(JSON.stringify({ testResults }));
}

const whole = { exitCode: 0, isPartial: false };
const good = { ancestorTitles: ["suite"], title: "good", status: "passed" };

test("each test counts as one", () => {
  const bad = {
    ancestorTitles: ["suite", "inner"],
    title: "bad",
    status: "failed",
    failureMessages: ["expected 1 to be 2\n  at x"],
  };
  const count = countReport(reportOf({ status: "failed", tests: [good, bad, good] }), {
    ...whole,
    exitCode: 1,
  });
  expect(count).toEqual({
    passed: 2,
    failures: [
      {
        file: "/repository/0.test.ts",
        name: "suite > inner > bad",
        reason: "expected 1 to be 2",
        fromMs: 1000,
        untilMs: 2000,
      },
    ],
  });
});

test.each(["skipped", "pending", "todo"])("a test that is %s counts as failed", (status) => {
  const report = reportOf({
    status: "passed",
    tests: [good, { ancestorTitles: [], title: "absent", status }],
  });
  expect(countReport(report, whole)).toMatchObject({ passed: 1, failures: [{ name: "absent" }] });
  expect(countReport(report, { ...whole, isPartial: true })).toEqual({ passed: 1, failures: [] });
});

test("a file that cannot be loaded counts as failed", () => {
  const report = reportOf(
    { status: "passed", tests: [good] },
    { status: "failed", message: "no such export", tests: [] },
  );
  expect(countReport(report, { ...whole, exitCode: 1 })).toMatchObject({
    passed: 1,
    failures: [{ file: "/repository/1.test.ts", reason: "no such export" }],
  });
});

test("an error outside of any test counts as failed", () => {
  const report = reportOf({ status: "passed", tests: [good] });
  expect(countReport(report, { ...whole, exitCode: 1 }).failures).toHaveLength(1);
});

test("a run without a test counts as failed", () => {
  expect(countReport(reportOf(), whole).failures).toMatchObject([{ reason: "no test ran" }]);
  expect(countReport(reportOf(), { ...whole, isPartial: true }).failures).toHaveLength(1);
});
