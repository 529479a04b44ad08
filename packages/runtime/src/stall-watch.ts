import { readFileSync } from "node:fs";
import type { Reason } from "@quorate/contracts";
import { monotonicUs } from "./clock.ts";

/** Shorter lateness is everyday life on a busy host. */
const STALL_US = 250_000;
/** The figures of the scheduler are read so often, to know what they were before a stall. */
const READING_EVERY_US = 1_000_000;
/** One of two explanations has to cover this part of the stall. */
const EXPLAINS = 0.5;

interface Reading {
  atUs: number;
  /** Time on a CPU, and time spent waiting for one, since the process began. */
  ranUs: number;
  waitedUs: number;
}

/**
 * Notices that this process was not run when it should have been, and tells from the scheduler's figures whether it
 * waited for a CPU, was busy itself, or was neither: then it was stopped (SIGSTOP, a frozen cgroup, a debugger), or
 * blocked in the kernel (a disk that hangs), or the host was. Which of these, it cannot know.
 */
export class StallWatch {
  readonly #onStall: (reason: Reason) => void;
  #before: Reading | null = read();

  constructor(onStall: (reason: Reason) => void) {
    this.#onStall = onStall;
  }

  /** To be called where a timer fires, with the instant at which it should have. Costs nothing but once a second. */
  woke(dueUs: number): void {
    const lateUs = monotonicUs() - dueUs;
    if (lateUs >= STALL_US) this.stalled(lateUs);
    else this.breathe();
  }

  /** A stall that was noticed in another way. */
  stalled(lateUs: number): void {
    if (lateUs < STALL_US) return this.breathe();
    const before = this.#before;
    const now = read();
    this.#before = now;
    const seconds = (us: number) => `${(us / 1e6).toFixed(1)} s`;
    const facts = { lateMs: Math.round(lateUs / 1000), ...pressures() };
    const waitedUs = before === null || now === null ? 0 : now.waitedUs - before.waitedUs;
    const ranUs = before === null || now === null ? 0 : now.ranUs - before.ranUs;
    if (waitedUs >= lateUs * EXPLAINS) {
      const message = `This process did not run for ${seconds(lateUs)}: it waited for a CPU; the host is overloaded.`;
      this.#onStall({ code: "PROCESS_STARVED", message, facts });
    } else if (ranUs >= lateUs * EXPLAINS) {
      const message = `This process did nothing else for ${seconds(lateUs)}: it was busy itself.`;
      this.#onStall({ code: "PROCESS_BUSY", message, facts });
    } else {
      const message = `This process did not run for ${seconds(lateUs)}: it was stopped (SIGSTOP, a frozen container) or blocked in the kernel.`;
      this.#onStall({ code: "PROCESS_FROZEN", message, facts });
    }
  }

  /** To be called every second or so where no timer tells. */
  breathe(): void {
    if (monotonicUs() - (this.#before?.atUs ?? 0) >= READING_EVERY_US) this.#before = read();
  }
}

/** Of the main thread, which is the one that decides. Null on a kernel without scheduler statistics. */
function read(): Reading | null {
  try {
    const [ran, waited] = readFileSync("/proc/self/schedstat", "utf8").split(" ").map(Number);
    if (ran === undefined || waited === undefined) return null;
    return { atUs: monotonicUs(), ranUs: ran / 1000, waitedUs: waited / 1000 };
  } catch {
    return null;
  }
}

/** Share of the last ten seconds in which somebody on this host waited for it, in percent. */
function pressures(): Record<string, number> {
  const facts: Record<string, number> = {};
  for (const what of ["cpu", "memory", "io"]) {
    try {
      const match = /^some avg10=([\d.]+)/.exec(readFileSync(`/proc/pressure/${what}`, "utf8"));
      if (match !== null) facts[`${what}PressurePercent`] = Number(match[1]);
    } catch {
      // A kernel without pressure figures.
    }
  }
  return facts;
}
