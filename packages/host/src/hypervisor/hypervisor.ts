/** One disk of a machine, as its definition has it. */
export interface MachineDisk {
  /** The name in the guest: `vda`. */
  readonly target: string;
  /**
   * `network`: reached over TCP at `endpoints`, by QEMU itself (NBD, rbd, iSCSI by libiscsi).
   * `local`: a file or device of this host alone. `shared-mount`: a file below a mount that other hosts have too (NFS);
   * its bytes are the kernel's, so no gate of one machine holds them.
   */
  readonly kind: "network" | "local" | "shared-mount";
  readonly source: string;
  readonly endpoints: readonly StorageEndpoint[];
  /** `alone`: a second writer destroys it. `shareable`: the guests see to that among themselves. */
  readonly writing: "alone" | "shareable" | "none";
}

export interface StorageEndpoint {
  /** A numeric address: names were resolved where the definition was read. */
  readonly address: string;
  readonly port: number;
}

export interface MachineNic {
  /** `bridge`: a tap on a bridge, which the gate holds. Anything else passes by it, and `kind` says what it is. */
  readonly kind: string;
  readonly source: string;
  readonly gated: boolean;
}

/** What a domain's XML says, as far as we care. */
export interface MachineDefinition {
  readonly name: string;
  readonly uuid: string;
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly disks: readonly MachineDisk[];
  readonly nics: readonly MachineNic[];
  /** Why a lease alone does not fence it: local disks, NICs that no gate holds, host devices. Empty: it does. */
  readonly obstacles: readonly string[];
}

export type MachineState =
  | "running"
  | "paused"
  | "incoming"
  | "incoming-complete"
  | "migrating"
  | "moved-out";

export interface KnownDomain {
  readonly name: string;
  /** As it would be started anew. */
  readonly xml: string;
  readonly autostart: boolean;
  /** False: libvirt forgets it when it ends. */
  readonly persistent: boolean;
}

export interface SeenMachine {
  readonly name: string;
  readonly state: MachineState;
}

export interface HostCapacity {
  readonly memoryMib: number;
  readonly vcpus: number;
}

/**
 * The machines of this host. Every act throws QuorateError: TOOL_MISSING, HYPERVISOR_DOWN (libvirtd dead or hanging;
 * tried again later), MACHINE_EXISTS (name or UUID taken by another), DEFINITION_BROKEN, STORAGE_UNREACHABLE,
 * NO_MEMORY, MIGRATION_REFUSED, TOOL_FAILED with the tool's own words.
 */
export interface Hypervisor {
  /** All domains that run, are paused, or hold resources; ended ones are not there. */
  inspect(): Promise<SeenMachine[]>;
  /** Everything that libvirt knows, running or not: what an operator can take under care. */
  definitions(): Promise<KnownDomain[]>;
  /** Libvirt must not start a machine by itself. */
  disableAutostart(name: string): Promise<void>;
  capacity(): Promise<HostCapacity>;
  /** Starts a copy from prepared XML (`prepareDefinition`), transient: libvirt forgets it when it ends. */
  start(name: string, xml: string): Promise<void>;
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  /** Done also when there was none. The process is gone when this returns. */
  destroy(name: string): Promise<void>;
  /** Asks the guest, and destroys it after the grace. Done: it has ended. */
  shutDown(name: string, graceMs: number): Promise<void>;
  /**
   * Moves the copy live to the libvirtd at `target`, where it stays paused. Done: it is complete there, and the copy
   * here has stopped for good. Throws MIGRATION_REFUSED: the copy here runs on.
   */
  migrate(name: string, target: MigrationTarget): Promise<void>;
  cancelMigration(name: string): Promise<void>;
  /** Calls back when anything may have changed (libvirt's lifecycle events, followed, not polled), and after a lost stream. */
  onChange(callback: () => void): void;
  close(): Promise<void>;
}

export interface MigrationTarget {
  readonly address: string;
  readonly port: number;
}
