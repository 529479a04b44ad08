import { readdir, readFile } from "node:fs/promises";

/** One process as /proc tells it. A pid is given again; together with the start time and the boot it isn't. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTicks: number;
}

interface ProcessRow extends ProcessIdentity {
  readonly state: string;
  readonly processGroup: number;
}

/** Takes a line of /proc/PID/stat apart; the name in it may hold blanks and brackets. */
export function parseStat(line: string): ProcessRow | undefined {
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state, , processGroup] = fields;
  const startTicks = Number(fields[19]);
  if (!Number.isInteger(pid) || state === undefined || !Number.isInteger(startTicks)) return undefined;
  return { pid, startTicks, state, processGroup: Number(processGroup) };
}

async function readRow(pid: number): Promise<ProcessRow | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return parseStat(line);
}

/** Whether that very process still runs; a zombie doesn't. */
export async function isRunning(process: ProcessIdentity): Promise<boolean> {
  const row = await readRow(process.pid);
  return row !== undefined && row.startTicks === process.startTicks && !isOver(row.state);
}

/** Every running process of the group that this process leads or led; none when its number was given to another. */
export async function groupLedBy(leader: ProcessIdentity): Promise<readonly ProcessIdentity[]> {
  const holder = await readRow(leader.pid);
  if (holder !== undefined && holder.startTicks !== leader.startTicks) return [];
  const names = await readdir("/proc");
  const rows = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => readRow(Number(name))),
  );
  return rows.filter(
    (row): row is ProcessRow => row !== undefined && row.processGroup === leader.pid && !isOver(row.state),
  );
}

export async function readBootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

function isOver(state: string): boolean {
  return state === "Z" || state === "X" || state === "x";
}
