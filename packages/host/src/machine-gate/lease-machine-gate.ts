import { QuorateError } from "@quorate/contracts";
import type { GateRenewal, GateShut, GateStats } from "../gate/gate.ts";
import { LeaseRule, type LeaseGateOptions, type LeaseRequest } from "../gate/lease-gate.ts";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import { machineUser } from "../hypervisor/machine-number.ts";
import type { HostContext } from "../tools/host-context.ts";
import type { HeldMachines, MachineFilter, MachineReading, SelectedOpening } from "./machine-filter.ts";
import type { GatedMachine, MachineGate, MachineGateInspection, MachineOpening } from "./machine-gate.ts";
import type { MachineSockets } from "./machine-sockets.ts";

/** The gate of virtual machines: the permit rule over taps and users, and their connections. */
export class LeaseMachineGate implements MachineGate {
  readonly #rule: LeaseRule<HeldMachines, SelectedOpening, MachineReading>;
  readonly #sockets: MachineSockets;
  #held: HeldMachines = { machines: [], storage: [] };

  constructor(
    context: HostContext,
    filter: MachineFilter,
    sockets: MachineSockets,
    options: LeaseGateOptions = {},
  ) {
    this.#rule = new LeaseRule(context, filter, stillOpen, options);
    this.#sockets = sockets;
  }

  load(machines: readonly GatedMachine[], storage: readonly StorageEndpoint[]): Promise<void> {
    this.#held = { machines: [...machines], storage: [...storage] };
    return this.#rule.load(this.#held);
  }

  renew(request: LeaseRequest & { readonly open: readonly MachineOpening[] }): Promise<GateRenewal> {
    return this.#rule.renew(request, (held) => select(held, request.open));
  }

  shut(vms?: readonly string[]): Promise<GateShut> {
    return this.#rule.shut(vms);
  }

  async inspect(): Promise<MachineGateInspection> {
    const { intact, differences, open } = await this.#rule.inspect();
    return { intact, differences, open };
  }

  stats(): GateStats {
    return this.#rule.stats();
  }

  async resetStorage(vm: string): Promise<void> {
    const { machines, storage } = this.#held;
    const machine = machineNamed(machines, vm);
    await this.#assertShut(vm);
    await this.#sockets.destroy(machineUser(machine.number), storage);
    // Not one turn with the reading, so that a slow tool keeps no renewal of other machines waiting.
    await this.#assertShut(vm);
  }

  close(): Promise<void> {
    return this.#rule.close();
  }

  unload(): Promise<void> {
    return this.#rule.unload();
  }

  async #assertShut(vm: string): Promise<void> {
    const { differences, open } = await this.#rule.inspect();
    const isOpen = open.some((opening) => opening.vm === vm && opening.storage);
    const why = isOpen ? `The storage gate of ${vm} is open.` : differences[0];
    if (why === undefined) return;
    throw new QuorateError("GATE_OPEN", `${vm} may connect to its storage: ${why}`, "Shut the gate first.");
  }
}

function stillOpen({ open, strangers }: MachineReading, vms?: readonly string[]): string | undefined {
  if (vms === undefined) return open[0]?.vm ?? strangers[0];
  return open.find(({ vm }) => vms.includes(vm))?.vm;
}

function select({ machines }: HeldMachines, openings: readonly MachineOpening[]): readonly SelectedOpening[] {
  return openings.map(({ vm, network, storage }) => ({
    machine: machineNamed(machines, vm),
    network,
    storage,
  }));
}

function machineNamed(machines: readonly GatedMachine[], vm: string): GatedMachine {
  const machine = machines.find((each) => each.vm === vm);
  if (machine !== undefined) return machine;
  throw new QuorateError("USAGE", `The gate holds no machine ${vm}.`, "load() the machines before.");
}
