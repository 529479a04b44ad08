/**
 * Work that may wait until what this turn sends has left: the NATS client writes when a turn ends, and a log line or
 * an event would hold a vote up by as long as it takes. Done in order, at the next turn of the event loop.
 */
export class Afterwards {
  readonly #waiting: Array<() => void> = [];

  add(work: () => void): void {
    this.#waiting.push(work);
    if (this.#waiting.length === 1) setImmediate(() => this.flush());
  }

  /** Does at once what still waits; for an orderly end. */
  flush(): void {
    for (const work of this.#waiting.splice(0)) work();
  }
}
