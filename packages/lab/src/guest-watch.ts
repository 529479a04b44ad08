/**
 * Looks at the guests from outside: asks them for their next numbers over HTTP from the client host, 50 times a second in
 * all, and holds what was answered against the disks in the storage host. A restart is a new run; a double start is two runs that
 * answer at once, or that wrote in turns; a lost write is a number that was answered and is not on the disk.
 */
import { join } from "node:path";
import { z } from "zod";
import { inNamespaces } from "./command.ts";
import { type DiskVerdict, judgeDisk, readGuestDisk } from "./guest/disk.ts";
import { type Guest, guestsOf } from "./guest/guests.ts";
import { diskPath } from "./guest/storage-host.ts";
import { type GuestAnswer, type GuestReport, GuestTally } from "./guest/tally.ts";
import type { Lab } from "./lab.ts";
import { LabProcess, realTimePrefix } from "./lab-process.ts";

export type { DiskVerdict } from "./guest/disk.ts";
export type { GuestAnswer, GuestReport, RunReport } from "./guest/tally.ts";

const SCRIPT = join(import.meta.dirname, "../assets/probe-guests.pl");

export type GuestWatchOptions = {
  /** Between two questions to a guest. Unless told 20 ms for each guest: an answer costs 5 ms of a core. */
  intervalMs: number;
  /** After which a question is given up and put anew. */
  patienceMs: number;
};

const INTERVAL_PER_GUEST_MS = 20;
const PATIENCE_MS = 200;

const BodySchema = z.object({
  name: z.string(),
  run: z.string().min(1),
  number: z.int().min(1).optional(),
});

export type GuestObservation = {
  /** One for each guest, until the newest tick of the asking; at most 100 ms behind. */
  report: () => GuestReport[];
  /** By how much the asking was late at worst: a silence of no more than that is noise. */
  latenessMs: () => number;
  close: () => void;
};

type Window = { tallies: ReadonlyMap<string, GuestTally>; fromMs: number; latenessMs: number };

export class GuestWatch {
  readonly guests: readonly Guest[];
  readonly #lab: Lab;
  readonly #windows = new Set<Window>();
  readonly #listeners = new Set<(answer: GuestAnswer) => void>();
  /** By guest: every number that was answered, and whose it was. Two runs may have answered one number. */
  readonly #acknowledged = new Map<string, [number, string][]>();
  #newestMs = Date.now();
  #process: LabProcess | null = null;

  private constructor(lab: Lab) {
    this.#lab = lab;
    this.guests = guestsOf(lab.record().guests);
    for (const { name } of this.guests) this.#acknowledged.set(name, []);
  }

  /** Starts asking; resolves when the asking runs. */
  static async start(lab: Lab, options: Partial<GuestWatchOptions> = {}): Promise<GuestWatch> {
    const watch = new GuestWatch(lab);
    const { intervalMs = INTERVAL_PER_GUEST_MS * watch.guests.length, patienceMs = PATIENCE_MS } = options;
    const places = watch.guests.map(({ name, address }) => `${name}=${address}`);
    const argv = [
      ...(await realTimePrefix()),
      ...["perl", SCRIPT, String(intervalMs), String(patienceMs), ...places],
    ];
    watch.#process = await LabProcess.start(lab, inNamespaces(lab.clientPid(), "network", argv), {
      onLine: (line) => watch.#take(line),
      isReady: ({ line }) => line.startsWith("tick "),
    });
    return watch;
  }

  /** Opens a window of time that begins now (or at `fromMs`, wall clock). Several may be open. */
  observe(fromMs = Date.now()): GuestObservation {
    const tallies = new Map(this.guests.map(({ name }) => [name, new GuestTally(name, fromMs)]));
    const window: Window = { tallies, fromMs, latenessMs: 0 };
    this.#windows.add(window);
    return {
      report: () => [...tallies.values()].map((tally) => tally.report(Math.max(fromMs, this.#newestMs))),
      latenessMs: () => window.latenessMs,
      close: () => this.#windows.delete(window),
    };
  }

  /** Calls `listener` for every number that is answered. Returns the way to end it. */
  onAnswer(listener: (answer: GuestAnswer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the first answer from now on that is wanted; null when `timeoutMs` passed first. */
  waitFor(wanted: (answer: GuestAnswer) => boolean, timeoutMs: number): Promise<GuestAnswer | null> {
    return new Promise((resolve) => {
      const end = (answer: GuestAnswer | null) => {
        clearTimeout(timer);
        stop();
        resolve(answer);
      };
      const timer = setTimeout(() => end(null), timeoutMs);
      const stop = this.onAnswer((answer) => {
        if (wanted(answer)) end(answer);
      });
    });
  }

  /** Holds every number that was answered since the start against the disks, as they are now in the storage host. */
  verify(): DiskVerdict[] {
    return this.guests.map((guest) =>
      judgeDisk(
        guest.name,
        readGuestDisk(diskPath(this.#lab.record(), guest)),
        this.#acknowledged.get(guest.name) ?? [],
      ),
    );
  }

  /** Why the asking ended by itself; null while all is well. Figures taken after a failure mean nothing. */
  get failure(): string | null {
    return this.#process?.failure ?? null;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  #take(line: string): void {
    const [kind, first = "", second = "", status, name = "", ...body] = line.split(" ");
    if (kind === "tick") {
      this.#newestMs = Math.max(this.#newestMs, Number(first));
      for (const window of this.#windows) {
        if (this.#newestMs >= window.fromMs) window.latenessMs = Math.max(window.latenessMs, Number(second));
      }
      return;
    }
    const { run, number } = BodySchema.parse(JSON.parse(body.join(" ")));
    if (status !== "200" || number === undefined) {
      for (const { tallies } of this.#windows) tallies.get(name)?.refused();
      return;
    }
    const answer = { guest: name, run, number, sentMs: Number(first), atMs: Number(second) };
    this.#newestMs = Math.max(this.#newestMs, answer.atMs);
    this.#acknowledged.get(name)?.push([number, run]);
    for (const { tallies } of this.#windows) tallies.get(name)?.take(answer);
    for (const listener of this.#listeners) listener(answer);
  }
}
