import { QuorateError, type WatchdogConfig } from "@quorate/contracts";
import type { Watchdog } from "@quorate/host";

/** What was armed and not taken down, across lives of the process. */
export interface WatchdogMemory {
  read(): WatchdogConfig | null;
  /** Durable when it resolves. */
  write(config: WatchdogConfig | null): Promise<void>;
}

/** The watchdog that the configuration names whenever it is armed; until it is let go of, that one. */
export class ConfiguredWatchdog {
  readonly #config: () => WatchdogConfig | undefined;
  readonly #make: (config: WatchdogConfig) => Watchdog;
  readonly #memory: WatchdogMemory;
  #current: Watchdog | null = null;

  constructor(
    config: () => WatchdogConfig | undefined,
    make: (config: WatchdogConfig) => Watchdog,
    memory: WatchdogMemory,
  ) {
    this.#config = config;
    this.#make = make;
    this.#memory = memory;
  }

  /** What speaks against arming it, before anything needs it; null: nothing, it is held, or none is configured. */
  problem(): QuorateError | null {
    const config = this.#config();
    return config === undefined || this.#current !== null ? null : this.#make(config).problem();
  }

  /** The one that an earlier life left armed, whatever the configuration says by now. As Watchdog's. */
  async adopt(): Promise<number | null> {
    this.close();
    const config = this.#memory.read() ?? this.#config();
    if (config === undefined) return null;
    const watchdog = this.#make(config);
    const timeoutMs = await watchdog.adopt();
    if (timeoutMs !== null) this.#current = watchdog;
    return timeoutMs;
  }

  /** As Watchdog's. */
  async arm(timeoutMs: number): Promise<number> {
    this.close();
    const config = this.#config();
    if (config === undefined) {
      const hint = "Write fencing { watchdog { } } again for machines that were started under one.";
      throw new QuorateError("WATCHDOG_MISSING", "No watchdog is configured.", hint);
    }
    // Before it runs: a life that does not know of it would let it bite.
    await this.#memory.write(config);
    const watchdog = this.#make(config);
    const armedMs = await watchdog.arm(timeoutMs);
    this.#current = watchdog;
    return armedMs;
  }

  feed(): void {
    if (this.#current === null)
      throw new QuorateError("WATCHDOG_MISSING", "No watchdog is armed.", "It is armed when it is needed.");
    this.#current.feed();
  }

  /** As Watchdog's. */
  async disarm(): Promise<void> {
    this.#current?.disarm();
    this.#current = null;
    await this.#memory.write(null);
  }

  /** As the end of the process: what is armed stays armed. */
  close(): void {
    this.#current?.close();
    this.#current = null;
  }
}
