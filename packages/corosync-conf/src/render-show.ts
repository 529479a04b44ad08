import type { ClusterConfig, NodeConfig } from "@quorate/contracts";
import type { ConfSection } from "./document.ts";
import { lastKey, sectionsNamed } from "./document.ts";
import { Findings } from "./findings.ts";
import type { ReadConfig } from "./meaning.ts";
import { interfaceSections, nodeSections } from "./members.ts";
import { CONFIG_REFERENCE } from "./reference.ts";
import { timingOf } from "./timing.ts";
import { TypedSection } from "./typed-section.ts";
import type { TypedValue } from "./value-types.ts";

/** One line of `quorate config show --effective`. */
export interface ShownValue {
  readonly path: string;
  readonly value: string;
  /** `line N`, `default`, or `derived` for what follows from other values. */
  readonly origin: string;
}

type Computed = Readonly<Record<string, string | undefined>>;

/** Everything that counts, defaults and what follows from them included, in a fixed order. */
export function shownValues(read: ReadConfig): ShownValue[] {
  const { config, document } = read;
  const { root } = document;
  const { heartbeatMs, leaseMs, permitMs } = timingOf(config.tokenMs);
  const rows = [
    ...shown("totem", "totem", sectionsNamed(root, "totem"), { transport: config.transport }),
    derived("totem.heartbeat", `${heartbeatMs} ms`),
    derived("totem.lease", `${Math.floor(leaseMs)} ms`),
    derived("totem.permit", `${permitMs} ms`),
  ];
  for (const ring of config.rings) {
    const sections = interfaceSections(root).filter((section) => ringOf(section) === ring.ring);
    const computed = { linknumber: String(ring.ring), mcastaddr: ring.mcastaddr };
    rows.push(...shown(`totem.interface[${ring.ring}]`, "totem.interface", sections, computed));
  }
  for (const node of config.nodes) rows.push(...shownNode(root, node));
  rows.push(
    ...shown("quorum", "quorum", sectionsNamed(root, "quorum"), {}),
    derived("quorum.total_votes", String(config.totalVotes)),
    derived("quorum.quorum", String(config.quorumVotes)),
  );
  for (const [index, section] of sectionsNamed(root, "cluster_ip").entries()) {
    const computed = { CloudMask: String(config.clusterIps[index]?.prefixLength ?? "") };
    rows.push(...shown(`cluster_ip[${index}]`, "cluster_ip", [section], computed));
  }
  rows.push(
    ...shown("ihttpd", "ihttpd", sectionsNamed(root, "ihttpd"), { count: String(config.ihttpdPorts.length) }),
  );
  if (config.managedService.kind === "none") rows.push(row("managed_service", "none", "default"));
  else rows.push(...shown("managed_service", "managed_service", sectionsNamed(root, "managed_service"), {}));
  rows.push(...shownMachines(root, config));
  const devices = sectionsNamed(root, "fencing").flatMap((section) => sectionsNamed(section, "device"));
  for (const device of devices) {
    const node = lastKey(device, "node")?.value ?? "?";
    rows.push(...shown(`fencing.device[${node}]`, "fencing.device", [device], {}));
  }
  const watchdogs = sectionsNamed(root, "fencing").flatMap((section) => sectionsNamed(section, "watchdog"));
  if (watchdogs.length > 0) rows.push(...shown("fencing.watchdog", "fencing.watchdog", watchdogs, {}));
  rows.push(
    ...shown("bus", "bus", sectionsNamed(root, "bus"), {}),
    ...shown("paths", "paths", sectionsNamed(root, "paths"), {
      lock_file: "in the run directory",
      relocated_marker: "in the run directory",
    }),
    ...shown("automation", "automation", sectionsNamed(root, "automation"), { disarmed_until: "armed" }),
  );
  return rows;
}

/** The text of `quorate config show --effective`: three columns. */
export function renderShow(read: ReadConfig): string {
  const rows = shownValues(read);
  const pathWidth = Math.max(...rows.map(({ path }) => path.length));
  const valueWidth = Math.min(40, Math.max(...rows.map(({ value }) => value.length)));
  const lines = rows.map(
    ({ path, value, origin }) => `${path.padEnd(pathWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`,
  );
  for (const entry of read.config.notHonoured) {
    lines.push(`${entry.key.padEnd(pathWidth)}  ${"not honoured".padEnd(valueWidth)}  line ${entry.line}\n`);
  }
  return lines.join("");
}

function shownMachines(root: ConfSection, config: ClusterConfig): ShownValue[] {
  if (config.machines === undefined) return [row("machines", "none", "default")];
  const sections = sectionsNamed(root, "machines");
  const rows = shown("machines", "machines", sections, { maximum_per_node: "no limit" });
  for (const name of ["storage", "shared_mount", "group"]) {
    const parts = sections.flatMap((section) => sectionsNamed(section, name));
    for (const [index, part] of parts.entries())
      rows.push(...shown(`machines.${name}[${index}]`, `machines.${name}`, [part], {}));
  }
  return rows;
}

function shownNode(root: ConfSection, node: NodeConfig): ShownValue[] {
  const label = `nodelist.node[${node.id}]`;
  const section = nodeSections(root).find(
    (candidate) => Number(lastKey(candidate, "nodeid")?.value) === node.id,
  );
  const computed: Computed = {
    nodeid: String(node.id),
    ring0_addr: node.addresses[0],
    quorum_votes: String(node.votes),
  };
  return shown(label, "nodelist.node", section === undefined ? [] : [section], computed).map((shownRow) => {
    const ring = /\.ring([0-7])_addr$/.exec(shownRow.path);
    const address = ring === null ? undefined : node.addresses[Number(ring[1])];
    if (address === undefined || address === shownRow.value) return shownRow;
    return { ...shownRow, value: `${shownRow.value} (${address})` };
  });
}

/** The honoured keys of one section, in the table's order. */
function shown(
  label: string,
  path: string,
  sections: readonly ConfSection[],
  computed: Computed,
): ShownValue[] {
  const nowhere = { line: 1, column: 1 };
  const typed = new TypedSection(path, sections, new Findings(""), nowhere);
  const rows: ShownValue[] = [];
  for (const reference of CONFIG_REFERENCE) {
    if (reference.section !== path || reference.use !== "honoured") continue;
    const { family } = reference;
    const given = family === undefined ? [] : typed.keys().filter((key) => family.test(key));
    const keys =
      family === undefined
        ? [reference.key]
        : new Set([...given, ...Object.keys(computed).filter((key) => family.test(key))]);
    for (const key of [...keys].sort()) {
      const found = typed.get(key);
      if (found !== undefined)
        rows.push(row(`${label}.${key}`, spelled(found.value), `line ${found.entry.line}`));
      else if (computed[key] !== undefined) rows.push(derived(`${label}.${key}`, computed[key]));
      else if (reference.default !== undefined)
        rows.push(row(`${label}.${key}`, reference.default, "default"));
    }
  }
  return rows;
}

function ringOf(section: ConfSection): number {
  return Number((lastKey(section, "linknumber") ?? lastKey(section, "ringnumber"))?.value ?? 0);
}

function spelled(value: TypedValue): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

function derived(path: string, value: string): ShownValue {
  return row(path, value, "derived");
}

function row(path: string, value: string, origin: string): ShownValue {
  return { path, value, origin };
}
