/**
 * `npm run chaos [-- --only FAULT … --n N]`: does every fault to a lab, takes the samples that are still missing and
 * prints the table. Exit code 1 when a reach is missed. It takes about two hours in full; it may be stopped and goes
 * on later. Needs root.
 */
import { join, resolve } from "node:path";
import { EXIT_CODES } from "@quorate/contracts";
import { Command } from "commander";
import { BenchLab, INTERRUPTED, reportUnlessInterrupted, takeDownOnSignal } from "./bench/bench-lab.ts";
import { MachineBench } from "./bench/machine-bench.ts";
import { buildDigest, Results } from "./bench/results.ts";
import { lacks, sift, stoodStillText } from "./bench/stood-still.ts";
import { chooseFaults, FAULTS } from "./chaos/catalogue.ts";
import { CHAOS_TOKEN_MS, type ChaosSample, ChaosSampleSchema, type Fault, isLate } from "./chaos/fault.ts";
import { GUESTS, withGuests } from "./chaos/guests.ts";
import { planOf } from "./chaos/hosts.ts";
import { missedBy } from "./chaos/judge.ts";
import { chaosTable, guestTable, isMet, rowOf } from "./chaos/table.ts";
import { calm, keepEvidence, type Surroundings, takeSample } from "./chaos/take.ts";
import { requireRoot } from "./lab.ts";
import { wholeNumber } from "./options.ts";

const ROOT = resolve(import.meta.dirname, "../../..");

const LAB_FAILURES = 3;

const GUEST_VALUES = ["guest_silence_ms", "guest_restarts", "guests_back_ms", "double_starts", "lost_writes"];

type ChaosOptions = {
  only?: string[];
  n?: number;
  fresh?: boolean;
  vms?: boolean;
  table?: boolean;
  json?: boolean;
  record: boolean;
  lab: string;
};

class Chaos {
  readonly #options: ChaosOptions;
  readonly #build = buildDigest(ROOT);
  readonly #results: Results<ChaosSample>;
  readonly #given: string[] = [];
  readonly #recordings: string | null;

  constructor(options: ChaosOptions) {
    this.#options = options;
    // What is told to the guests' part of a core is not recorded yet.
    const isRecorded = options.record && options.vms !== true;
    this.#recordings = isRecorded ? join(ROOT, ".lab", `chaos-recordings-${options.lab}`) : null;
    const kind = options.vms === true ? "chaos-vms" : "chaos";
    const path = join(ROOT, ".lab", `${kind}-${this.#build}.json`);
    this.#results = Results.open(path, this.#build, ChaosSampleSchema);
  }

  async run(faults: readonly Fault[]): Promise<void> {
    if (this.#options.fresh === true) for (const fault of faults) this.#results.forget(fault.name);
    const groups = new Map<string, Fault[]>();
    for (const fault of faults) {
      const key = `${fault.hosts} ${fault.group}`;
      groups.set(key, [...(groups.get(key) ?? []), fault]);
    }
    for (const [name, group] of groups) await this.#wholeGroup(name, group);
  }

  /** A lab that failed is replaced; a group whose labs fail again and again is left, and said in the end. */
  async #wholeGroup(name: string, group: readonly Fault[]): Promise<void> {
    for (let failures = 0; this.#next(group) !== undefined; ) {
      try {
        await this.#oneLab(group);
      } catch (error) {
        failures += 1;
        const code = reportUnlessInterrupted(error);
        if (code === INTERRUPTED) throw error;
        if (failures === LAB_FAILURES) {
          this.#given.push(name);
          return;
        }
      }
    }
  }

  table(faults: readonly Fault[]): boolean {
    const names = new Set(faults.map(({ name }) => name));
    const shown = FAULTS.filter(({ name }) => names.has(name) || this.#results.of(name).length > 0);
    const rows = shown.map((fault) => rowOf(fault, this.#results.of(fault.name)));
    process.stdout.write(`build ${this.#build}\n${chaosTable(rows)}`);
    if (this.#options.vms === true) {
      process.stdout.write(`\n${guestTable(shown, (fault) => this.#results.of(fault.name))}`);
    }
    const areMet = rows.every(isMet) && this.#given.length === 0;
    for (const name of this.#given)
      process.stdout.write(`GIVEN UP after ${LAB_FAILURES} failures: ${name}\n`);
    if (this.#options.json === true) {
      process.stdout.write(`${JSON.stringify({ build: this.#build, met: areMet, rows })}\n`);
    }
    return areMet;
  }

  /** Of the group, the fault with the fewest samples that count, of those that lack some: they take turns. */
  #next(group: readonly Fault[]): Fault | undefined {
    const of = (fault: Fault) => this.#results.of(fault.name);
    const taken = (fault: Fault) => sift(of(fault), CHAOS_TOKEN_MS).counted.length;
    const lacking = group.filter((fault) => lacks(of(fault), this.#options.n ?? fault.n, CHAOS_TOKEN_MS));
    return lacking.toSorted((left, right) => taken(left) - taken(right))[0];
  }

  /** Samples of one group on one lab, until it has served long enough or does not converge any more. */
  async #oneLab(group: readonly Fault[]): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    await this.#surrounded(first, async (surroundings) => {
      const { bench } = surroundings;
      await calm(bench);
      for (let served = 0; served < first.samplesPerLab; served += 1) {
        const fault = this.#next(group);
        if (fault === undefined) return;
        const round = this.#results.of(fault.name).length;
        const sample = await takeSample(surroundings, fault, round);
        this.#results.add(fault.name, sample);
        this.#tell(bench, fault, sample, round);
        if (sample.after === null || sample.values["guests_not_back"] === 1) return;
      }
    });
  }

  async #surrounded(first: Fault, body: (surroundings: Surroundings) => Promise<void>): Promise<void> {
    const { lab: name, vms = false } = this.#options;
    const recordings = this.#recordings;
    const plan = planOf(first.hosts, ROOT, name, vms ? GUESTS : 0);
    if (!vms) {
      await BenchLab.with(name, plan, (bench) => body({ bench, machines: null, recordings }));
      return;
    }
    await MachineBench.with(name, plan, (machines) => body({ bench: machines.bench, machines, recordings }));
  }

  #tell(bench: BenchLab, fault: Fault, sample: ChaosSample, round: number): void {
    const missed = missedBy(fault, sample);
    if (missed.length > 0) {
      const folder = join(ROOT, ".lab", "chaos-evidence", this.#build, `${fault.name}-${round + 1}`);
      keepEvidence(bench.lab, sample, folder, missed, this.#recordings);
    }
    const at = new Date(sample.injected.fromMs).toISOString();
    const values = [
      "vip_gap_ms",
      "lost_ms",
      "dual_ms",
      "failovers",
      "spurious",
      "recovery_ms",
      "lateness_ms",
      ...(this.#options.vms === true ? GUEST_VALUES : []),
    ];
    const shown = values.map((name) => `${name} ${Math.round(sample.values[name] ?? -1)}`).join(", ");
    const still = stoodStillText(sample, CHAOS_TOKEN_MS);
    const notes = [
      ...missed.map((text) => `MISSED ${text}`),
      ...(still === "" ? [] : [`SET ASIDE: ${still}`]),
      ...(isLate(sample) ? ["observer late"] : []),
      ...(sample.cause === null
        ? []
        : [sample.cause.isRight ? "cause named" : `CAUSE NOT NAMED: ${sample.cause.printed}`]),
    ];
    if (sample.replay !== null) {
      const { nodes, equal, steps, differences, failures, crashes } = sample.replay;
      notes.push(
        `recordings of ${equal}/${nodes} nodes replayed equal, ${steps} steps`,
        ...differences.map((text) => `REPLAY DIFFERS ${text}`),
        ...failures.map((text) => `NOT REPLAYED ${text}`),
        ...crashes.map((text) => `CRASHED ${text}`),
      );
    }
    process.stderr.write(
      `${at} ${fault.name} ${round + 1} ${sample.label}: ${[shown, ...notes].join("; ")}\n`,
    );
  }
}

async function main(): Promise<number> {
  const program = new Command("chaos").description("every fault, seen from outside");
  program.option("--only <faults...>", "by name, or by the beginning of it, e.g. freeze");
  program.option("--n <samples>", "so many samples of each, instead of the usual number", wholeNumber);
  program.option("--fresh", "forget this build's samples of the chosen faults first");
  program.option(
    "--vms",
    "with virtual machines, one of them on whom the fault strikes; kept apart from the others",
  );
  program.option("--table", "print what there is, do nothing");
  program.option("--json", "the table as JSON in the last line");
  program.option("--no-record", "do not fetch and replay what the cores were given in each sample");
  program.option("--lab <name>", "the lab's name; two with different names run side by side", "chaos");
  program.parse();
  const options = program.opts<ChaosOptions>();
  const plain = chooseFaults(options.only);
  const chosen = options.vms === true ? withGuests(plain) : plain;
  const chaos = new Chaos(options);
  if (options.table !== true) {
    requireRoot();
    takeDownOnSignal(options.lab);
    await chaos.run(chosen);
  }
  return chaos.table(chosen) ? EXIT_CODES.ok : EXIT_CODES.error;
}

process.exitCode = await main().catch(reportUnlessInterrupted);
