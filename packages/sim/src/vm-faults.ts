import { assertNever } from "@quorate/contracts";
import type { Host } from "./host.ts";
import type { FaultAction, NodeRef } from "./schedule.ts";
import type { World } from "./world.ts";

type MachineFault = Extract<FaultAction, { kind: "vm-end" | "vm-move" | "storage-gone" }>;

/** False in a world without machines, or when there was nothing to strike. */
export function applyMachineFault(
  world: World,
  action: MachineFault,
  resolve: (ref: NodeRef) => Host | null,
): boolean {
  if (world.vmChecker === null) return false;
  switch (action.kind) {
    case "vm-end": {
      const host = [...world.hosts.values()].find((each) => each.up && each.vmKernel?.copies.has(action.vm));
      if (host === undefined) return false;
      host.vmKernel?.copies.delete(action.vm);
      host.actuator.machinesChanged();
      return true;
    }
    case "vm-move": {
      const target = resolve(action.to);
      if (target === null) return false;
      // Only a master heeds it.
      for (const host of world.hosts.values()) host.actuator.moveMachine(action.vm, target.id);
      return true;
    }
    case "storage-gone": {
      const struck = action.node === "all" ? [...world.hosts.values()] : [resolve(action.node)];
      for (const host of struck) if (host !== null) setStorage(host, true);
      world.at(world.nowUs + action.forUs, () => {
        for (const host of struck) if (host !== null) setStorage(host, false);
      });
      return true;
    }
    default:
      return assertNever(action);
  }
}

export function healMachines(world: World): void {
  for (const host of world.hosts.values()) if (host.storageGone) setStorage(host, false);
}

function setStorage(host: Host, gone: boolean): void {
  host.storageGone = gone;
  host.actuator.storageChanged();
}
