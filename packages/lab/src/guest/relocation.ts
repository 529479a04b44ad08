/** From a host's death to the answers of the guests that it had: each one's three moments. Pure but for the waiting. */
import type { Decision } from "./decisions.ts";
import { isRunningEvent, type LibvirtEvent } from "./libvirt-watch.ts";
import type { GuestAnswer } from "./tally.ts";

type Moments = { orderedMs: number | null; runningMs: number | null; answerMs: number | null };

export class Relocation {
  readonly #oldHost: number;
  readonly #moments: ReadonlyMap<string, Moments>;
  readonly #oldRuns: ReadonlyMap<string, string>;
  readonly #onAnswer: (answer: GuestAnswer) => void;
  #diedAtMs = 0;
  #waiting: (() => void)[] = [];

  /** `runs`: by guest, what ran on the host: an answer of another one is the new start's. `onAnswer`: its first. */
  constructor(
    oldHost: number,
    runs: ReadonlyMap<string, string>,
    onAnswer: (answer: GuestAnswer) => void = () => {},
  ) {
    this.#onAnswer = onAnswer;
    this.#oldHost = oldHost;
    this.#oldRuns = runs;
    const none = { orderedMs: null, runningMs: null, answerMs: null };
    this.#moments = new Map([...runs.keys()].map((guest) => [guest, { ...none }]));
  }

  begin(diedAtMs: number): void {
    this.#diedAtMs = diedAtMs;
  }

  decided({ code, facts, atMs }: Decision): void {
    const { vm, node } = facts;
    const moments = typeof vm === "string" ? this.#moments.get(vm) : undefined;
    if (code !== "VM_PLACED" || node === this.#oldHost || moments === undefined) return;
    moments.orderedMs ??= atMs;
    this.#wake();
  }

  happened(event: LibvirtEvent): void {
    const moments = this.#moments.get(event.guest);
    if (event.host === this.#oldHost || moments === undefined || !isRunningEvent(event)) return;
    moments.runningMs ??= event.atMs;
    this.#wake();
  }

  /** Counts when it is the first one of a guest's new run. */
  answered(answer: GuestAnswer): void {
    const { guest, run, atMs } = answer;
    const moments = this.#moments.get(guest);
    if (moments === undefined || moments.answerMs !== null || this.#oldRuns.get(guest) === run) return;
    moments.answerMs = atMs;
    this.#onAnswer(answer);
    this.#wake();
  }

  /** Guests of which a moment is not known yet, in words; empty when all is known. */
  missing(): string {
    const lacks = [...this.#moments].flatMap(([guest, { orderedMs, runningMs, answerMs }]) => {
      if (orderedMs === null) return [`${guest} was not ordered elsewhere`];
      if (runningMs === null) return [`${guest} does not run`];
      return answerMs === null ? [`${guest} does not answer`] : [];
    });
    return lacks.join(", ");
  }

  /** Resolves when every guest has answered; false when that took longer than `limitMs`. */
  done(limitMs: number): Promise<boolean> {
    if (this.missing() === "") return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Since the death, of the slowest guest each. */
  figures(): { vm_start_ordered_ms: number; vm_running_ms: number; vm_answer_ms: number } {
    const since = (read: (moments: Moments) => number | null) => {
      const all = [...this.#moments.values()].map((moments) => read(moments) ?? Number.POSITIVE_INFINITY);
      return Math.round(Math.max(...all) - this.#diedAtMs);
    };
    return {
      vm_start_ordered_ms: since(({ orderedMs }) => orderedMs),
      vm_running_ms: since(({ runningMs }) => runningMs),
      vm_answer_ms: since(({ answerMs }) => answerMs),
    };
  }

  #wake(): void {
    if (this.missing() !== "") return;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
