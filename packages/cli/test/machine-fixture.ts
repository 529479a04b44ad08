import type { VmRecord, VmReport } from "@quorate/contracts";
import type { KnownMachines } from "../src/machine-lines.ts";

export const GIVEN = { term: 3, number: 100 };

export function record(vm: string, change: Partial<VmRecord> = {}): VmRecord {
  return {
    vm,
    placement: GIVEN,
    revision: 1,
    definition: "d",
    memoryMib: 96,
    vcpus: 1,
    prio: 0,
    wanted: "running",
    storage: "shared",
    storages: [],
    gated: true,
    released: null,
    ...change,
  };
}

export function report(node: number, records: VmRecord[], running: string[] = []): VmReport {
  return {
    node,
    incarnation: 1,
    sequence: 1,
    adopted: GIVEN,
    view: { term: 3, number: 1 },
    copies: running.map((vm) => ({
      vm,
      state: "running" as const,
      placement: GIVEN,
      confirmed: true,
      wasOut: false,
    })),
    records,
    failures: [],
    memoryMib: 1000,
    vcpus: 4,
    storageGone: [],
  };
}

export const WAITS = "db waits: no host has room for 4096 MiB.";

/** web runs, db has no room, old is stopped on a host that a move took it from, disk lies on one host. */
export function known(change: Partial<KnownMachines> = {}): KnownMachines {
  const reports = [
    report(2, [record("old", { wanted: "stopped", released: { to: null } }), record("web")], ["web"]),
    report(
      4,
      [
        record("db", { memoryMib: 4096, vcpus: 2, prio: 5, released: { to: null } }),
        record("disk", { storage: "local", gated: false }),
        record("gone", { wanted: "undefined", released: { to: null } }),
        record("raw", { gated: false }),
        record("web", { placement: { term: 2, number: 7 }, released: { to: null } }),
      ],
      ["disk", "raw"],
    ),
  ];
  const entry = (vm: string, owner: number | null) => ({ vm, owner, placement: GIVEN, movingTo: null });
  return {
    ok: true,
    report: reports[1] ?? null,
    reports,
    table: [entry("db", null), entry("disk", 4), entry("old", null), entry("raw", 4), entry("web", 2)],
    blocked: [{ vm: "db", reason: { code: "VM_NO_ROOM", message: WAITS } }],
    obstacles: [{ vm: "disk", obstacles: ["disk vda lies on this host alone (/var/disk.img)"] }],
    problems: [],
    ...change,
  };
}
