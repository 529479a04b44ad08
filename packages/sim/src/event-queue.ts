type Entry<Payload> = { atUs: number; order: number; payload: Payload };

/** Events in order of time, and of arrival where times are equal. A binary heap. */
export class EventQueue<Payload> {
  private readonly heap: Entry<Payload>[] = [];
  private orders = 0;

  get size(): number {
    return this.heap.length;
  }

  push(atUs: number, payload: Payload): void {
    const { heap } = this;
    const entry = { atUs, order: this.orders++, payload };
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  pop(): { atUs: number; payload: Payload } | undefined {
    const first = this.heap[0];
    const last = this.heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (this.heap.length > 0) this.sink(last);
    return first;
  }

  /** Puts `entry` where it belongs, from the top down. */
  private sink(entry: Entry<Payload>): void {
    const { heap } = this;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      let least = heap[child];
      if (least === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, least)) {
        child += 1;
        least = right;
      }
      if (!isBefore(least, entry)) break;
      heap[index] = least;
      index = child;
    }
    heap[index] = entry;
  }
}

function isBefore(left: Entry<unknown>, right: Entry<unknown>): boolean {
  return left.atUs < right.atUs || (left.atUs === right.atUs && left.order < right.order);
}
