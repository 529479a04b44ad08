import { readFile, rm } from "node:fs/promises";
import { parseStat, type ProcessIdentity, readBootId } from "./process-table.ts";

/**
 * Started through this, a command writes its own pid file before it becomes the command: whatever happens to us in
 * between, there is no process of ours without a pid file. Arguments: pid file, command.
 */
export const START_SCRIPT = [
  "set -e",
  "read -r boot < /proc/sys/kernel/random/boot_id",
  "read -r stat < /proc/$$/stat",
  'printf "%s\\n%s\\n" "$boot" "$stat" > "$1.new"',
  'mv -f "$1.new" "$1"',
  'exec /bin/sh -c "$2"',
].join("\n");

/** Who the pid file names; undefined when it isn't there, can't be read, or is of an earlier boot. */
export async function readPidFile(path: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  const [bootId, stat] = text.split("\n");
  if (stat === undefined || bootId !== (await readBootId())) return undefined;
  const row = parseStat(stat);
  return row === undefined ? undefined : { pid: row.pid, startTicks: row.startTicks };
}

export async function removePidFile(path: string): Promise<void> {
  await rm(path, { force: true });
}
