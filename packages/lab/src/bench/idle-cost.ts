import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { command, inNamespaces } from "../command.ts";
import { isManagedService, processesOfHost } from "../processes.ts";
import type { BenchLab } from "./bench-lab.ts";
import type { Sample } from "./results.ts";

const WATCH_MS = 30_000;
const TICKS_PER_SECOND = 100;

/**
 * What one node costs while nothing happens: CPU of all processes of its host (with the children they reaped) in
 * percent of one core, their proportional memory, and what passes its switch port. The lab's managed service and
 * the observer's probes are not ours: the service is left out, the observer looks away meanwhile.
 */
export async function idleCost(bench: BenchLab, round: number): Promise<Sample> {
  await bench.whole();
  const id = bench.ids[round % bench.ids.length] ?? 0;
  const resume = bench.observer.pause();
  // The probes' last connections are answered and closed.
  await sleep(1000);
  const before = { ticks: ticksOf(bench, id), port: await portCounters(bench, id), atMs: performance.now() };
  await sleep(WATCH_MS);
  const seconds = (performance.now() - before.atMs) / 1000;
  const ticks = ticksOf(bench, id) - before.ticks;
  const port = await portCounters(bench, id);
  const pssKb = ownProcesses(bench, id).reduce((sum, pid) => sum + pssOf(pid), 0);
  resume();
  return bench.sample(`node-${id}`, {
    cpu_percent: (ticks / TICKS_PER_SECOND / seconds) * 100,
    pss_mb: pssKb / 1024,
    packets_per_s: (port.packets - before.port.packets) / seconds,
    bytes_per_s: (port.bytes - before.port.bytes) / seconds,
  });
}

function ownProcesses(bench: BenchLab, id: number): number[] {
  const processes = processesOfHost(bench.lab.host(id).init?.pid ?? 0);
  return processes.filter((process) => !isManagedService(process)).map(({ pid }) => pid);
}

/** User and system time of the living and of the children they have reaped. */
function ticksOf(bench: BenchLab, id: number): number {
  let sum = 0;
  for (const pid of ownProcesses(bench, id)) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      sum += fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0);
    } catch {
      // It ended: its parent has its time by now.
    }
  }
  return sum;
}

function pssOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

const CountersSchema = z.array(
  z.object({
    stats64: z.object({
      rx: z.object({ bytes: z.number(), packets: z.number() }),
      tx: z.object({ bytes: z.number(), packets: z.number() }),
    }),
  }),
);

/** Both directions of the host's port. */
async function portCounters(bench: BenchLab, id: number): Promise<{ packets: number; bytes: number }> {
  const port = bench.lab.host(id).ports[0]?.name ?? "";
  const argv = ["ip", "-json", "-statistics", "link", "show", "dev", port];
  const text = await command(inNamespaces(bench.lab.switchPid(), "network", argv));
  const [link] = CountersSchema.parse(JSON.parse(text));
  if (link === undefined) return { packets: 0, bytes: 0 };
  const { rx, tx } = link.stats64;
  return { packets: rx.packets + tx.packets, bytes: rx.bytes + tx.bytes };
}
