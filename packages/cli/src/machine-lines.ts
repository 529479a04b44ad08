import type { CopyReport, NodeId, VmRecord, VmReport } from "@quorate/contracts";
import type { Answer } from "@quorate/runtime";

export type Wish = VmRecord["wanted"];

/** What a node knows of machines. */
export type KnownMachines = Extract<Answer<"failover-actuator", "machines">, { ok: true }>;

/** One machine, from what its owner says and what the master has decided. */
export interface MachineLine {
  readonly vm: string;
  readonly node: NodeId | null;
  /** In whose inventory its newest record is, stopped or running: wishes are written there. */
  readonly keeper: NodeId;
  readonly state: string;
  readonly wanted: Wish;
  readonly prio: number;
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly storage: VmRecord["storage"];
  /** Why a lease alone does not fence it; empty when it does. */
  readonly obstacles: readonly string[];
  /** Its host has a power device, which fences what a lease does not. */
  readonly hasDevice: boolean;
  /** It was started under its host's watchdog of so many seconds, which fences it too, later; null: it was not. */
  readonly watchdogS: number | null;
  readonly movingTo: NodeId | null;
  /** What is wrong with it where it is: its storage that does not answer that node, a resume that does not last. */
  readonly troubles: readonly string[];
  /** Why it does not run though it should; null when it does, or nobody leads. */
  readonly blocked: string | null;
}

/** All machines under care, by name. */
export function machineLines(own: KnownMachines, master: KnownMachines | null): MachineLine[] {
  const reports = (master ?? own).reports;
  const names = [...new Set(reports.flatMap(({ records }) => records.map(({ vm }) => vm)))].sort();
  return names.flatMap((vm) => {
    const newest = newestOf(reports, vm);
    if (newest === null || newest.record.wanted === "undefined") return [];
    const { record } = newest;
    const entry = master?.table.find((each) => each.vm === vm);
    const node = entry?.owner ?? (record.released === null ? newest.node : null);
    const copy = reports.find((each) => each.node === node)?.copies.find((each) => each.vm === vm);
    const blocked = master?.blocked.find((each) => each.vm === vm)?.reason.message ?? null;
    return [
      {
        vm,
        node,
        keeper: newest.node,
        state: stateOf(copy),
        wanted: record.wanted,
        prio: record.prio,
        memoryMib: record.memoryMib,
        vcpus: record.vcpus,
        storage: record.storage,
        obstacles: obstaclesOf(own, master, record),
        hasDevice: own.powerDevices?.includes(node ?? newest.node) === true,
        // Lost, it promises nothing.
        watchdogS:
          record.watchdogUs === undefined || copy?.unguarded === true ? null : record.watchdogUs / 1_000_000,
        movingTo: entry?.movingTo ?? null,
        troubles: troublesOf(reports, node, record),
        blocked,
      },
    ];
  });
}

function newestOf(reports: readonly VmReport[], vm: string): { node: NodeId; record: VmRecord } | null {
  const all = reports.flatMap(({ node, records }) =>
    records.filter((record) => record.vm === vm).map((record) => ({ node, record })),
  );
  const order = ({ record: { placement, revision } }: { record: VmRecord }) =>
    [placement.term, placement.number, revision] as const;
  all.sort((left, right) => {
    const [l, r] = [order(left), order(right)];
    return r[0] - l[0] || r[1] - l[1] || r[2] - l[2];
  });
  return all[0] ?? null;
}

function troublesOf(reports: readonly VmReport[], node: NodeId | null, record: VmRecord): string[] {
  const report = reports.find((each) => each.node === node);
  if (report === undefined || record.wanted !== "running") return [];
  const gone = record.storages.filter((storage) => report.storageGone.includes(storage));
  const silent =
    report.hypervisorSilent === true ? [`the hypervisor of node ${report.node} does not answer`] : [];
  const times = report.copies.find(({ vm }) => vm === record.vm)?.relapses;
  const relapses =
    times === undefined
      ? []
      : [
          `it was found paused ${times} times in a row, as for an error of its disk; it is resumed later and later`,
        ];
  const storages = gone.map((storage) => `its storage ${storage} does not answer node ${report.node}`);
  return [...silent, ...storages, ...relapses];
}

function stateOf(copy: CopyReport | undefined): string {
  if (copy === undefined) return "stopped";
  return copy.state === "running" && !copy.confirmed ? "running, cut off" : copy.state;
}

function obstaclesOf(own: KnownMachines, master: KnownMachines | null, { vm, gated }: VmRecord): string[] {
  const named = [own, master].flatMap(
    (known) => known?.obstacles.find((each) => each.vm === vm)?.obstacles ?? [],
  );
  if (named.length > 0) return [...new Set(named)];
  return gated ? [] : ["something of it passes by the gates"];
}

const COLUMNS = [
  { title: "NAME", of: (line: MachineLine) => line.vm },
  { title: "NODE", of: (line: MachineLine) => (line.node === null ? "-" : String(line.node)) },
  {
    title: "STATE",
    of: (line: MachineLine) => (line.movingTo === null ? line.state : `moving to ${line.movingTo}`),
  },
  { title: "WANTED", of: (line: MachineLine) => line.wanted },
  { title: "PRIO", of: (line: MachineLine) => String(line.prio) },
  { title: "MEMORY", of: (line: MachineLine) => `${line.memoryMib} MiB` },
  { title: "VCPUS", of: (line: MachineLine) => String(line.vcpus) },
  { title: "RELOCATABLE", of: relocatable },
];

/** Said beforehand, not after the failure. */
export function relocatable({ storage, obstacles, hasDevice, watchdogS }: MachineLine): string {
  if (storage === "local") return "no: local disk";
  if (obstacles.length === 0) return "yes";
  if (hasDevice) return "by power device";
  return watchdogS === null ? "not by lease" : "by watchdog";
}

/** What it takes to start it elsewhere when its host is silent; null where the lease is enough, or nothing is. */
export function proofNeeded(line: MachineLine): string | null {
  const { storage, obstacles, hasDevice, watchdogS, node, keeper } = line;
  if (storage === "local" || obstacles.length === 0) return null;
  const host = node ?? keeper;
  const silent = `when node ${host} is silent`;
  if (hasDevice) return `${silent}, its power device switches it off first`;
  if (watchdogS !== null)
    return `${silent}, it waits until the watchdog has reset that host for sure, a token and ${3 * (watchdogS + 1)} s`;
  return `${silent}, it waits until you switch it off and say so: quorate node confirm-off ${host}`;
}

export function machineTable(lines: readonly MachineLine[]): string {
  if (lines.length === 0) return "No machine is under care. Take one in: quorate vm define FILE\n";
  const rows = [COLUMNS.map(({ title }) => title), ...lines.map((line) => COLUMNS.map(({ of }) => of(line)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const text = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const notes = lines.flatMap(({ vm, blocked, obstacles, troubles }) => [
    ...(blocked === null ? [] : [`${vm}: ${blocked}`]),
    ...troubles.map((trouble) => `${vm}: ${trouble}`),
    ...obstacles.map((obstacle) => `${vm}: ${obstacle}`),
  ]);
  return `${[...text, ...notes].join("\n")}\n`;
}
