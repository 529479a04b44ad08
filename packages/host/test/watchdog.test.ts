import { expect, it } from "vitest";
import { createFakeWatchdog, createRealWatchdog, FakeWatchdogDevice, monotonicNowUs } from "../src/index.ts";
import { proveWatchdog } from "./watchdog-suite.ts";

it("a watchdog that does not exist does as the real one in packages/lab/test/watchdog.lab.test.ts", async () => {
  const device = new FakeWatchdogDevice();
  const see = () => ({ armed: device.isArmed, timeoutMs: device.timeoutMs });
  await proveWatchdog(() => createFakeWatchdog(device), see);
  expect(device.feeds).toBeGreaterThan(0);
  device.isMissing = true;
  await expect(createFakeWatchdog(device).arm(5000)).rejects.toMatchObject({ code: "WATCHDOG_MISSING" });
});

it.each([
  ["is not there", "/dev/no-such-watchdog", "WATCHDOG_MISSING"],
  ["is another device", "/dev/null", "WATCHDOG_UNUSABLE"],
])("one that %s is not armed, and is named", async (_, device, code) => {
  const watchdog = createRealWatchdog({ nowUs: monotonicNowUs }, { device, softdog: true });
  await expect(watchdog.arm(5000)).rejects.toMatchObject({ code, message: expect.stringContaining(device) });
});
