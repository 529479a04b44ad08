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
  readonly movingTo: NodeId | null;
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
        movingTo: entry?.movingTo ?? null,
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
export function relocatable({ storage, obstacles }: MachineLine): string {
  if (storage === "local") return "no: local disk";
  return obstacles.length === 0 ? "yes" : "not by lease";
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
  const notes = lines.flatMap(({ vm, blocked, obstacles }) => [
    ...(blocked === null ? [] : [`${vm}: ${blocked}`]),
    ...obstacles.map((obstacle) => `${vm}: ${obstacle}`),
  ]);
  return `${[...text, ...notes].join("\n")}\n`;
}
