import { setTimeout as sleep } from "node:timers/promises";
import { QuorateError } from "@quorate/contracts";
import type { PowerDevice } from "@quorate/host";

const LOOK_AGAIN_MS = 1000;

export interface SwitchOffOptions {
  /** How long `off` may take to show. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Asked right before anything is switched off: the host may be back, or another the master. */
  isWanted(): boolean;
}

/** Has a host switched off, unless it is. Resolves when its device says that it is off; throws QuorateError else. */
export async function switchOff(
  device: PowerDevice,
  { limitMs, signal, isWanted }: SwitchOffOptions,
): Promise<void> {
  if (await device.isOff(signal)) return;
  if (!isWanted())
    throw stillOn("It was not switched off: the host is back, or nobody waits for it any more.");
  await device.switchOff(signal);
  const endMs = performance.now() + limitMs;
  while (!(await device.isOff(signal))) {
    if (performance.now() >= endMs)
      throw stillOn(`The device took the order and says that the host is on, ${limitMs} ms later.`);
    await sleep(Math.min(LOOK_AGAIN_MS, limitMs), undefined, { signal });
  }
}

function stillOn(message: string): QuorateError {
  return new QuorateError("POWER_STILL_ON", message, "Switch the host off by hand: quorate node confirm-off");
}
