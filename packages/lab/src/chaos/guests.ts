/** Chaos with virtual machines: the struck host has a guest, and what became of all guests is part of the sample. */
import { randomInt } from "node:crypto";
import type { MachineBench } from "../bench/machine-bench.ts";
import type { GuestReport } from "../guest-watch.ts";
import type { Fault } from "./fault.ts";

/** One for each host. */
export const GUESTS = 3;
/** Guests take long to boot, so many faults share a lab; but who was removed often is kept out ever longer. */
const SAMPLES_PER_LAB = 6;
const MOVE_LIMIT_MS = 60_000;

/** The same faults, in turns on one lab for each kind of hosts. */
export function withGuests(faults: readonly Fault[]): Fault[] {
  return faults.map((fault) => ({ ...fault, group: fault.hosts, samplesPerLab: SAMPLES_PER_LAB }));
}

/** Waits until all guests serve, and moves one to this host if it has none. */
export async function giveGuest(machines: MachineBench, host: number): Promise<void> {
  const { master, machines: all } = await machines.serving();
  if (all.some(({ node }) => node === host)) return;
  const guest = all[randomInt(all.length)];
  if (guest === undefined) return;
  const argv = [...machines.lab.record().quorate, "vm", "move", guest.vm, String(host)];
  const result = await machines.lab.exec(master, argv, MOVE_LIMIT_MS);
  if (result.code !== 0) throw machines.bench.stuck(`${argv.join(" ")}: ${result.stderr || result.stdout}`);
  await machines.serving();
}

/** Looks at the guests from now on; resolves when each has answered: what answers later is held against that run. */
export async function watchGuests(machines: MachineBench, master: number) {
  const window = machines.watchers.observe();
  const answers = machines.watchers.guests.observe();
  if ((await machines.served(master)) === null) throw machines.bench.stuck("the guests do not all answer");
  return {
    /** Waits until all guests serve again, as `leader` says too; the fault was over at `endedMs`. */
    finish: async (leader: number | null, endedMs: number): Promise<Record<string, number>> => {
      const served = leader === null ? null : await machines.served(leader);
      const backMs = Date.now() - endedMs;
      const reports = answers.report();
      answers.close();
      return {
        ...guestValues(reports),
        ...(served === null ? {} : { guests_back_ms: backMs }),
        guests_not_back: served === null ? 1 : 0,
        ...machines.finish(window),
      };
    },
  };
}

export function guestValues(reports: readonly GuestReport[]): Record<string, number> {
  return {
    guest_silence_ms: Math.max(0, ...reports.map(({ silence }) => silence.longestMs)),
    guest_restarts: reports.reduce((sum, { runs }) => sum + Math.max(0, runs.length - 1), 0),
  };
}
