import type { GateRenewal, GateShut, GateStats } from "../gate/gate.ts";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";

/** A machine that the gate holds. */
export interface GatedMachine {
  readonly vm: string;
  /** From `machineNumber(uuid)`: names its taps and the user its process runs as. */
  readonly number: number;
  /** Its taps are `tapName(number, 0)` to `tapName(number, nicCount - 1)`. */
  readonly nicCount: number;
}

/** What passes for one machine; a part not named is shut. */
export interface MachineOpening {
  readonly vm: string;
  readonly network: boolean;
  readonly storage: boolean;
}

export interface MachineGateInspection {
  readonly intact: boolean;
  readonly differences: readonly string[];
  readonly open: readonly (MachineOpening & { readonly remainingUs: number })[];
}

/**
 * The kernel's filter for virtual machines: default drop, before anybody opens it, for every tap and every process but
 * an open machine's, known or not; open for one machine only while an element with a timeout lives. The permit rule
 * holds as for the cluster address: a renewal that is late opens nothing.
 *
 * Whatever else on the host wants to reach one of the storages (a mount, a backup, qemu-img run by hand) is refused too:
 * they are the machines' alone. Not promised: taps that are on no Linux bridge, frames that a process sends through a
 * packet socket straight into a tap, and connections that a machine's process was handed by another (they have that
 * one's user, so they stay shut).
 */
export interface MachineGate {
  /**
   * Makes the tables, or changes what they hold without touching what is open: found as they must be they are adopted,
   * with what a predecessor left open, which runs out. Throws CONFIG_INVALID, NOT_ROOT, TOOL_MISSING, TOOL_FAILED.
   */
  load(machines: readonly GatedMachine[], storage: readonly StorageEndpoint[]): Promise<void>;
  /** Leaves open exactly these until the lease's end, in one transaction; all others shut with it. */
  renew(request: {
    readonly open: readonly MachineOpening[];
    readonly leaseEndUs: number;
    readonly permitUs: number;
  }): Promise<GateRenewal>;
  /** Shuts these (all, without a list) and reads the kernel back. A renewal under way is void for all. */
  shut(vms?: readonly string[]): Promise<GateShut>;
  inspect(): Promise<MachineGateInspection>;
  stats(): GateStats;
  /**
   * No connection of the machine that exists now is left on this host, nor bytes queued in one, nor an orphan to any
   * storage. A process that lives on may connect anew, and is refused. Throws GATE_OPEN while its storage gate is open,
   * since new ones would come; TOOL_FAILED when one is left.
   */
  resetStorage(vm: string): Promise<void>;
  close(): Promise<void>;
  /** Takes the tables away: only for who gives machines up for good. */
  unload(): Promise<void>;
}
