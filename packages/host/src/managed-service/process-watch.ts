import { isRunning, type ProcessIdentity } from "./process-table.ts";

/** Processes that are not our children send no signal when they end; looking costs some 50 us. */
const LOOK_EVERY_MS = 200;

/** Tells within 200 ms that a process, our child or not, has ended. */
export class ProcessWatch {
  readonly #ended: () => void;
  #timer: NodeJS.Timeout | undefined;
  #process: ProcessIdentity | undefined;

  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /** From now on watches this one alone; none: nothing. */
  watch(process: ProcessIdentity | undefined): void {
    if (process?.pid === this.#process?.pid && process?.startTicks === this.#process?.startTicks) return;
    this.#process = process;
    clearTimeout(this.#timer);
    if (process !== undefined) this.#lookLater(process);
  }

  #lookLater(process: ProcessIdentity): void {
    this.#timer = setTimeout(() => void this.#look(process), LOOK_EVERY_MS);
    // Watching alone is no reason to stay alive.
    this.#timer.unref();
  }

  async #look(process: ProcessIdentity): Promise<void> {
    const running = await isRunning(process);
    if (process !== this.#process) return;
    if (running) {
      this.#lookLater(process);
      return;
    }
    this.#process = undefined;
    this.#ended();
  }
}
