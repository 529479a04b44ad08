import type { Decision, NodeId } from "@quorate/contracts";
import { isCorruption, type JournalStore } from "@quorate/journal-file";

export interface IntakeOptions {
  node: NodeId;
  bootId: string;
  /** Opens the journal anew; throws while the disk does not let it. `distrust`: why the old file is to be set aside. */
  open(distrust: string | null): JournalStore;
  /** The disk refuses, or takes again (null). */
  onDisk(problem: string | null): void;
  /** Decisions were lost: nobody remembers them. */
  onGap(run: string, service: string, first: number, last: number): void;
}

/** What the disk does not take waits here; beyond that the oldest are given up and the hole is said. */
export const WAITING_LIMIT = 5000;
/** What comes together is written together. */
const GATHER_MS = 20;
const RETRY_MS = 2000;
/** How long after a commit it is made to survive a power cut: not while a failover needs the disk. */
const SYNC_AFTER_MS = 1000;
const PRUNE_EVERY_ROWS = 500;

/** Takes decisions in, numbers seen, and writes them down. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #newest = new Map<string, number>();
  readonly #waiting: Decision[] = [];
  #store: JournalStore | null;
  #timer: NodeJS.Timeout | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #sinceprune = 0;
  #problem: string | null = null;
  /** The cluster as the evaluator last knew it: stamped on what others decide. */
  #context: Pick<Decision, "term" | "view" | "config"> = { term: null, view: null, config: null };
  #given = 0;
  #written = 0;

  constructor(store: JournalStore | null, options: IntakeOptions) {
    this.#store = store;
    this.#options = options;
    this.#learn(store);
  }

  get problem(): string | null {
    return this.#problem;
  }

  /** Not on the disk yet, oldest first. */
  get waiting(): readonly Decision[] {
    return this.#waiting;
  }

  get counters(): { given: number; written: number } {
    return { given: this.#given, written: this.#written };
  }

  /** The newest number of that run that is written or waits; 0 when it is new. */
  newestOf(run: string): number {
    return this.#newest.get(run) ?? 0;
  }

  /** Begins a run's telling: what is older than its memory and was never heard is lost. */
  greet(run: string, service: string, oldest: number): number {
    const known = this.newestOf(run);
    if (oldest > known + 1) {
      this.#options.onGap(run, service, known + 1, oldest - 1);
      this.#newest.set(run, oldest - 1);
    }
    return this.newestOf(run);
  }

  take(decision: Decision): void {
    const known = this.newestOf(decision.run);
    if (decision.seq <= known) return;
    if (decision.seq > known + 1)
      this.#options.onGap(decision.run, decision.service, known + 1, decision.seq - 1);
    this.#newest.set(decision.run, decision.seq);
    if (decision.service === "quorum-evaluator") {
      const { term, view, config } = decision;
      this.#context = { term, view, config };
    }
    this.#given += 1;
    this.#waiting.push({
      ...decision,
      term: decision.term ?? this.#context.term,
      view: decision.view ?? this.#context.view,
      config: decision.config ?? this.#context.config,
    });
    if (this.#waiting.length > WAITING_LIMIT) {
      const lost = this.#waiting.shift();
      if (lost !== undefined) this.#options.onGap(lost.run, lost.service, lost.seq, lost.seq);
    }
    this.#schedule(this.#problem === null ? GATHER_MS : RETRY_MS);
  }

  /** By the clock: has somebody removed the file, is it time to prune. */
  look(): void {
    if (this.#store !== null && !this.#store.isInPlace()) this.#reopen();
    if (this.#waiting.length > 0) this.#write();
  }

  /** Writes what waits, makes it durable, closes. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    clearTimeout(this.#syncTimer);
    this.#write();
    const store = this.#store;
    if (store === null) return;
    await store.sync().catch(() => undefined);
    store.close();
    this.#store = null;
  }

  #schedule(afterMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, afterMs);
  }

  #write(): void {
    if (this.#store === null) this.#reopen();
    const store = this.#store;
    if (store === null) return this.#schedule(RETRY_MS);
    const batch = [...this.#waiting];
    if (batch.length === 0) return;
    try {
      store.insert(batch);
    } catch (error) {
      if (isCorruption(error)) this.#reopen((error as Error).message);
      else this.#setProblem((error as Error).message);
      return this.#schedule(RETRY_MS);
    }
    this.#waiting.splice(0, batch.length);
    this.#written += batch.length;
    this.#setProblem(null);
    this.#pruneNowAndThen(store, batch.length);
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      store.sync().catch((error: unknown) => this.#setProblem((error as Error).message));
    }, SYNC_AFTER_MS);
  }

  #pruneNowAndThen(store: JournalStore, rows: number): void {
    this.#sinceprune += rows;
    if (this.#sinceprune < PRUNE_EVERY_ROWS) return;
    this.#sinceprune = 0;
    try {
      store.prune(Date.now());
    } catch {
      // The next time.
    }
  }

  #reopen(distrust: string | null = null): void {
    try {
      this.#store?.close();
    } catch {
      // It was broken.
    }
    try {
      this.#store = this.#options.open(distrust);
    } catch (error) {
      this.#store = null;
      this.#setProblem((error as Error).message);
    }
    this.#learn(this.#store);
  }

  #learn(store: JournalStore | null): void {
    if (store === null) return;
    for (const [run, newest] of store.newestByRun(this.#options.bootId)) {
      this.#newest.set(run, Math.max(newest, this.newestOf(run)));
    }
  }

  #setProblem(problem: string | null): void {
    if (problem === this.#problem) return;
    const before = this.#problem;
    this.#problem = problem;
    // One word for each way in, not for each wording of the trouble.
    if ((before === null) !== (problem === null)) this.#options.onDisk(problem);
  }
}
