import type { MachinesConfig } from "@quorate/contracts";
import { parseAddress } from "./addresses.ts";
import type { ConfSection } from "./document.ts";
import { sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import { TypedSection } from "./typed-section.ts";

/** The section `machines`; undefined without it. */
export function readMachines(root: ConfSection, findings: Findings): MachinesConfig | undefined {
  const sections = sectionsNamed(root, "machines");
  const [first] = sections;
  if (first === undefined) return undefined;
  const typed = new TypedSection("machines", sections, findings, first);
  const groups = sections.flatMap((section) => readGroups(section, findings));
  refuseContradictions(groups, findings);
  return {
    hypervisor: typed.stringOrDefault("hypervisor").value,
    migrationPort: typed.integerOrDefault("migration_port").value,
    storageSettleMs: typed.integerOrDefault("storage_settle").value,
    bootGraceMs: typed.integerOrDefault("boot_grace").value,
    shutdownGraceMs: typed.integerOrDefault("shutdown_grace").value,
    memoryPercent: typed.integerOrDefault("memory_percent").value,
    vcpuPercent: typed.integerOrDefault("vcpu_percent").value,
    maximumPerNode: typed.integer("maximum_per_node")?.value ?? null,
    liveMovesPerNode: typed.integerOrDefault("live_moves_per_node").value,
    storage: sections.flatMap((section) => readStorage(section, findings)),
    sharedMounts: sections.flatMap((section) => readSharedMount(section, findings)),
    together: groups.flatMap(({ placement, members }) => (placement === "together" ? [members] : [])),
    apart: groups.flatMap(({ placement, members }) => (placement === "apart" ? [members] : [])),
  };
}

function readStorage(machines: ConfSection, findings: Findings): MachinesConfig["storage"] {
  return sectionsNamed(machines, "storage").flatMap((section) => {
    const typed = new TypedSection("machines.storage", [section], findings, section);
    for (const key of ["address", "port"]) requireKey(typed, key, section, findings);
    const address = parseAddress(typed.string("address")?.value ?? "");
    const port = typed.integer("port");
    return address === undefined || port === undefined ? [] : [{ address: address.text, port: port.value }];
  });
}

function readSharedMount(machines: ConfSection, findings: Findings): string[] {
  return sectionsNamed(machines, "shared_mount").flatMap((section) => {
    const typed = new TypedSection("machines.shared_mount", [section], findings, section);
    requireKey(typed, "path", section, findings);
    const path = typed.string("path");
    return path === undefined ? [] : [path.value];
  });
}

interface Group {
  readonly placement: string;
  readonly members: string[];
  readonly section: ConfSection;
}

function readGroups(machines: ConfSection, findings: Findings): Group[] {
  return sectionsNamed(machines, "group").flatMap((section) => {
    const typed = new TypedSection("machines.group", [section], findings, section);
    for (const key of ["placement", "members"]) requireKey(typed, key, section, findings);
    const placement = typed.string("placement");
    const members = typed.string("members");
    if (placement === undefined || members === undefined) return [];
    const names = [...new Set(members.value.split(/\s+/).filter((name) => name !== ""))].sort();
    if (names.length < 2) {
      findings.warning(
        members.place ?? section,
        "a group of one machine has no effect",
        "name two at the least",
      );
    }
    return [{ placement: placement.value, members: names, section }];
  });
}

/** Two that are to be together, by one group or by several that share a machine, and apart: neither would ever start. */
function refuseContradictions(groups: readonly Group[], findings: Findings): void {
  const together = clustersOf(groups.filter(({ placement }) => placement === "together"));
  for (const { placement, members, section } of groups) {
    if (placement !== "apart") continue;
    for (const cluster of together) {
      const both = members.filter((name) => cluster.has(name));
      if (both.length < 2) continue;
      const what = `${both.join(" and ")} are to be apart, and together by another group`;
      findings.error(section, what, "take one of them out of one of the groups");
    }
  }
}

/** Groups that share a machine are one. */
function clustersOf(groups: readonly Group[]): Set<string>[] {
  return groups.reduce<Set<string>[]>((clusters, { members }) => {
    const touched = clusters.filter((cluster) => members.some((name) => cluster.has(name)));
    const rest = clusters.filter((cluster) => !touched.includes(cluster));
    return [...rest, new Set([...members, ...touched.flatMap((cluster) => [...cluster])])];
  }, []);
}

function requireKey(typed: TypedSection, key: string, section: ConfSection, findings: Findings): void {
  if (!typed.isWritten(key))
    findings.error(section, `the section ${typed.path} has no ${key}`, `add ${key}:`);
}
