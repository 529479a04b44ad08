/** Somebody who tells of things as they happen. */
export class Listeners<Thing> {
  readonly #listeners = new Set<(thing: Thing) => void>();

  /** Calls `listener` for each from now on. Returns the way to end it. */
  listen(listener: (thing: Thing) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected tell(thing: Thing): void {
    for (const listener of [...this.#listeners]) listener(thing);
  }
}
