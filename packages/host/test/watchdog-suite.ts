import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import type { Watchdog } from "../src/watchdog/watchdog.ts";

/** What is seen of the device without the driver. */
export interface Sight {
  armed: boolean;
  timeoutMs: number;
}

/**
 * What every watchdog keeps to. Without a test runner: the real one is proved in a machine of its own, which it resets.
 * Throws where it does not; leaves the device disarmed.
 */
export async function proveWatchdog(make: () => Watchdog, see: () => Sight): Promise<void> {
  const first = make();
  equal(see().armed, false);
  throws(() => first.feed(), { code: "WATCHDOG_MISSING" });
  equal(first.problem(), null);
  equal(await first.adopt(), null);
  equal(see().armed, false);
  first.disarm();

  equal(await first.arm(5000), 5000);
  deepEqual(see(), { armed: true, timeoutMs: 5000 });
  first.feed();
  equal(await first.arm(5000), 5000);
  await rejects(make().arm(5000), { code: "WATCHDOG_UNUSABLE" });
  first.disarm();
  equal(see().armed, false);

  // The end of the process: it stays armed, and the next one takes it over as it is.
  await first.arm(6000);
  first.close();
  deepEqual(see(), { armed: true, timeoutMs: 6000 });
  const second = make();
  await rejects(second.arm(5000), { code: "WATCHDOG_UNUSABLE" });
  deepEqual(see(), { armed: true, timeoutMs: 6000 });
  equal(await second.adopt(), 6000);
  deepEqual(see(), { armed: true, timeoutMs: 6000 });
  await rejects(make().adopt(), { code: "WATCHDOG_UNUSABLE" });
  second.close();
  equal(await second.arm(8000), 6000);
  second.feed();
  second.disarm();
  equal(see().armed, false);
  equal(await second.arm(4000), 4000);
  second.disarm();
  equal(see().armed, false);
}
