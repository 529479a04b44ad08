import type { DomainJobs, DomainProcess } from "./domain-states.ts";
import type { MachineState, SeenMachine } from "./hypervisor.ts";

/** Others are foreign, and their names cannot be told to virsh without a doubt. */
const PLAIN_NAME = /^[A-Za-z0-9_.+-]+$/;

type AskForJobs = (domains: readonly DomainProcess[]) => Promise<Map<string, DomainJobs>>;

/**
 * Which machines are on the move, and from where to where. Libvirt is asked only for what its states leave open and
 * this process does not know itself; a machine whose QEMU hangs would make libvirt wait.
 */
export class Moves {
  /** Begun by this process, and not answered yet. */
  readonly #begun = new Set<string>();
  /**
   * Came here by a move, and nobody has resumed them since. Libvirt's own memory of it ends with its process, and a
   * copy whose source may run on must never pass for one that was suspended here.
   */
  readonly #arrived = new Set<string>();
  /** Running ones that may be on a move that another life of this process began. Null: any. */
  #doubtful: ReadonlySet<string> | null = null;

  async carry<Result>(name: string, move: () => Promise<Result>): Promise<Result> {
    this.#begun.add(name);
    try {
      return await move();
    } catch (error) {
      // It may go on without us.
      if (this.#doubtful !== null) this.#doubtful = new Set([...this.#doubtful, name]);
      throw error;
    } finally {
      this.#begun.delete(name);
    }
  }

  /** How it came here matters no more. Whether it had come by a move. */
  settle(name: string): boolean {
    return this.#arrived.delete(name);
  }

  async judge(seen: readonly DomainProcess[], ask: AskForJobs): Promise<SeenMachine[]> {
    const jobs = await this.#jobsOf(seen, ask);
    for (const name of this.#arrived) {
      if (!seen.some((each) => each.name === name)) this.#arrived.delete(name);
    }
    return seen.map((each) => ({ name: each.name, state: this.#stateOf(each, jobs.get(each.name)) }));
  }

  async #jobsOf(seen: readonly DomainProcess[], ask: AskForJobs): Promise<Map<string, DomainJobs>> {
    const open = seen.filter((each) => this.#isOpen(each));
    const resting = open.filter(({ process }) => process !== "running");
    const running = open.filter(({ process }) => process === "running");
    const jobs = new Map<string, DomainJobs>();
    if (resting.length > 0) for (const [name, each] of await ask(resting)) jobs.set(name, each);
    if (running.length > 0) {
      try {
        for (const [name, each] of await ask(running)) jobs.set(name, each);
      } catch {
        // One that hangs must not hide the others for ever: they pass for running, which is the careful reading.
      }
    }
    this.#doubtful = new Set([...jobs].flatMap(([name, { leaving }]) => (leaving ? [name] : [])));
    return jobs;
  }

  #isOpen({ name, process }: DomainProcess): boolean {
    if (!PLAIN_NAME.test(name) || this.#begun.has(name)) return false;
    switch (process) {
      case "running":
        return this.#doubtful === null || this.#doubtful.has(name);
      case "starting":
        return false;
      case "between":
        return true;
      case "paused":
        return !this.#arrived.has(name);
    }
  }

  #stateOf({ name, process }: DomainProcess, jobs: DomainJobs | undefined): MachineState {
    const begun = this.#begun.has(name);
    switch (process) {
      case "running":
        this.#arrived.delete(name);
        return begun || jobs?.leaving === true ? "migrating" : "running";
      case "starting":
        return "incoming";
      case "between":
        if (begun || jobs?.arriving === false) return "moved-out";
        this.#arrived.add(name);
        return "incoming";
      case "paused":
        if (jobs?.arrived === true) this.#arrived.add(name);
        return this.#arrived.has(name) ? "incoming-complete" : "paused";
    }
  }
}
