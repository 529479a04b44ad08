import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { LAB_MARK } from "../switch.ts";
import { type BenchLab, gapsOf } from "./bench-lab.ts";
import type { Sample } from "./results.ts";

const BUSY_LOOPS = 2;
const WATCH_MS = 60_000;

/** A minute without faults while busy loops hold the cores: a change of view, term or holder is a false failover. */
export async function loadedQuiet(bench: BenchLab): Promise<Sample> {
  const before = await bench.whole();
  const loops = Array.from({ length: BUSY_LOOPS }, () => startBusyLoop(bench));
  try {
    const window = bench.observer.observe();
    await sleep(WATCH_MS);
    const report = bench.finish(window);
    const after = await bench.whole();
    const isSame =
      after.node.id === before.node.id &&
      after.view?.term === before.view?.term &&
      after.view?.number === before.view?.number;
    const holders = new Set(report.holders.map((holder) => holder.host));
    const failovers = Math.max(isSame ? 0 : 1, holders.size - 1);
    return bench.sample("two busy loops", { false_failovers: failovers, ...gapsOf(report) });
  } finally {
    for (const loop of loops) loop.kill("SIGKILL");
  }
}

function startBusyLoop(bench: BenchLab): ChildProcess {
  return spawn("sh", ["-c", "while :; do :; done"], {
    stdio: "ignore",
    env: { PATH: process.env["PATH"], [LAB_MARK]: bench.lab.place.runDir },
  });
}
