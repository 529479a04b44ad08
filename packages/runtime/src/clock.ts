import { openSync, readFileSync, readSync } from "node:fs";

/** CLOCK_MONOTONIC of this host in whole microseconds; all processes of a host share it. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

let cachedBootId: string | undefined;

/** The kernel's boot id, its first 16 hex digits: another one means that the host was rebooted. */
export function bootId(): string {
  cachedBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").replaceAll("-", "").slice(0, 16);
  return cachedBootId;
}

/** CLOCK_BOOTTIME in microseconds, in steps of 10 ms: it goes on while the host is suspended. */
function boottimeUs(): number {
  // Kept open: the kernel writes it anew for each reading from its beginning.
  uptimeFile ??= openSync("/proc/uptime", "r");
  const length = readSync(uptimeFile, uptimeText, 0, uptimeText.length, 0);
  return Math.round(Number.parseFloat(uptimeText.toString("latin1", 0, length)) * 1_000_000);
}

let uptimeFile: number | undefined;
const uptimeText = Buffer.alloc(64);

/** Steps of /proc/uptime plus what a busy scheduler adds; anything beyond is a pause of the kernel. */
export const BOOTTIME_JUMP_LIMIT_US = 50_000;

/**
 * Notices that the kernel itself was paused (suspend to RAM): CLOCK_BOOTTIME ran on, CLOCK_MONOTONIC did
 * not, so every lease counted on the latter is void. A paused virtual machine whose clocks both stand still
 * is NOT noticed: that needs a hardware watchdog or a fence agent.
 */
export class BoottimeJumpDetector {
  #differenceUs: number | undefined;

  /**
   * Microseconds for which the kernel was paused since the first call or the last pause told; 0 below 50 ms.
   * Call it on every tick (about 20 microseconds).
   */
  check(): number {
    for (let attempt = 0; attempt < 3; attempt++) {
      const beforeUs = monotonicUs();
      const differenceUs = boottimeUs() - beforeUs;
      // A process stopped between the two readings would look like a pause of the kernel: read again.
      if (monotonicUs() - beforeUs > 5_000) continue;
      this.#differenceUs ??= differenceUs;
      const jumpUs = differenceUs - this.#differenceUs;
      if (jumpUs <= BOOTTIME_JUMP_LIMIT_US) return 0;
      this.#differenceUs = differenceUs;
      return jumpUs;
    }
    return 0;
  }
}
