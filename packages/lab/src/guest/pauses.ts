import { isRunningEvent, isStoppedEvent, type LibvirtEvent } from "./libvirt-watch.ts";

/** When each of some guests on one host came to stand still, from now on. */
export class Pauses {
  readonly ends: (() => void)[] = [];
  readonly #host: number;
  readonly #guests: readonly string[];
  readonly #stoppedMs = new Map<string, number>();
  #waiting: (() => void)[] = [];

  constructor(host: number, guests: readonly string[]) {
    this.#host = host;
    this.#guests = guests;
  }

  take(event: LibvirtEvent): void {
    if (event.host !== this.#host || !this.#guests.includes(event.guest)) return;
    // What stood still for its storage and went on has not been paused by anybody.
    if (isRunningEvent(event)) this.#stoppedMs.delete(event.guest);
    if (isStoppedEvent(event) && !this.#stoppedMs.has(event.guest))
      this.#stoppedMs.set(event.guest, event.atMs);
    if (this.#stoppedMs.size < this.#guests.length) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** When the last one stood still; null when that took longer than `limitMs`. */
  last(limitMs: number): Promise<number | null> {
    const lastMs = () => Math.max(...this.#stoppedMs.values());
    if (this.#stoppedMs.size === this.#guests.length) return Promise.resolve(lastMs());
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), limitMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve(lastMs());
      });
    });
  }

  end(): void {
    for (const end of this.ends.splice(0)) end();
  }
}
