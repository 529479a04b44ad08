/**
 * Work that may wait until what this turn sends has left: the NATS client writes when a turn ends, and a log line or
 * an event would hold a vote up by as long as it takes. Done in order, at the next turn of the event loop.
 */
export class Afterwards {
  static readonly #all = new Set<Afterwards>();
  readonly #waiting: Array<() => void> = [];

  constructor() {
    Afterwards.#all.add(this);
  }

  /** Of everybody in this process, before it ends by an error: what was done is told. */
  static flushAll(): void {
    for (const afterwards of Afterwards.#all) afterwards.flush();
  }

  add(work: () => void): void {
    this.#waiting.push(work);
    setImmediate(() => this.flush());
  }

  /** Does at once what still waits; what throws is not done again, and the rest waits on. */
  flush(): void {
    for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift()) work();
  }
}
