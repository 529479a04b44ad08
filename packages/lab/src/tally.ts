/**
 * Counts what the capture saw in one window of time. Pure: frames in by time, a report out.
 *
 * Silence: the longest stretch between two answers of one kind, the window's edges included.
 * Holding: a host holds a cluster address from its first to its last answer of a run; a run goes on while its
 * answers are at most `holdMs` apart. Every host is asked by itself every probe interval, so a holder answers at
 * every one of them.
 * dual_ms: the time during which two hosts held the same address: the sum of the overlaps of their runs, each
 * rounded up to a whole millisecond. An answer of B between two answers of A in one run counts (1 ms at least);
 * A's last answer just before B's first does not. What two hosts do between two probes goes unseen: an
 * overlap shorter than the probe interval may be missed, one longer may not.
 */

export const REACH_KINDS = ["icmp", "tcp", "arp", "http"] as const;
/** `http` is the service, the others are the kernel. */
export type ReachKind = (typeof REACH_KINDS)[number];

export type Silence = {
  longestMs: number;
  /** When the longest one began and ended, wall clock ms. */
  fromMs: number;
  toMs: number;
  /** All stretches of 100 ms and more together: the time without an answer, a lost probe left out. */
  totalMs: number;
  /** It had not ended when the window did. */
  open: boolean;
  answers: number;
};

export type Overlap = { vip: string; hosts: [number, number]; fromMs: number; toMs: number };

export type TallyReport = {
  fromMs: number;
  toMs: number;
  silence: Record<ReachKind, Silence>;
  dualMs: number;
  overlaps: Overlap[];
  /** By how much a probe was sent too late, at worst: a silence of no more than this is our own noise. */
  latenessMs: number;
  /** The longest time that the machine itself stood still in the window; null when nobody could tell. */
  stoodStillMs: number | null;
  /** Who held the address, in order of time. */
  holders: { host: number; vip: string; fromMs: number; toMs: number }[];
};

type Run = { host: number; vip: string; fromMs: number; toMs: number };

export type TallyOptions = { fromMs: number; holdMs: number };

export class Tally {
  readonly #options: TallyOptions;
  readonly #silence: Map<ReachKind, SilenceMeter>;
  readonly #closed: Run[] = [];
  readonly #current = new Map<string, Run>();
  #latenessMs = 0;
  #stoodStillMs: number | null = null;

  constructor(options: TallyOptions) {
    this.#options = options;
    this.#silence = new Map(REACH_KINDS.map((kind) => [kind, new SilenceMeter(options.fromMs)]));
  }

  /** The client (for ARP: the observer on the bridge) got an answer of this kind. */
  reached(kind: ReachKind, atMs: number): void {
    this.#silence.get(kind)?.mark(atMs);
  }

  /** A probe was sent this much too late. */
  late(byMs: number): void {
    this.#latenessMs = Math.max(this.#latenessMs, byMs);
  }

  /** Somebody watches whether the machine runs. */
  watched(): void {
    this.#stoodStillMs ??= 0;
  }

  /** The machine stood still; what was over before the window is not its business. */
  stoodStill(fromMs: number, toMs: number): void {
    const inWindowMs = toMs - Math.max(fromMs, this.#options.fromMs);
    this.#stoodStillMs = Math.max(this.#stoodStillMs ?? 0, inWindowMs);
  }

  /** A frame that speaks for `vip` left `host`. */
  spoke(host: number, vip: string, atMs: number): void {
    const key = `${host} ${vip}`;
    const run = this.#current.get(key);
    if (run !== undefined && atMs - run.toMs <= this.#options.holdMs) {
      run.toMs = Math.max(run.toMs, atMs);
      return;
    }
    if (run !== undefined) this.#closed.push(run);
    this.#current.set(key, { host, vip, fromMs: atMs, toMs: atMs });
  }

  report(toMs: number): TallyReport {
    const runs = [...this.#closed, ...this.#current.values()].sort(
      (left, right) => left.fromMs - right.fromMs || left.host - right.host,
    );
    const overlaps = overlapsOf(runs);
    const silence = (kind: ReachKind) => (this.#silence.get(kind) ?? new SilenceMeter(toMs)).report(toMs);
    return {
      fromMs: this.#options.fromMs,
      toMs,
      silence: { icmp: silence("icmp"), tcp: silence("tcp"), arp: silence("arp"), http: silence("http") },
      dualMs: overlaps.reduce((sum, overlap) => sum + wholeMs(overlap.toMs - overlap.fromMs), 0),
      overlaps,
      latenessMs: this.#latenessMs,
      stoodStillMs: this.#stoodStillMs,
      holders: runs.map((run) => ({ ...run })),
    };
  }
}

function wholeMs(durationMs: number): number {
  return Math.max(1, Math.ceil(durationMs));
}

/** `runs` by their beginnings. A run that begins the instant another ends is a hand-over, not an overlap. */
function overlapsOf(runs: readonly Run[]): Overlap[] {
  const found: Overlap[] = [];
  for (const [index, first] of runs.entries()) {
    for (let next = index + 1; next < runs.length; next += 1) {
      const second = runs[next];
      if (second === undefined || second.fromMs >= first.toMs) break;
      if (second.host === first.host || second.vip !== first.vip) continue;
      found.push({
        vip: first.vip,
        hosts: [first.host, second.host],
        fromMs: second.fromMs,
        toMs: Math.min(first.toMs, second.toMs),
      });
    }
  }
  return found;
}

/** Twenty probes: a shorter silence is the loss of some, or the probes' own lateness. */
const OUTAGE_MS = 100;

function outageMs(durationMs: number): number {
  return durationMs >= OUTAGE_MS ? durationMs : 0;
}

class SilenceMeter {
  #lastMs: number;
  #totalMs = 0;
  #answers = 0;
  #longest = { longestMs: 0, fromMs: 0, toMs: 0 };

  constructor(fromMs: number) {
    this.#lastMs = fromMs;
    this.#longest = { longestMs: 0, fromMs, toMs: fromMs };
  }

  mark(atMs: number): void {
    // Frames of two ports may be handed over a hair out of order.
    if (atMs < this.#lastMs) return;
    this.#answers += 1;
    const longestMs = atMs - this.#lastMs;
    this.#totalMs += outageMs(longestMs);
    if (longestMs > this.#longest.longestMs) this.#longest = { longestMs, fromMs: this.#lastMs, toMs: atMs };
    this.#lastMs = atMs;
  }

  report(toMs: number): Silence {
    const tailMs = toMs - this.#lastMs;
    const all = { totalMs: this.#totalMs + outageMs(tailMs), answers: this.#answers };
    return tailMs > this.#longest.longestMs
      ? { longestMs: tailMs, fromMs: this.#lastMs, toMs, open: true, ...all }
      : { ...this.#longest, open: false, ...all };
  }
}
