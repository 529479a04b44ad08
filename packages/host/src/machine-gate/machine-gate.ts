import type { GateRenewal, GateShut } from "../gate/gate.ts";

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
 * The kernel's filter for virtual machines: default drop, before anybody opens it, for every tap and every machine's
 * process, known or not; open for one machine only while an element with a timeout lives. The permit rule holds as for
 * the cluster address: a renewal that is late opens nothing.
 */
export interface MachineGate {
  /** Makes the tables, or changes what they hold without touching what is open. */
  load(
    machines: readonly GatedMachine[],
    storage: readonly { readonly address: string; readonly port: number }[],
  ): Promise<void>;
  /** Leaves open exactly these until the lease's end, in one transaction; all others shut with it. */
  renew(request: {
    readonly open: readonly MachineOpening[];
    readonly leaseEndUs: number;
    readonly permitUs: number;
  }): Promise<GateRenewal>;
  /** Shuts these (all, without a list) and reads the kernel back. */
  shut(vms?: readonly string[]): Promise<GateShut>;
  inspect(): Promise<MachineGateInspection>;
  /**
   * No connection of the machine to any storage is left on this host, nor bytes queued in one. Throws GATE_OPEN while
   * its storage gate is open, since new ones would come.
   */
  resetStorage(vm: string): Promise<void>;
  close(): Promise<void>;
  /** Takes the tables away: only for who gives machines up for good. */
  unload(): Promise<void>;
}
