/**
 * `npm run bench:vms [-- --only NAME --n N --document]`: as bench:failover, for virtual machines. With --document what
 * is measured is written to docs/manual/figures-machines.md too.
 */
import { join, resolve } from "node:path";
import { reportUnlessInterrupted } from "./bench/bench-lab.ts";
import { machineDocument } from "./bench/machine-document.ts";
import { MachineBench } from "./bench/machine-bench.ts";
import { MACHINE_SERIES } from "./bench/machine-series.ts";
import { runBench } from "./bench/run-bench.ts";
import { quoratePlan } from "./plan.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const LAB_NAME = "bench-vms";

process.exitCode = await runBench({
  name: "bench:vms",
  description: "the figures of virtual machines, measured",
  root: ROOT,
  labName: LAB_NAME,
  series: MACHINE_SERIES,
  within: (topology, body) => MachineBench.with(LAB_NAME, quoratePlan(ROOT, LAB_NAME, topology), body),
  document: {
    path: join(ROOT, "docs/manual/figures-machines.md"),
    textOf: machineDocument,
  },
}).catch(reportUnlessInterrupted);
