// Knows when this machine stood still. A test on real clocks cannot tell a stopped machine from a broken product.

/** How late a timer must be before we call it a stall: a tenth of the default token. */
const STALL_MS = 100;

const EVERY_MS = 20;

type Stall = { readonly fromMs: number; readonly untilMs: number };

/** Watches a timer of this process from its making until `stop`. Instants are wall clock, as in vitest's report. */
export class StallWitness {
  readonly #stalls: Stall[] = [];
  readonly #timer: NodeJS.Timeout;
  #lastMs = Date.now();

  constructor() {
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  /** The longest stall that touches the time from `fromMs` to `untilMs`, in milliseconds; 0 when there was none. */
  longestMs(fromMs: number, untilMs: number): number {
    return longestStallMs(this.#stalls, fromMs, untilMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = Date.now();
    if (nowMs - this.#lastMs - EVERY_MS >= STALL_MS) {
      this.#stalls.push({ fromMs: this.#lastMs, untilMs: nowMs });
    }
    this.#lastMs = nowMs;
  }
}

/** The longest of the stalls that touch the time from `fromMs` to `untilMs`; 0 when none does. */
export function longestStallMs(stalls: readonly Stall[], fromMs: number, untilMs: number): number {
  let longestMs = 0;
  for (const stall of stalls) {
    if (stall.fromMs > untilMs || stall.untilMs < fromMs) continue;
    longestMs = Math.max(longestMs, stall.untilMs - stall.fromMs);
  }
  return longestMs;
}
