import { isIP } from "node:net";
import { QuorateError, type Reason } from "@quorate/contracts";
import {
  createStorageWatch,
  STORAGE_LOOK_LIMIT_US,
  stepStorageWatch,
  type StorageLook,
  type StorageWatchInput,
  type StorageWatchState,
} from "@quorate/core-failover";
import type { StorageEndpoint, StorageProbe } from "@quorate/host";

export interface StorageWatcherOptions {
  readonly probe: StorageProbe;
  /** What machines need, by name; asked anew at every turn. */
  names(): readonly string[];
  nowUs(): number;
  goneChanged(gone: readonly string[]): void;
  tell(reasons: readonly Reason[]): void;
}

/** New machines' storages are noticed within this time. */
const REFRESH_MS = 1000;

/** Turns the core that knows which storages answer this host; only what has an address can be asked. */
export class StorageWatcher {
  readonly #options: StorageWatcherOptions;
  #state: StorageWatchState = createStorageWatch();
  #gone = "";
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: StorageWatcherOptions) {
    this.#options = options;
  }

  start(): void {
    this.#input({
      kind: "storages",
      names: this.#options.names().filter((name) => endpointOf(name) !== null),
    });
  }

  /** What is wrong with the storages, or with looking at them; by name. */
  get problems(): Reason[] {
    return Object.entries(this.#state.storages)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .flatMap(([storage, { trouble, failures }]) =>
        trouble === null
          ? []
          : [
              {
                code: trouble.code,
                message: `${trouble.message} ${trouble.hint}`,
                facts: { subject: `storage:${storage}`, failures },
              },
            ],
      );
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#options.probe.close();
  }

  #input(input: StorageWatchInput): void {
    if (this.#closed) return;
    const nowUs = this.#options.nowUs();
    const { state, looks, gone, reasons, wakeAtUs } = stepStorageWatch(this.#state, input, nowUs);
    this.#state = state;
    for (const name of looks) void this.#look(name);
    if (reasons.length > 0) this.#options.tell(reasons);
    if (gone.join(" ") !== this.#gone) {
      this.#gone = gone.join(" ");
      this.#options.goneChanged(gone);
    }
    clearTimeout(this.#timer);
    const delayMs = Math.min(REFRESH_MS, Math.max(1, Math.ceil((wakeAtUs - nowUs) / 1000)));
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  async #look(name: string): Promise<void> {
    this.#input({ kind: "seen", name, look: await this.#sightOf(name) });
  }

  async #sightOf(name: string): Promise<StorageLook> {
    const endpoint = endpointOf(name);
    try {
      if (endpoint !== null) return await this.#options.probe.look(endpoint, STORAGE_LOOK_LIMIT_US / 1000);
      throw new Error(`no endpoint: ${name}`);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      const { code, message, hint } = error;
      return { kind: "unknown", error: { code, message, hint } };
    }
  }
}

/** `10.0.9.1:10809`, as records name their storages; null for what is no address (a path, a Ceph pool). */
function endpointOf(name: string): StorageEndpoint | null {
  const [, address = "", port] = /^(.+):(\d+)$/.exec(name) ?? [];
  return isIP(address) === 0 ? null : { address, port: Number(port) };
}
