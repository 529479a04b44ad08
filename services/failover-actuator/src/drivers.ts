import {
  type ClusterConfig,
  type MachinesConfig,
  type ManagedServiceConfig,
  type PowerDeviceConfig,
  type WatchdogConfig,
} from "@quorate/contracts";
import type {
  Address,
  Announcer,
  Carrier,
  Gate,
  Hypervisor,
  LinkMonitor,
  LockFile,
  MachineGate,
  ManagedService,
  PowerDevice,
  ReadinessProbe,
  StorageProbe,
  Watchdog,
} from "@quorate/host";

/** Made only where machines are under care. */
export interface MachineDrivers {
  hypervisor(config: MachinesConfig): Hypervisor;
  gate(): MachineGate;
  powerDevice(config: PowerDeviceConfig): PowerDevice;
  storageProbe(): StorageProbe;
  watchdog(config: WatchdogConfig): Watchdog;
}

/** What follows from the configuration and may change with it while we run. */
export interface Places {
  lock: LockFile;
  marker: LockFile;
  /** Null: nothing is managed here. */
  service: ManagedService | null;
}

/** The outside, as far as this service acts on it. */
export interface Drivers {
  gate: Gate;
  address: Address;
  carrier: Carrier;
  announcer: Announcer;
  linkMonitor: LinkMonitor;
  readiness: ReadinessProbe;
  machines: MachineDrivers;
  placesOf(config: ClusterConfig): Places;
}

/** Whether the managed service or the files' paths differ: then other drivers are needed. */
export function samePlaces(left: ClusterConfig, right: ClusterConfig): boolean {
  return (
    left.lockFile === right.lockFile &&
    left.relocatedMarker === right.relocatedMarker &&
    sameService(left.managedService, right.managedService)
  );
}

export function sameService(left: ManagedServiceConfig, right: ManagedServiceConfig): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
