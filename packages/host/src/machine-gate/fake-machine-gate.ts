import type { FilterAnswer } from "../gate/kernel-filter.ts";
import type { LeaseGateOptions } from "../gate/lease-gate.ts";
import type { HostContext } from "../tools/host-context.ts";
import { FakeMachineKernel } from "./fake-machine-kernel.ts";
import { LeaseMachineGate } from "./lease-machine-gate.ts";
import {
  type HeldMachines,
  type MachineFilter,
  type MachineReading,
  readOpenings,
  type SelectedOpening,
  tapsOf,
  userOf,
} from "./machine-filter.ts";
import type { MachineGate } from "./machine-gate.ts";
import { checkMachines, storageKeys } from "./machine-ruleset.ts";

export interface FakeMachineGateOptions extends LeaseGateOptions {
  /** The kernel, which outlives the gate; give the same one to play a restarted process. */
  readonly kernel?: FakeMachineKernel;
  /** Runs before every transaction reaches the kernel: the place for delays. */
  beforeTransaction?(): Promise<void> | void;
}

class FakeMachineFilter implements MachineFilter {
  readonly #kernel: FakeMachineKernel;
  readonly #beforeTransaction: () => Promise<void> | void;
  #held: HeldMachines = { machines: [], storage: [] };
  readonly toolStarts = 1;

  constructor(kernel: FakeMachineKernel, beforeTransaction: () => Promise<void> | void) {
    this.#kernel = kernel;
    this.#beforeTransaction = beforeTransaction;
  }

  async load(held: HeldMachines): Promise<void> {
    checkMachines(held.machines, held.storage);
    await this.#beforeTransaction();
    this.#held = held;
    this.#kernel.hold(held.storage);
  }

  async permit(number: number, timeoutMs: number): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#kernel.storage === undefined) return NO_ENTRY;
    if (!this.#kernel.addPermit(number, timeoutMs)) return { kind: "failed", message: "File exists" };
    return { kind: "done" };
  }

  async commit(
    number: number,
    openings: readonly SelectedOpening[],
    timeoutMs: number,
  ): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#kernel.storage === undefined || !this.#kernel.takePermit(number)) return NO_ENTRY;
    const keys = openings.flatMap(({ machine, network, storage }) => [
      ...(network ? tapsOf(machine) : []),
      ...(storage ? [userOf(machine)] : []),
    ]);
    this.#kernel.open(keys, timeoutMs);
    return { kind: "done" };
  }

  async shut(vms?: readonly string[]): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#kernel.storage === undefined) return NO_ENTRY;
    const machines = this.#held.machines.filter(({ vm }) => vms?.includes(vm));
    if (vms === undefined) this.#kernel.shut();
    else this.#kernel.shut(machines.flatMap((machine) => [...tapsOf(machine), userOf(machine)]));
    return { kind: "done" };
  }

  async read(): Promise<MachineReading> {
    await this.#beforeTransaction();
    const held = this.#kernel.storage;
    const differences: string[] = [];
    if (held === undefined) differences.push("table bridge quorate_machines is missing");
    else if (held.join() !== storageKeys(this.#held.storage).join()) {
      differences.push("table inet quorate_machines does not hold exactly the storage");
    }
    const found = this.#kernel.openKeys.map((key) => ({ key, remainingUs: this.#kernel.remainingUs(key) }));
    const taps = found.filter(({ key }) => !/^\d+$/.test(key));
    const users = found.filter(({ key }) => /^\d+$/.test(key));
    return { differences, ...readOpenings(this.#held.machines, { taps, users }) };
  }

  async unload(): Promise<void> {
    await this.#beforeTransaction();
    this.#kernel.flushRuleset();
  }

  async close(): Promise<void> {}
}

const NO_ENTRY: FilterAnswer = { kind: "no-entry", message: "No such file or directory" };

/** The machines' gate without a kernel: the same permit rule over a kernel in memory and the context's clock. */
export function createFakeMachineGate(
  context: HostContext,
  options: FakeMachineGateOptions = {},
): MachineGate {
  const kernel = options.kernel ?? new FakeMachineKernel(() => context.nowUs());
  const filter = new FakeMachineFilter(kernel, options.beforeTransaction ?? ((): void => {}));
  const sockets = {
    async destroy(...target: Parameters<FakeMachineKernel["destroyConnections"]>): Promise<void> {
      kernel.destroyConnections(...target);
    },
  };
  return new LeaseMachineGate(context, filter, sockets, options);
}
