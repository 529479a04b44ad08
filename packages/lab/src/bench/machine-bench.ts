/** A lab to measure virtual machines on: a BenchLab whose guests are under the product's care, and watched. */
import { type CaredMachine, defineGuests, guestsServe, readMachines } from "../guest/care.ts";
import { type MachineWindow, MachineWatchers } from "../guest/watchers.ts";
import type { LabPlan } from "../plan.ts";
import { BenchLab, WHOLE_LIMIT_MS } from "./bench-lab.ts";

export class MachineBench {
  readonly bench: BenchLab;
  readonly watchers: MachineWatchers;
  #isHanded = false;

  private constructor(bench: BenchLab, watchers: MachineWatchers) {
    this.bench = bench;
    this.watchers = watchers;
  }

  static async with(
    name: string,
    plan: LabPlan,
    body: (bench: MachineBench) => Promise<void>,
  ): Promise<void> {
    await BenchLab.with(name, plan, async (bench) => {
      const watchers = await MachineWatchers.start(bench.lab);
      try {
        await body(new MachineBench(bench, watchers));
      } finally {
        await watchers.stop();
      }
    });
  }

  get lab() {
    return this.bench.lab;
  }

  /** Hands the guests over, unless that is done. */
  async #hand(master: number): Promise<void> {
    if (this.#isHanded) return;
    await defineGuests(this.lab, master, this.bench.ids, WHOLE_LIMIT_MS);
    this.#isHanded = true;
  }

  /** The same, for who does not ask the guests: without waiting for answers. */
  async settled(): Promise<{ machines: CaredMachine[] }> {
    if (!this.#isHanded) return await this.serving();
    const master = (await this.bench.whole()).node.id;
    const machines = await readMachines(this.lab, master);
    if (machines === null) throw this.bench.stuck("nobody says where the guests are");
    return { machines };
  }

  /** Waits until the cluster is whole and every guest runs and answers. Answers with the master and where each runs. */
  async serving(): Promise<{ master: number; machines: CaredMachine[] }> {
    const master = (await this.bench.whole()).node.id;
    await this.#hand(master);
    const machines = await this.served(master);
    if (machines === null) throw this.bench.stuck("the guests do not all come to run and answer");
    return { master, machines };
  }

  /** Waits until every guest runs and has answered since this call; null when they do not come to it in time. */
  async served(master: number): Promise<CaredMachine[] | null> {
    const machines = await guestsServe(this.lab, this.watchers.guests, master, WHOLE_LIMIT_MS);
    this.watchers.check();
    return machines;
  }

  /** What must never be seen, counted over the window. */
  finish(window: MachineWindow): { double_starts: number; lost_writes: number } {
    const { doubleStarts, lostWrites } = window.verdict();
    window.close();
    for (const { guest, why } of doubleStarts) process.stderr.write(`${guest} ran twice: ${why}\n`);
    return { double_starts: doubleStarts.length, lost_writes: lostWrites };
  }
}
