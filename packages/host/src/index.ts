export type { Address, AddressInspection } from "./address/address.ts";
export { createFakeAddress } from "./address/fake-address.ts";
export { createRealAddress } from "./address/real-address.ts";
export type { Announcer, ForeignClaim, ProbeResult } from "./announcer/announcer.ts";
export { createFakeAnnouncer } from "./announcer/fake-announcer.ts";
export { createRealAnnouncer } from "./announcer/real-announcer.ts";
export type { Carrier, CarrierState } from "./carrier/carrier.ts";
export { createFakeCarrier } from "./carrier/fake-carrier.ts";
export { createRealCarrier } from "./carrier/real-carrier.ts";
export { FakeKernel } from "./fake/fake-kernel.ts";
export { createFakeGate, type FakeGateOptions, FakeTables } from "./gate/fake-gate.ts";
export type {
  Gate,
  GateInspection,
  GateRefusal,
  GateRenewal,
  GateRenewRequest,
  GateShut,
  GateStats,
  GateVip,
} from "./gate/gate.ts";
export type { FilterAnswer, FilterReading, KernelFilter, LeaseFilter } from "./gate/kernel-filter.ts";
export { LeaseGate, type LeaseGateOptions } from "./gate/lease-gate.ts";
export { createRealGate, type RealGateOptions } from "./gate/real-gate.ts";
export { prepareDefinition, readDefinition } from "./hypervisor/definition.ts";
export { createFakeHypervisor, FakeMachines } from "./hypervisor/fake-hypervisor.ts";
export type {
  HostCapacity,
  Hypervisor,
  KnownDomain,
  MachineDefinition,
  MachineDisk,
  MachineNic,
  MachineState,
  MigrationTarget,
  SeenMachine,
  StorageEndpoint,
} from "./hypervisor/hypervisor.ts";
export { machineNumber, machineUser, tapName } from "./hypervisor/machine-number.ts";
export { createRealHypervisor, type RealHypervisorOptions } from "./hypervisor/real-hypervisor.ts";
export { createFakeLinkMonitor } from "./link-monitor/fake-link-monitor.ts";
export type { LinkEvent, LinkMonitor } from "./link-monitor/link-monitor.ts";
export { createRealLinkMonitor } from "./link-monitor/real-link-monitor.ts";
export { createFakeLockFile, FakeFiles } from "./lock-file/fake-lock-file.ts";
export type { LockContent, LockFile, LockFileState } from "./lock-file/lock-file.ts";
export { createRealLockFile } from "./lock-file/real-lock-file.ts";
export {
  createFakeMachineGate,
  type FakeMachineGateOptions,
} from "./machine-gate/fake-machine-gate.ts";
export { type FakeConnection, FakeMachineKernel } from "./machine-gate/fake-machine-kernel.ts";
export type {
  GatedMachine,
  MachineGate,
  MachineGateInspection,
  MachineOpening,
} from "./machine-gate/machine-gate.ts";
export { createRealMachineGate } from "./machine-gate/real-machine-gate.ts";
export { type CommandServiceOptions, createCommandService } from "./managed-service/command-service.ts";
export {
  createFakeReadinessProbe,
  createFakeService,
  FakeServiceProcess,
} from "./managed-service/fake-service.ts";
export type {
  ManagedService,
  Readiness,
  ReadinessProbe,
  ReadinessTarget,
  ServiceState,
} from "./managed-service/managed-service.ts";
export { createReadinessProbe } from "./managed-service/real-readiness-probe.ts";
export { createUnitService, type UnitServiceOptions } from "./managed-service/unit-service.ts";
export { createFenceAgent, fenceAgentProblem } from "./power-device/fence-agent.ts";
export type { PowerDevice } from "./power-device/power-device.ts";
export { createFakeStorageProbe, FakeStorages } from "./storage-probe/fake-storage-probe.ts";
export { createRealStorageProbe } from "./storage-probe/real-storage-probe.ts";
export type { StorageProbe, StorageSight } from "./storage-probe/storage-probe.ts";
export { createFakeWatchdog, FakeWatchdogDevice } from "./watchdog/fake-watchdog.ts";
export { createRealWatchdog, type RealWatchdogOptions } from "./watchdog/real-watchdog.ts";
export type { Watchdog } from "./watchdog/watchdog.ts";
export { createIpTool, type IpTool } from "./tools/ip-tool.ts";
export { type HostContext, monotonicNowUs } from "./tools/host-context.ts";
