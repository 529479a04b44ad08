/** Many machines on one host: enough that it takes time to pause them one after the other. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineMachines, readMachines } from "../guest/care.ts";
import { DEFINITION_FOLDER, tinyDomainXml } from "../guest/guests.ts";
import { hostDir } from "../host.ts";
import { waitUntil } from "../processes.ts";
import { WHOLE_LIMIT_MS } from "./bench-lab.ts";
import type { MachineBench } from "./machine-bench.ts";
import type { Sample } from "./results.ts";
import { latenessOf } from "./stood-still.ts";

const COUNT = 20;
const DISK_BYTES = 64 * 1024;
const LOOK_MS = 500;
const PAUSE_LIMIT_MS = 30_000;

export async function takeManyPaused(bench: MachineBench, round: number): Promise<Sample> {
  const master = (await bench.bench.whole()).node.id;
  const hosts = [master, ...bench.bench.othersOf(master)];
  const host = hosts[round % hosts.length] ?? master;
  const names = Array.from({ length: COUNT }, (_, index) => `tiny${index + 1}`);
  writeDefinitions(bench, host, names);
  await defineMachines(bench.lab, host, [host], names, WHOLE_LIMIT_MS);
  const isRunning = async () => {
    const machines = (await readMachines(bench.lab, host)) ?? [];
    return machines.filter(({ state, node }) => state === "running" && node === host).length === COUNT;
  };
  if (!(await waitUntil(isRunning, WHOLE_LIMIT_MS, LOOK_MS)))
    throw bench.bench.stuck(`the ${COUNT} machines do not all run on node-${host}`);
  await bench.bench.whole();
  const view = bench.bench.observer.observe();
  const paused = bench.watchers.paused(host, names);
  const fromMs = Date.now();
  await bench.lab.partition([host]);
  const lastMs = await paused.last(PAUSE_LIMIT_MS);
  paused.end();
  if (lastMs === null) throw bench.bench.stuck(`not all of ${COUNT} machines on node-${host} were paused`);
  const values = { paused_ms: lastMs - fromMs, ...latenessOf(bench.bench.finish(view)) };
  return bench.bench.sample(`${COUNT} machines on node-${host}`, values);
}

function writeDefinitions(bench: MachineBench, host: number, names: readonly string[]): void {
  const folder = join(hostDir(bench.lab.record(), host), "etc", DEFINITION_FOLDER.split("/").at(-1) ?? "");
  mkdirSync(folder, { recursive: true });
  for (const [index, name] of names.entries()) {
    writeFileSync(join(folder, `${name}.xml`), tinyDomainXml(name, index));
    const disk = join(folder, `${name}.raw`);
    writeFileSync(disk, Buffer.alloc(DISK_BYTES));
    // QEMU is nobody in particular.
    chmodSync(disk, 0o666);
  }
}
