import type { NodeId } from "@quorate/contracts";
import type { Answer } from "@quorate/runtime";

type Domain = Answer<"failover-actuator", "machine-discover">["domains"][number];

const HEADER = ["NAME", "STATE", "MEMORY", "VCPUS", "AUTOSTART", "DISKS"];

/** The domains of `quorate vm discover`, each with what would keep it from being relocated, and what to do with them. */
export function domainTable(node: NodeId, domains: readonly Domain[]): string {
  if (domains.length === 0) return `Libvirt of node ${node} knows nothing that is not under care.\n`;
  const rows = domains.map(cellsOf);
  const widths = HEADER.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const lines = domains.flatMap((domain, index) => [line(rows[index] ?? []), ...remarksOn(domain)]);
  const advice = `To take one under care: quorate vm define --domain NAME --node ${node}`;
  return `${[line(HEADER), ...lines, advice].join("\n")}\n`;
}

function cellsOf({ name, state, autostart, persistent, meaning }: Domain): string[] {
  const disks = (meaning?.disks ?? []).map(({ target, source }) => `${target} ${source}`).join(", ");
  const started = autostart ? "yes" : "no";
  const memory = meaning === null ? "?" : `${meaning.memoryMib} MiB`;
  const vcpus = meaning === null ? "?" : String(meaning.vcpus);
  return [name, state, memory, vcpus, persistent ? started : "transient", disks];
}

function remarksOn({ name, state, meaning, problem }: Domain): string[] {
  return [
    ...(problem === null ? [] : [`cannot be taken: ${problem}`]),
    ...(meaning?.obstacles ?? []).map((obstacle) => `not relocatable by lease: ${obstacle}`),
    ...(state === "off" ? [] : [`it runs; before it can be taken: virsh shutdown ${name}`]),
  ].map((remark) => `  ${remark}`);
}
