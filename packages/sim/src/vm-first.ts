import type { VmRecord } from "@quorate/core-failover";

export function vmNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `vm${index + 1}`);
}

/** The machines that stand in the inventory of the host of this index when the world begins: each in one. */
export function firstRecords(names: readonly string[], index: number, hosts: number): VmRecord[] {
  return names
    .filter((_, place) => place % hosts === index)
    .map((vm, place) => ({
      vm,
      placement: { term: 0, number: 0 },
      revision: 1,
      definition: vm,
      memoryMib: 512,
      vcpus: 1,
      prio: place,
      wanted: "running",
      storage: "shared",
      storages: ["san"],
      // One of each three is shut down and started anew where the others are moved live.
      ...(vm.endsWith("3") ? { move: "restart" as const } : {}),
      gated: true,
      released: null,
    }));
}
