/**
 * Whether a guest ran twice, by everything that is seen from outside: two runs that answered at once, two runs that
 * wrote in turns, two hosts that wrote to one disk at once. Pure.
 */
import type { StorageTraffic } from "../storage-watch.ts";
import type { DiskVerdict } from "./disk.ts";
import type { GuestReport } from "./tally.ts";

export type DoubleStart = { guest: string; why: string };

/** One for each guest at most. */
export function doubleStarts(
  reports: readonly GuestReport[],
  verdicts: readonly DiskVerdict[],
  traffic: readonly StorageTraffic[],
): DoubleStart[] {
  const found = new Map<string, string>();
  for (const { guest, interleaved } of verdicts) {
    if (interleaved) found.set(guest, "two runs wrote to its disk in turns");
  }
  for (const { guest, overlaps } of reports) {
    const [first] = overlaps;
    if (first !== undefined) found.set(guest, `the runs ${first.runs.join(" and ")} answered at once`);
  }
  for (const { guest, hosts } of sharedDisks(traffic)) {
    found.set(guest, `the hosts ${hosts.join(" and ")} wrote to its disk at once`);
  }
  return [...found].map(([guest, why]) => ({ guest, why }));
}

/** Disks to which two hosts sent data within one stretch of time. The target of a live move reads before it owns. */
export function sharedDisks(traffic: readonly StorageTraffic[]): { guest: string; hosts: number[] }[] {
  const writers = traffic.flatMap(({ guest, host, data }) => (data === null ? [] : { guest, host, ...data }));
  return writers.flatMap((one, index) =>
    writers
      .slice(index + 1)
      .filter((other) => other.guest === one.guest && other.host !== one.host)
      .filter((other) => one.firstMs <= other.lastMs && other.firstMs <= one.lastMs)
      .map((other) => ({ guest: one.guest, hosts: [one.host ?? 0, other.host ?? 0] })),
  );
}
