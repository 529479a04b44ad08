/**
 * `npm run bench:failover [-- --only NAME --n N]`: takes the samples that are still missing and prints the table.
 * Exit code 1 when a reach is missed. It takes about an hour in full; it may be stopped and goes on later.
 */
import { resolve } from "node:path";
import { BenchLab, reportUnlessInterrupted } from "./bench/bench-lab.ts";
import { runBench } from "./bench/run-bench.ts";
import { SERIES } from "./bench/series.ts";
import { quoratePlan } from "./plan.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const LAB_NAME = "bench";

process.exitCode = await runBench({
  name: "bench:failover",
  description: "the figures of docs, measured",
  root: ROOT,
  labName: LAB_NAME,
  series: SERIES,
  within: (topology, body) => BenchLab.with(LAB_NAME, quoratePlan(ROOT, LAB_NAME, topology), body),
}).catch(reportUnlessInterrupted);
