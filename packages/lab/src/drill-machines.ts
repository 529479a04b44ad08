/**
 * The drill's part for virtual machines: they are under the product's care and answer, the host under one of them dies,
 * and what follows is told as it happens. When a start was ordered is the new master's word, that a guest runs is
 * libvirt's, and that it answers is seen from outside.
 */
import { QuorateError } from "@quorate/contracts";
import { type CaredMachine, defineGuests, guestsServe } from "./guest/care.ts";
import type { Decision } from "./guest/decisions.ts";
import { isRunningEvent, type LibvirtEvent } from "./guest/libvirt-watch.ts";
import { MachineWatchers } from "./guest/watchers.ts";
import type { Lab } from "./lab.ts";

export type MachineFigures = {
  vm_start_ordered_ms: number;
  vm_running_ms: number;
  vm_answer_ms: number;
  double_starts: number;
};

export type MachineDrillLimits = { defineMs: number; serveMs: number; answerMs: number };

export const MACHINE_DRILL_LIMITS: MachineDrillLimits = {
  defineMs: 60_000,
  serveMs: 120_000,
  answerMs: 60_000,
};

type Tell = (atMs: number, text: string) => void;

export class MachinesDrill {
  readonly #lab: Lab;
  readonly #watchers: MachineWatchers;
  readonly #limits: MachineDrillLimits;

  private constructor(lab: Lab, watchers: MachineWatchers, limits: MachineDrillLimits) {
    this.#lab = lab;
    this.#watchers = watchers;
    this.#limits = limits;
  }

  static async start(lab: Lab, limits = MACHINE_DRILL_LIMITS): Promise<MachinesDrill> {
    return new MachinesDrill(lab, await MachineWatchers.start(lab), limits);
  }

  stop(): Promise<void> {
    return this.#watchers.stop();
  }

  /** Hands the guests over to the product, the first one on the master's host, and waits until all of them answer. */
  async define(master: number, others: readonly number[]): Promise<CaredMachine[]> {
    await defineGuests(this.#lab, master, [master, ...others], this.#limits.defineMs);
    const machines = await guestsServe(this.#lab, this.#watchers.guests, master, this.#limits.serveMs);
    this.#watchers.check();
    if (machines === null) throw stuck("the guests do not all come to run and answer");
    return machines;
  }

  /** From before the death on. Tell `begin` when it was. */
  watch(oldHost: number, machines: readonly CaredMachine[], tell: Tell) {
    const lost = machines.filter(({ node }) => node === oldHost).map(({ vm }) => vm);
    if (lost.length === 0) throw stuck(`no guest runs on node-${oldHost}`);
    const window = this.#watchers.observe();
    const timeline = new MachineTimeline(oldHost, lost, tell);
    const { relocation, end } = this.#watchers.relocation(oldHost, lost, ({ guest, number, atMs }) =>
      timeline.tell(atMs, `${guest}: first answer to a client, number ${number}`),
    );
    const ends = [
      end,
      this.#watchers.decisions.listen((decision) => timeline.decided(decision)),
      this.#watchers.libvirt.listen((event) => timeline.happened(event)),
    ];
    return {
      begin: (diedAtMs: number) => {
        relocation.begin(diedAtMs);
        timeline.begin(diedAtMs);
      },
      /** Resolves when every guest of that host answers again. */
      answered: async () => {
        const isDone = await relocation.done(this.#limits.answerMs);
        if (!isDone) throw stuck(`not all guests of node-${oldHost} came back: ${relocation.missing()}`);
      },
      end: (): MachineFigures => {
        for (const each of ends) each();
        const { doubleStarts } = window.verdict();
        window.close();
        for (const { guest, why } of doubleStarts) timeline.tell(Date.now(), `${guest} ran twice: ${why}`);
        return { ...relocation.figures(), double_starts: doubleStarts.length };
      },
    };
  }
}

function stuck(what: string): QuorateError {
  return new QuorateError("SERVICE_FAILED", `drill: ${what}`, "The hosts' logs are below.");
}

/** The nodes' events, which the drill tells anyway, have the view and the fence. */
const TOLD = new Set(["VM_PLACED", "VM_STARTED"]);

/** What is decided about the lost guests and their host, in the order in which it becomes known. */
class MachineTimeline {
  readonly #oldHost: number;
  readonly #lost: readonly string[];
  readonly #tell: Tell;
  #waiting: (() => void)[] | null = [];
  #diedAtMs = 0;

  constructor(oldHost: number, lost: readonly string[], tell: Tell) {
    this.#oldHost = oldHost;
    this.#lost = lost;
    this.#tell = tell;
  }

  /** The moment of death is known from now on. */
  begin(diedAtMs: number): void {
    this.#diedAtMs = diedAtMs;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const tell of waiting) tell();
  }

  decided({ host, atMs, code, message, facts: { vm } }: Decision): void {
    if (!TOLD.has(code) || host === this.#oldHost) return;
    if (typeof vm === "string" && !this.#lost.includes(vm)) return;
    this.tell(atMs, `node-${host} decides: ${message}`);
  }

  happened(event: LibvirtEvent): void {
    const { host, guest, atMs, what } = event;
    if (host === this.#oldHost || !this.#lost.includes(guest) || !isRunningEvent(event)) return;
    this.tell(atMs, `node-${host}: libvirt says of ${guest}: ${what}`);
  }

  tell(atMs: number, text: string): void {
    if (this.#waiting !== null) this.#waiting.push(() => this.tell(atMs, text));
    else if (atMs >= this.#diedAtMs) this.#tell(atMs, text);
  }
}
