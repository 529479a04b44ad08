import { CLUSTER_KEYS } from "./reference-cluster.ts";
import { IGNORED_KEYS, NOT_HONOURED_KEYS } from "./reference-corosync.ts";
import { FENCING_KEYS } from "./reference-fencing.ts";
import { OWN_KEYS } from "./reference-own.ts";
import type { ReferenceKey, ReferenceSection } from "./reference-types.ts";

/**
 * Every key we know: what may stand behind it, its default, what it does and what it costs. Files are checked
 * against this table, and docs/manual/configuration.md is made from it, so that they cannot differ.
 */
export const CONFIG_REFERENCE: readonly ReferenceKey[] = [
  ...CLUSTER_KEYS,
  ...OWN_KEYS,
  ...FENCING_KEYS,
  ...NOT_HONOURED_KEYS,
  ...IGNORED_KEYS,
];

/** Every section we know. One that isn't here is kept, and a note says that it has no effect. */
export const REFERENCE_SECTIONS: readonly ReferenceSection[] = [
  section("", "honoured", "Keys outside of all sections."),
  section("totem", "honoured", "The cluster as such, and its timing."),
  repeatable("totem.interface", "honoured", "A ring: one section for each."),
  repeatable("totem.interface.member", "honoured", "A node in the style of corosync 1."),
  section("nodelist", "honoured", "The nodes."),
  repeatable("nodelist.node", "honoured", "A node: one section for each."),
  section("quorum", "honoured", "Votes."),
  {
    ...section("quorum.device", "notHonoured", "A vote from outside of the nodes (qdevice, qnetd)."),
    ignoring:
      "Dangerous where the loss of one node leaves no majority without it: two nodes, as a rule. Otherwise stricter, which is safe. A node with `prio: 0` can give the vote.",
  },
  repeatable(
    "cluster_ip",
    "honoured",
    "A cluster address: one section for each, IPv4 or IPv6. Without any, the cluster elects a master that holds no address.",
  ),
  section("ihttpd", "honoured", "The ports of the managed service."),
  repeatable("managed_service", "honoured", "The service that runs on the master alone. At most one."),
  section("machines", "honoured", "Virtual machines under care. Without this section no machine is touched."),
  repeatable("machines.storage", "honoured", "Shared storage behind the gate: one section for each port."),
  repeatable(
    "machines.shared_mount",
    "honoured",
    "Folders that all hosts have from one place: one section for each.",
  ),
  repeatable("machines.group", "honoured", "Machines that belong together or apart."),
  section("fencing", "honoured", "What switches hosts off."),
  repeatable(
    "fencing.device",
    "honoured",
    "A host's power: one section for each. For machines that the gates do not hold, when their host is silent.",
  ),
  section(
    "fencing.watchdog",
    "honoured",
    "What resets a host that has lost its lease: on every host. For machines that the gates do not hold.",
  ),
  section("bus", "honoured", "The message servers."),
  section("paths", "honoured", "Files outside of the run directory."),
  section("automation", "honoured", "Whether the cluster acts by itself."),
  section("resources", "honoured", "corosync's watches."),
  section("resources.system", "ignored", "What corosync watches of the host; `/metrics` has it here."),
  section("logging", "ignored", "Services log JSON to stdout; the journal and `quorate log` do the rest."),
  repeatable(
    "service",
    "ignored",
    "corosync 1 loaded plugins, as Pacemaker's, by this section. The service which the master runs is in `managed_service`.",
  ),
  section("system", "ignored", "Process settings of corosync."),
  {
    ...section("nozzle", "notHonoured", "A network device through the ring."),
    ignoring: "Harmless for the cluster; the device isn't made.",
  },
  section("uidgid", "ignored", "Who may speak to corosync's sockets."),
  section("aisexec", "ignored", "User and group of the old executive."),
  section("amf", "ignored", "Availability framework of the old executive."),
  section("event", "ignored", "Event service of the old executive."),
  section("qb", "ignored", "Settings of libqb."),
  section("pload", "ignored", "corosync's load test."),
];

function section(path: string, use: ReferenceSection["use"], meaning: string): ReferenceSection {
  return { section: path, use, repeatable: false, meaning };
}

function repeatable(path: string, use: ReferenceSection["use"], meaning: string): ReferenceSection {
  return { section: path, use, repeatable: true, meaning };
}

/** The row for a key as written in a section, other spellings and families included. */
export function referenceFor(sectionPath: string, key: string): ReferenceKey | undefined {
  return CONFIG_REFERENCE.find(
    (row) =>
      row.section === sectionPath && (row.key === key || row.also?.includes(key) || row.family?.test(key)),
  );
}

/** The row for a section's path. */
export function referenceForSection(path: string): ReferenceSection | undefined {
  return REFERENCE_SECTIONS.find((row) => row.section === path);
}

/** The spelling under which a key is looked up: its row's key, or for a family the key itself. */
export function canonicalKey(row: ReferenceKey, key: string): string {
  return row.family === undefined ? row.key : key;
}
