import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

/** A process named for good: pids are used again, a pid with its start time (clock ticks) is not. */
export const ProcessNameSchema = z.object({ pid: z.int().min(1), startTime: z.string() });
export type ProcessName = z.infer<typeof ProcessNameSchema>;

type ProcStat = { state: string; parent: number; startTime: string };

/** Field 22 and friends of /proc/PID/stat; null when there is no such process. */
function readStat(pid: number): ProcStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name stands in brackets and may hold blanks and brackets itself.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
  } catch {
    return null;
  }
}

/** Names the process that has this pid now; null when there is none, or only its zombie. */
export function nameProcess(pid: number): ProcessName | null {
  const stat = readStat(pid);
  return stat === null || stat.state === "Z" ? null : { pid, startTime: stat.startTime };
}

export function isAlive(process: ProcessName): boolean {
  return nameProcess(process.pid)?.startTime === process.startTime;
}

/** True while the process is stopped (SIGSTOP). */
export function isStopped(pid: number): boolean {
  return readStat(pid)?.state === "T";
}

export function childrenOf(pid: number): number[] {
  return allPids().filter((candidate) => readStat(candidate)?.parent === pid);
}

/** Sends the signal if that very process still lives; false when it is gone. */
export function signalProcess(target: ProcessName, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}

export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .sort((left, right) => left - right);
}

export type HostProcess = { pid: number; pidInHost: number; command: string };

/** Every process of the pid namespace that `initPid` is PID 1 of, PID 1 itself included. */
export function processesOfHost(initPid: number): HostProcess[] {
  const namespace = readNamespace(initPid, "pid");
  if (namespace === null) return [];
  const found: HostProcess[] = [];
  for (const pid of allPids()) {
    if (readNamespace(pid, "pid") !== namespace) continue;
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const pids = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        .split("\0")
        .filter((word) => word !== "");
      found.push({ pid, pidInHost: Number(pids.at(-1)), command: words.join(" ") });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** The lab's managed service (assets/service.mjs): a process of the host, and none of the product's. */
export function isManagedService(process: { command: string }): boolean {
  return process.command.includes("assets/service.mjs");
}

/** Libvirt's daemon and the guests themselves: what goes on when everything of ours stands still. */
export function isHypervisor(process: { command: string }): boolean {
  return /^(\S*\/)?(libvirtd|qemu-system-\S+)( |$)/.test(process.command);
}

/** The guest's name when the process is one's QEMU. */
export function guestOfProcess(process: { command: string }): string | null {
  return /^(?:\S*\/)?qemu-system-\S+ -name guest=([^, ]+)/.exec(process.command)?.[1] ?? null;
}

/** The namespace's name as the kernel writes it, e.g. `net:[4026532000]`. */
export function readNamespace(pid: number, kind: "net" | "mnt" | "uts" | "pid" | "time"): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return null;
  }
}

/** Every process that was started with `NAME=value` in its environment. */
export function processesWithEnvironment(name: string, value: string): ProcessName[] {
  const found: ProcessName[] = [];
  for (const pid of allPids()) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${name}=${value}`)) continue;
      const process = nameProcess(pid);
      if (process !== null) found.push(process);
    } catch {
      // Ended, or a kernel thread.
    }
  }
  return found;
}

/** Waits until `condition` holds, looking every `everyMs`; false when `timeoutMs` passed first. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  everyMs = 10,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await sleep(everyMs);
  }
  return true;
}
