import type { NodeId } from "@quorate/contracts";
import type { KnownMachines } from "./machine-lines.ts";

/** A storage that does not answer at least one of the nodes that say what they have. */
export interface LostStorage {
  readonly storage: string;
  readonly nodes: readonly NodeId[];
  /** It answers nobody: the storage is to blame, and no host. */
  readonly everywhere: boolean;
  /** Machines that should run, need it, and are on those nodes or nobody's. */
  readonly machines: readonly string[];
}

/** By name. Of a node that does not speak nothing is known. */
export function lostStorages({ reports }: Pick<KnownMachines, "reports">): LostStorage[] {
  const names = [...new Set(reports.flatMap(({ storageGone }) => storageGone))].sort();
  return names.map((storage) => {
    const without = reports.filter(({ storageGone }) => storageGone.includes(storage));
    const machines = without.flatMap(({ records }) =>
      records.flatMap(({ vm, wanted, storages }) =>
        wanted === "running" && storages.includes(storage) ? [vm] : [],
      ),
    );
    return {
      storage,
      nodes: without.map(({ node }) => node),
      everywhere: without.length === reports.length,
      machines: [...new Set(machines)].sort(),
    };
  });
}

export function lostStorageText({ storage, nodes, everywhere, machines }: LostStorage): string {
  const needed = machines.length === 0 ? "" : ` Needed there by ${machines.join(", ")}.`;
  if (everywhere && nodes.length > 1) {
    const blame = "the storage is to blame, no host is, and nothing is killed for it.";
    return `Storage ${storage} answers none of the nodes ${nodes.join(", ")}: ${blame}${needed}`;
  }
  const which = `node${nodes.length === 1 ? "" : "s"} ${nodes.join(", ")}`;
  return `Storage ${storage} does not answer ${which}: nothing that needs it is placed there.${needed}`;
}
