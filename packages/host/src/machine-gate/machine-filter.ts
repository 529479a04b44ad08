import type { LeaseFilter } from "../gate/kernel-filter.ts";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import { machineUser, tapName } from "../hypervisor/machine-number.ts";
import type { GatedMachine, MachineOpening } from "./machine-gate.ts";

export interface HeldMachines {
  readonly machines: readonly GatedMachine[];
  readonly storage: readonly StorageEndpoint[];
}

/** What is to be opened for one machine. */
export interface SelectedOpening {
  readonly machine: GatedMachine;
  readonly network: boolean;
  readonly storage: boolean;
}

export interface MachineReading {
  readonly differences: readonly string[];
  /** Sorted by the machines' names. */
  readonly open: readonly (MachineOpening & { readonly remainingUs: number })[];
  /** Open for machines that are not held: a predecessor's, which run out. */
  readonly strangers: readonly string[];
}

/** What holds the machines; names are those of machines, and unknown ones have nothing to shut. */
export type MachineFilter = LeaseFilter<HeldMachines, SelectedOpening, MachineReading>;

/** What one tap or one user has left. */
export interface OpenElement {
  readonly key: string;
  readonly remainingUs: number;
}

/** Whose taps and users these are. What is open for a part of a machine's taps counts as open for its network. */
export function readOpenings(
  machines: readonly GatedMachine[],
  found: { readonly taps: readonly OpenElement[]; readonly users: readonly OpenElement[] },
): Pick<MachineReading, "open" | "strangers"> {
  const taps = new Map(found.taps.map(({ key, remainingUs }) => [key, remainingUs]));
  const users = new Map(found.users.map(({ key, remainingUs }) => [key, remainingUs]));
  const take = (from: Map<string, number>, key: string): number => {
    const remainingUs = from.get(key) ?? 0;
    from.delete(key);
    return remainingUs;
  };
  const open: (MachineOpening & { remainingUs: number })[] = [];
  for (const machine of machines) {
    const networkUs = Math.max(0, ...tapsOf(machine).map((tap) => take(taps, tap)));
    const storageUs = take(users, userOf(machine));
    const remainingUs = Math.max(networkUs, storageUs);
    if (remainingUs > 0) {
      open.push({ vm: machine.vm, network: networkUs > 0, storage: storageUs > 0, remainingUs });
    }
  }
  open.sort((a, b) => (a.vm < b.vm ? -1 : 1));
  return { open, strangers: [...taps.keys(), ...users.keys()].sort() };
}

export function tapsOf({ number, nicCount }: GatedMachine): readonly string[] {
  return Array.from({ length: nicCount }, (_, nic) => tapName(number, nic));
}

export function userOf({ number }: GatedMachine): string {
  return String(machineUser(number));
}
