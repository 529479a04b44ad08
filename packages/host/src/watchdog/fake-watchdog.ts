import { QuorateError } from "@quorate/contracts";
import type { Watchdog } from "./watchdog.ts";

/** The watchdog of a host that does not exist. Outlives its drivers, and resets nothing. */
export class FakeWatchdogDevice {
  /** No driver is loaded. */
  isMissing = false;
  /** It does not stop when it is told to. */
  isStubborn = false;
  isArmed = false;
  timeoutMs = 60_000;
  feeds = 0;
  /** Who has it open. */
  holder: Watchdog | null = null;
}

/** Proved by the suite that the real one passes. */
export function createFakeWatchdog(device: FakeWatchdogDevice): Watchdog {
  const holds = () => device.holder === watchdog;
  const missing = () => new QuorateError("WATCHDOG_MISSING", "There is none.", "Load its driver.");
  const watchdog: Watchdog = {
    problem: () => (device.isMissing ? missing() : null),
    async adopt() {
      if (device.isMissing || !device.isArmed) return null;
      if (device.holder !== null && !holds())
        throw new QuorateError("WATCHDOG_UNUSABLE", "It is taken.", "Leave it to us.");
      device.holder = watchdog;
      watchdog.feed();
      return device.timeoutMs;
    },
    async arm(timeoutMs) {
      if (device.isMissing) throw missing();
      const isOthers = device.holder !== null && !holds();
      const isLonger = device.isArmed && device.timeoutMs > timeoutMs;
      if (isOthers || isLonger)
        throw new QuorateError("WATCHDOG_UNUSABLE", "It is taken.", "Leave it to us.");
      if (!device.isArmed) device.timeoutMs = timeoutMs;
      device.isArmed = true;
      device.holder = watchdog;
      watchdog.feed();
      return device.timeoutMs;
    },
    feed() {
      if (device.isMissing && holds()) {
        device.holder = null;
        throw new QuorateError("WATCHDOG_UNUSABLE", "It cannot be fed.", "Look at it.");
      }
      if (!holds()) throw new QuorateError("WATCHDOG_MISSING", "It is not armed.", "Arm it first.");
      device.feeds += 1;
    },
    disarm() {
      if (!holds()) return;
      if (device.isStubborn)
        throw new QuorateError("WATCHDOG_UNUSABLE", "It does not stop.", "Drain the host.");
      device.isArmed = false;
      device.holder = null;
    },
    close() {
      if (holds()) device.holder = null;
    },
  };
  return watchdog;
}
