import type { MachineDefinition, MachineGate, StorageEndpoint } from "@quorate/host";
import { endpointsOf, gatedMachine } from "./definitions.ts";

/**
 * What the machines' gate holds: every machine that this process has heard of, and every storage that one of them or
 * the configuration names. Nothing is ever let go of while the process lives: a storage that is no more behind the gate
 * would be open to what is left of an old copy.
 */
export class GateHolder {
  readonly #gate: MachineGate;
  readonly #machines = new Map<string, MachineDefinition>();
  /** By address and port. */
  readonly #storage = new Map<string, StorageEndpoint>();
  #configured: readonly StorageEndpoint[] = [];
  #loaded = "";
  #loading: Promise<void> = Promise.resolve();

  constructor(gate: MachineGate) {
    this.#gate = gate;
  }

  hold(vm: string, meaning: MachineDefinition): void {
    this.#machines.set(vm, meaning);
    this.holdStorage(meaning);
  }

  /** The storages of a definition by which something runs that is defined otherwise by now. */
  holdStorage(meaning: MachineDefinition): void {
    for (const each of endpointsOf(meaning)) this.#storage.set(`${each.address} ${each.port}`, each);
  }

  configure(storage: readonly StorageEndpoint[]): void {
    this.#configured = storage;
  }

  /** The tables may not be there any more. */
  invalidate(): void {
    this.#loaded = "";
  }

  /** Makes the kernel hold all that is known; costs nothing when it does already. Throws QuorateError. */
  load(): Promise<void> {
    const turn = this.#loading.then(() => this.#loadNow());
    this.#loading = turn.catch(() => undefined);
    return turn;
  }

  async #loadNow(): Promise<void> {
    const machines = [...this.#machines]
      .map(([vm, meaning]) => gatedMachine(vm, meaning))
      .sort((left, right) => left.number - right.number);
    const storage = new Map(this.#storage);
    for (const each of this.#configured) storage.set(`${each.address} ${each.port}`, each);
    const endpoints = [...storage.keys()].sort().flatMap((key) => storage.get(key) ?? []);
    const wanted = JSON.stringify([machines, endpoints]);
    if (wanted === this.#loaded) return;
    await this.#gate.load(machines, endpoints);
    this.#loaded = wanted;
  }
}
