import { readdirSync } from "node:fs";
import { namedProcess } from "./host.ts";
import { type Guest, guestsOf } from "./guest/guests.ts";
import { guestOfProcess, isAlive, processesOfHost, type ProcessName, readNamespace } from "./processes.ts";
import type { HostRecord, LabRecord, PortRecord, Rule } from "./record.ts";

export type NamespaceSet = {
  net: string | null;
  mnt: string | null;
  uts: string | null;
  pid: string | null;
  time: string | null;
};

export type HostStatus = {
  id: number;
  name: string;
  power: "on" | "off";
  frozen: boolean;
  boots: number;
  /** The host's PID 1 as the machine numbers it: the target for nsenter. */
  pid: number | null;
  enter: string | null;
  namespaces: NamespaceSet | null;
  ports: PortRecord[];
  /** Named processes (/run/quorate/pids) with their pids on the machine. */
  services: Record<string, number>;
  processes: { pid: number; pidInHost: number; command: string }[];
  /** Those whose QEMU is there, running or paused. */
  guests: string[];
};

export type LabStatus = {
  name: string;
  runDir: string;
  dataDir: string;
  tokenMs: number;
  vips: string[];
  servicePort: number;
  switch: { pid: number | null; alive: boolean; net: string | null; enter: string | null };
  client: { pid: number | null; alive: boolean; net: string | null; enter: string | null };
  /** The storage host; null in a lab without virtual machines. */
  storage: LabStatus["switch"] | null;
  guests: Guest[];
  rules: Rule[];
  hosts: HostStatus[];
};

/** What the lab is now: the record, held against the kernel. */
export function describeLab(record: LabRecord, runDir: string): LabStatus {
  return {
    name: record.name,
    runDir,
    dataDir: record.dataDir,
    tokenMs: record.tokenMs,
    vips: record.vips,
    servicePort: record.servicePort,
    switch: describeHolder(record.switch),
    client: describeHolder(record.client),
    storage: record.storage === null ? null : describeHolder(record.storage.init),
    guests: guestsOf(record.guests),
    rules: record.rules,
    hosts: record.hosts.map(describeHost),
  };
}

function describeHolder(holder: ProcessName | null): LabStatus["switch"] {
  const alive = holder !== null && isAlive(holder);
  return {
    pid: holder?.pid ?? null,
    alive,
    net: alive ? readNamespace(holder.pid, "net") : null,
    enter: alive ? `nsenter --target ${holder.pid} --net` : null,
  };
}

function describeHost(host: HostRecord): HostStatus {
  const pid = host.init !== null && isAlive(host.init) ? host.init.pid : null;
  const processes = pid === null ? [] : processesOfHost(pid);
  return {
    id: host.id,
    name: host.name,
    power: pid === null ? "off" : "on",
    frozen: host.frozen,
    boots: host.boots,
    pid,
    enter: pid === null ? null : `nsenter --target ${pid} --mount --uts --net --pid --time`,
    namespaces:
      pid === null
        ? null
        : {
            net: readNamespace(pid, "net"),
            mnt: readNamespace(pid, "mnt"),
            uts: readNamespace(pid, "uts"),
            pid: readNamespace(pid, "pid"),
            time: readNamespace(pid, "time"),
          },
    ports: host.ports,
    services: pid === null ? {} : namedServices(host, pid),
    processes,
    guests: processes.flatMap((process) => guestOfProcess(process) ?? []).sort(),
  };
}

function namedServices(host: HostRecord, initPid: number): Record<string, number> {
  const found: Record<string, number> = {};
  let files: string[];
  try {
    files = readdirSync(`/proc/${initPid}/root/run/quorate/pids`);
  } catch {
    return {};
  }
  for (const file of files.filter((name) => name.endsWith(".pid")).sort()) {
    const name = file.slice(0, -".pid".length);
    const process = namedProcess(host, name);
    if (process !== null) found[name] = process.pid;
  }
  return found;
}
