import { join } from "node:path";
import { assertNever, type ClusterConfig } from "@quorate/contracts";
import {
  createCommandService,
  createFenceAgent,
  createIpTool,
  createReadinessProbe,
  createRealAddress,
  createRealAnnouncer,
  createRealCarrier,
  createRealGate,
  createRealHypervisor,
  createRealLinkMonitor,
  createRealLockFile,
  createRealMachineGate,
  createRealStorageProbe,
  createRealWatchdog,
  createUnitService,
  type HostContext,
  type ManagedService,
} from "@quorate/host";
import { monotonicUs } from "@quorate/runtime";
import type { Drivers } from "./drivers.ts";

export interface RealDriversOptions {
  nodeId: number;
  runDir: string;
  stateDir: string;
}

/** This host's kernel, files and service manager. */
export function createRealDrivers(options: RealDriversOptions): Drivers {
  const context: HostContext = { nowUs: monotonicUs };
  const ipTool = createIpTool(context);
  return {
    gate: createRealGate(context),
    address: createRealAddress(ipTool),
    carrier: createRealCarrier(ipTool),
    announcer: createRealAnnouncer(context),
    linkMonitor: createRealLinkMonitor(context),
    readiness: createReadinessProbe(),
    machines: {
      hypervisor: ({ hypervisor }) => createRealHypervisor(context, { uri: hypervisor }),
      gate: () => createRealMachineGate(context),
      powerDevice: (config) => createFenceAgent(context, config),
      storageProbe: () => createRealStorageProbe(context),
      watchdog: (config) => createRealWatchdog(context, config),
    },
    placesOf: (config) => ({
      lock: createRealLockFile(config.lockFile ?? join(options.runDir, "service.lock")),
      marker: createRealLockFile(config.relocatedMarker ?? join(options.runDir, "relocated")),
      service: serviceOf(context, config, options),
    }),
  };
}

function serviceOf(
  context: HostContext,
  config: ClusterConfig,
  { nodeId, runDir, stateDir }: RealDriversOptions,
): ManagedService | null {
  const managed = config.managedService;
  switch (managed.kind) {
    case "none":
      return null;
    case "unit":
      return createUnitService(context, { unit: managed.unit });
    case "command":
      return createCommandService(context, {
        command: managed.command,
        pidFile: join(runDir, "managed-service.pid"),
        logFile: join(stateDir, "log", "managed-service.log"),
        environment: {
          QUORATE_CLUSTER: config.clusterName,
          QUORATE_NODE_ID: String(nodeId),
          QUORATE_RUN_DIR: runDir,
        },
      });
    default:
      return assertNever(managed);
  }
}
