interface QueuedEvent {
  readonly atUs: number;
  readonly act: () => void;
}

/** What is still to happen, in the order of its true time; what is due at the same time in the order it came. */
export class EventQueue {
  readonly #events: QueuedEvent[] = [];

  add(atUs: number, act: () => void): void {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.atUs ?? 0) <= atUs) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { atUs, act });
  }

  /** Takes the first event that is due by then; null when there is none. */
  takeUntil(endUs: number): QueuedEvent | null {
    const [first] = this.#events;
    if (first === undefined || first.atUs > endUs) return null;
    this.#events.shift();
    return first;
  }
}
