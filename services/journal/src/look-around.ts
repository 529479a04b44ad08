import type { Reason } from "@quorate/contracts";
import { LITTLE_ROOM_BYTES } from "@quorate/runtime";

/** Less than this is a clock being slewed, or this process being late between two readings. */
const STEP_LIMIT_MS = 500;

/** Tells a step of the wall clock from time passing: by the difference to the monotonic clock. */
export class ClockWatch {
  #offsetMs: number | null = null;

  /** Null, or what the wall clock did since the last look. */
  look(wallMs: number, monoMs: number): Reason | null {
    const offsetMs = wallMs - monoMs;
    const before = this.#offsetMs;
    this.#offsetMs = offsetMs;
    if (before === null || Math.abs(offsetMs - before) < STEP_LIMIT_MS) return null;
    const stepMs = Math.round(offsetMs - before);
    const way = stepMs > 0 ? "forward" : "back";
    return {
      code: "CLOCK_STEPPED",
      message: `The wall clock of this host was set ${way} by ${inWords(Math.abs(stepMs))}.`,
      facts: { stepMs, wasMs: Math.round(wallMs - stepMs) },
    };
  }
}

export function inWords(durationMs: number): string {
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  if (durationMs < 3_600_000) return `${(durationMs / 60_000).toFixed(1)} min`;
  return `${(durationMs / 3_600_000).toFixed(2)} h`;
}

/** Our parent was the supervisor; when it is killed we get another one, and nobody restarts anything. */
export class ParentWatch {
  readonly #first: number;
  #isGone = false;

  constructor(parent: number) {
    this.#first = parent;
  }

  look(parent: number): Reason | null {
    if (parent === this.#first || this.#isGone) return null;
    this.#isGone = true;
    return {
      code: "SUPERVISOR_GONE",
      message: `The supervisor (pid ${this.#first}) has ended without stopping the node; what ends now is not started again until \`quorate node run\` is.`,
      facts: { pid: this.#first },
    };
  }
}

/** Twice what is little: a disk on the edge is told once and not every two seconds. */
const ROOM_AGAIN_BYTES = 2 * LITTLE_ROOM_BYTES;

/** Tells that the state folder's file system is as good as full, and that it has room again. */
export class RoomWatch {
  readonly #folder: string;
  #isFull = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Null, or what changed since the last look. Room that cannot be known is no news. */
  look(roomBytes: number | null): Reason | null {
    if (roomBytes === null) return null;
    if (!this.#isFull && roomBytes < LITTLE_ROOM_BYTES) {
      this.#isFull = true;
      return {
        code: "DISK_NEARLY_FULL",
        message: `The file system of ${this.#folder} is full: it has ${Math.floor(roomBytes / 1024)} KB left.`,
        facts: { roomBytes },
      };
    }
    if (!this.#isFull || roomBytes < ROOM_AGAIN_BYTES) return null;
    this.#isFull = false;
    return {
      code: "DISK_HAS_ROOM",
      message: `The file system of ${this.#folder} has room again: ${Math.floor(roomBytes / 1024)} KB.`,
      facts: { roomBytes },
    };
  }
}
