import type { WatchdogConfig } from "@quorate/contracts";
import type { Watchdog } from "@quorate/host";

/** What was armed is fed on, and taken over by the next life, although the section was deleted meanwhile. */
const UNCONFIGURED: WatchdogConfig = { device: "/dev/watchdog", timeoutMs: 10_000, softdog: true };

/** The watchdog that the configuration names whenever it is armed; until it is let go of, that one. */
export class ConfiguredWatchdog implements Watchdog {
  readonly #config: () => WatchdogConfig | undefined;
  readonly #make: (config: WatchdogConfig) => Watchdog;
  #current: Watchdog | null = null;

  constructor(config: () => WatchdogConfig | undefined, make: (config: WatchdogConfig) => Watchdog) {
    this.#config = config;
    this.#make = make;
  }

  async arm(timeoutMs: number): Promise<number> {
    this.close();
    const watchdog = this.#make(this.#config() ?? UNCONFIGURED);
    this.#current = watchdog;
    return await watchdog.arm(timeoutMs);
  }

  feed(): void {
    this.#current?.feed();
  }

  disarm(): void {
    this.#current?.disarm();
  }

  close(): void {
    this.#current?.close();
    this.#current = null;
  }
}
