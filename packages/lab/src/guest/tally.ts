/** What a window of time says about one guest, from its answers alone. Pure. */

export type GuestAnswer = { guest: string; run: string; number: number; sentMs: number; atMs: number };

export type RunReport = {
  run: string;
  firstMs: number;
  /** When the last question was put that this run answered, and when the answer came. */
  lastSentMs: number;
  lastMs: number;
  firstNumber: number;
  lastNumber: number;
  answers: number;
};

export type GuestReport = {
  guest: string;
  answers: number;
  /** Answers that a number could not be written. */
  refusals: number;
  /** `open`: it lasts at the window's end. */
  silence: { longestMs: number; fromMs: number; open: boolean };
  /** In the order in which they were first heard. */
  runs: RunReport[];
  /** A run that answered a question which was put after another run's first answer: two ran at once. */
  overlaps: { runs: [string, string]; fromMs: number; toMs: number }[];
  /** Numbers that were answered twice, by whatever run. */
  repeated: number[];
};

export class GuestTally {
  readonly #guest: string;
  readonly #fromMs: number;
  readonly #runs = new Map<string, RunReport>();
  readonly #numbers = new Set<number>();
  readonly #repeated: number[] = [];
  #answers = 0;
  #refusals = 0;
  #lastMs: number;
  #longest: { longestMs: number; fromMs: number };

  constructor(guest: string, fromMs: number) {
    this.#guest = guest;
    this.#fromMs = fromMs;
    this.#lastMs = fromMs;
    this.#longest = { longestMs: 0, fromMs };
  }

  take(answer: GuestAnswer): void {
    if (answer.atMs < this.#fromMs) return;
    this.#answers += 1;
    const silentMs = answer.atMs - this.#lastMs;
    if (silentMs > this.#longest.longestMs) this.#longest = { longestMs: silentMs, fromMs: this.#lastMs };
    this.#lastMs = answer.atMs;
    if (this.#numbers.has(answer.number)) this.#repeated.push(answer.number);
    this.#numbers.add(answer.number);
    this.#takeRun(answer);
  }

  refused(): void {
    this.#refusals += 1;
  }

  report(toMs: number): GuestReport {
    const lastsMs = toMs - this.#lastMs;
    const silence =
      lastsMs > this.#longest.longestMs
        ? { longestMs: lastsMs, fromMs: this.#lastMs, open: true }
        : { ...this.#longest, open: false };
    const runs = [...this.#runs.values()].map((run) => ({ ...run }));
    return {
      guest: this.#guest,
      answers: this.#answers,
      refusals: this.#refusals,
      silence,
      runs,
      overlaps: overlapsOf(runs),
      repeated: [...this.#repeated],
    };
  }

  #takeRun({ run, number, sentMs, atMs }: GuestAnswer): void {
    const known = this.#runs.get(run);
    if (known === undefined) {
      this.#runs.set(run, {
        ...{ run, firstMs: atMs, lastSentMs: sentMs, lastMs: atMs },
        ...{ firstNumber: number, lastNumber: number, answers: 1 },
      });
      return;
    }
    known.lastSentMs = Math.max(known.lastSentMs, sentMs);
    known.lastMs = Math.max(known.lastMs, atMs);
    known.lastNumber = Math.max(known.lastNumber, number);
    known.answers += 1;
  }
}

function overlapsOf(runs: readonly RunReport[]): GuestReport["overlaps"] {
  return runs.flatMap((earlier, index) =>
    runs
      .slice(index + 1)
      // A question put before the later run's first answer proves nothing: its answer may have waited on the way.
      .filter((later) => earlier.lastSentMs > later.firstMs)
      .map((later) => ({
        runs: [earlier.run, later.run] as [string, string],
        fromMs: later.firstMs,
        toMs: Math.min(earlier.lastMs, later.lastMs),
      })),
  );
}
