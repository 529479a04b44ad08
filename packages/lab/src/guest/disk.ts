/** What a guest wrote to its disk, as assets/guest-server.pl lays it out. Pure but for the reading of the file. */
import { readFileSync } from "node:fs";

const SECTOR = 512;
const MAGIC = "quorate-guest-1";
const HEAD = 64;

export type WrittenNumber = { number: number; guest: string; run: string; uptimeMs: number };

export type GuestDisk = {
  sectors: number;
  /** Every whole record, by its sector. */
  written: ReadonlyMap<number, WrittenNumber>;
  /** Sectors that hold something else than nothing or a whole record in its place. */
  torn: number[];
};

export function readGuestDisk(path: string): GuestDisk {
  return parseGuestDisk(readFileSync(path));
}

export function parseGuestDisk(bytes: Buffer): GuestDisk {
  const sectors = Math.floor(bytes.length / SECTOR);
  const written = new Map<number, WrittenNumber>();
  const torn: number[] = [];
  for (let index = 0; index < sectors; index += 1) {
    const sector = bytes.subarray(index * SECTOR, (index + 1) * SECTOR);
    // Most are empty; the rest of an empty one is looked at only where it does not begin so.
    if (sector.readUInt32BE(0) === 0 && sector.every((byte) => byte === 0)) continue;
    const found = parseSector(sector);
    if (found === null || (found.number - 1) % sectors !== index) torn.push(index);
    else written.set(index, found);
  }
  return { sectors, written, torn };
}

function parseSector(sector: Buffer): WrittenNumber | null {
  let sum = 0;
  for (let offset = 0; offset < HEAD; offset += 4) sum = (sum + sector.readUInt32BE(offset)) >>> 0;
  if (textAt(sector, 0) !== MAGIC || sum !== sector.readUInt32BE(HEAD)) return null;
  return {
    guest: textAt(sector, 16),
    run: textAt(sector, 32),
    number: Number(sector.readBigUInt64BE(48)),
    uptimeMs: Number(sector.readBigUInt64BE(56)),
  };
}

function textAt(sector: Buffer, offset: number): string {
  const bytes = sector.subarray(offset, offset + 16);
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end === -1 ? bytes.length : end);
}

export type DiskVerdict = {
  guest: string;
  /** The highest number on the disk; 0: none. */
  newest: number;
  acknowledged: number;
  /** Answered over the network as this run's, and not on the disk. */
  lost: { number: number; run: string }[];
  torn: number[];
  /** Runs in the order of their numbers, each as often as it begins anew. */
  runs: string[];
  /**
   * A run goes on after another had begun: two wrote at once. Not seen here when they began together: then the slower
   * one writes over what the other had answered, which is lost.
   */
  interleaved: boolean;
};

/** Holds what was answered (number to run) against the disk. */
export function judgeDisk(
  guest: string,
  disk: GuestDisk,
  acknowledged: Iterable<readonly [number, string]>,
): DiskVerdict {
  const records = [...disk.written.values()].sort((left, right) => left.number - right.number);
  const lost: DiskVerdict["lost"] = [];
  let count = 0;
  for (const [number, run] of acknowledged) {
    count += 1;
    const found = disk.written.get((number - 1) % disk.sectors);
    // One of an earlier round had to make room for a later one, which stands for it.
    const stands =
      found !== undefined && (found.number > number || (found.number === number && found.run === run));
    if (!stands) lost.push({ number, run });
  }
  const runs: string[] = [];
  for (const { run } of records) if (runs.at(-1) !== run) runs.push(run);
  return {
    guest,
    newest: records.at(-1)?.number ?? 0,
    acknowledged: count,
    lost,
    torn: disk.torn,
    runs,
    interleaved: new Set(runs).size < runs.length,
  };
}
