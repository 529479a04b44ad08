import type { ReferenceKey } from "./reference-types.ts";
import { PORT, TEXT } from "./reference-types.ts";

const TIMEOUT = { kind: "integer", minimum: 100, maximum: 3_600_000, unit: "milliseconds" } as const;

/** Keys of the sections that corosync doesn't know. */
export const OWN_KEYS: readonly ReferenceKey[] = [
  {
    section: "cluster_ip",
    key: "address",
    type: { kind: "address" },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning: "An address that the master, and nobody else, answers for. One section for each address.",
  },
  {
    section: "cluster_ip",
    key: "CloudIpDev",
    also: ["device"],
    type: {
      kind: "pattern",
      name: "the name of an interface",
      pattern: /^(?!\.{1,2}$)[^\s/:]{1,15}$/,
      rule: "1 to 15 characters without blank, / and :",
    },
    use: "honoured",
    default: "vmbr0",
    meaning:
      "Interface that carries the address, the same on every node. Its carrier is a condition for being master.",
  },
  {
    section: "cluster_ip",
    key: "CloudMask",
    also: ["mask", "prefix"],
    type: { kind: "mask" },
    use: "honoured",
    defaultMeaning: "32 for IPv4, 128 for IPv6",
    meaning: "Mask of the address: a length (24) or, for IPv4, a dotted mask (255.255.255.0).",
    tradeOff:
      "With the default the address adds no route; the interface's own network address does that. A shorter mask makes the address a source for that network too.",
  },
  {
    section: "ihttpd",
    key: "count",
    type: { kind: "integer", minimum: 0, maximum: 64 },
    use: "honoured",
    defaultMeaning: "the number of ports given",
    meaning: "How many ports the managed service answers on.",
  },
  {
    section: "ihttpd",
    key: "port0 … portN-1",
    family: /^port(0|[1-9][0-9]?)$/,
    type: PORT,
    use: "honoured",
    defaultMeaning: "none",
    meaning: "A TCP port of the managed service, on the cluster address.",
    formula:
      "A new master waits until each of them accepts connections; a service that doesn't become ready three times in a minute gives the role away.",
  },
  {
    section: "managed_service",
    key: "unit",
    type: {
      kind: "pattern",
      name: "a systemd unit",
      pattern: /^[A-Za-z0-9:_@][A-Za-z0-9:_.\\@-]{0,254}$/,
      rule: "as systemctl takes it",
    },
    use: "honoured",
    defaultMeaning: "none",
    meaning: "The service that runs on the master alone, as a systemd unit. Either this or `command`.",
    tradeOff: "The unit must not be enabled to start by itself.",
  },
  {
    section: "managed_service",
    key: "command",
    type: TEXT,
    use: "honoured",
    defaultMeaning: "none",
    meaning:
      "The service that runs on the master alone, as a command in the foreground, given to /bin/sh -c.",
    tradeOff:
      "It cannot contain a {, which in this grammar starts a section; put such a command into a script.",
  },
  {
    section: "managed_service",
    key: "start_timeout",
    type: TIMEOUT,
    use: "honoured",
    default: "30000",
    meaning: "How long the service may take until it answers on its ports.",
    tradeOff:
      "Shorter notices a hanging start sooner; shorter than a real start takes, the role goes in a circle until each node has had it once.",
  },
  {
    section: "managed_service",
    key: "stop_timeout",
    type: TIMEOUT,
    use: "honoured",
    default: "10000",
    meaning: "How long the service may take to end before it is killed.",
    tradeOff:
      "The address is shut first and doesn't wait for this; only the service's next start elsewhere may meet a late rest of it.",
  },
  {
    section: "machines",
    key: "hypervisor",
    type: TEXT,
    use: "honoured",
    default: "qemu:///system",
    meaning: "Libvirt's URI of the own host, the same on every node.",
  },
  {
    section: "machines",
    key: "migration_port",
    type: PORT,
    use: "honoured",
    default: "16509",
    meaning: "TCP port on which the hosts' libvirtd take live moves.",
  },
  {
    section: "machines",
    key: "storage_settle",
    type: { kind: "integer", minimum: 0, maximum: 600_000, unit: "milliseconds" },
    use: "honoured",
    default: "500",
    meaning: "How long what a host has sent may still reach the storage after its gate is shut.",
    formula:
      "A machine of a fenced host starts elsewhere no sooner than this after the fence. The default is what two switches and an array's queue may hold back, ten times over; bytes that the host itself still holds never leave it.",
    tradeOff:
      "Longer, each relocation takes that much longer. Shorter than what the network and the array really hold back, a late write may overtake the new copy's.",
  },
  {
    section: "machines",
    key: "boot_grace",
    type: { kind: "integer", minimum: 0, maximum: 3_600_000, unit: "milliseconds" },
    use: "honoured",
    default: "120000",
    meaning:
      "After the whole cluster was off: how long hosts not yet seen are waited for before their machines are placed elsewhere.",
    tradeOff:
      "Shorter than the slowest host takes to boot, its machines are started elsewhere at each such start.",
  },
  {
    section: "machines",
    key: "shutdown_grace",
    type: { kind: "integer", minimum: 0, maximum: 3_600_000, unit: "milliseconds" },
    use: "honoured",
    default: "60000",
    meaning: "How long a guest that is asked to shut down may take before it is ended.",
  },
  {
    section: "machines",
    key: "memory_percent",
    type: { kind: "integer", minimum: 1, maximum: 1000 },
    use: "honoured",
    default: "100",
    meaning: "How much of a host's memory its machines may have together.",
    tradeOff: "Above 100 more machines find a place after a failure, and hosts may swap.",
  },
  {
    section: "machines",
    key: "vcpu_percent",
    type: { kind: "integer", minimum: 1, maximum: 10_000 },
    use: "honoured",
    default: "400",
    meaning: "How many virtual CPUs a host's machines may have together, of a hundred processors.",
  },
  {
    section: "machines",
    key: "maximum_per_node",
    type: { kind: "integer", minimum: 1, maximum: 10_000 },
    use: "honoured",
    defaultMeaning: "no limit",
    meaning: "How many machines a host may have.",
  },
  {
    section: "machines",
    key: "live_moves_per_node",
    type: { kind: "integer", minimum: 1, maximum: 100 },
    use: "honoured",
    default: "2",
    meaning:
      "How many live moves a host has part in at a time, from it or to it; the others wait their turn.",
    tradeOff:
      "With more, each takes longer on the same network, and a guest that writes faster than its share is sent never arrives.",
  },
  {
    section: "machines.storage",
    key: "address",
    type: { kind: "address" },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning:
      "An address of shared storage. Nothing but a machine's own process, under its lease, reaches that port from a host.",
  },
  {
    section: "machines.storage",
    key: "port",
    type: PORT,
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning: "Its TCP port: 10809 for NBD, 3260 for iSCSI, 6789 and 3300 for Ceph's monitors.",
  },
  {
    section: "machines.shared_mount",
    key: "path",
    type: { kind: "path" },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning:
      "A folder that every host mounts from the same place (NFS, a cluster file system). Disk files below it are on every host, but no gate holds what a host's kernel writes there.",
    tradeOff:
      "A machine with such a disk is moved when you say so, and after a failure once its host is proved to be off. A folder that is each host's own, named here, would have it started elsewhere without its disk.",
  },
  {
    section: "machines.group",
    key: "placement",
    type: { kind: "word", words: ["together", "apart"] },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning: "Whether the group's machines run on one host, or on different ones.",
    tradeOff: "A rule that cannot be kept leaves machines down, and `status` says which.",
  },
  {
    section: "machines.group",
    key: "members",
    type: TEXT,
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning: "The group's machines by name, with blanks between.",
  },
  {
    section: "bus",
    key: "route_port",
    type: PORT,
    use: "honoured",
    default: "5407",
    meaning: "TCP port on which the nodes' message servers reach each other, with mutual TLS.",
  },
  {
    section: "paths",
    key: "lock_file",
    type: { kind: "path" },
    use: "honoured",
    defaultMeaning: "in the run directory",
    meaning: "Lock file of the managed service. The original's: /tmp/.lock.vmmgr.service.",
    tradeOff:
      "In a folder where everybody may write, somebody may put a symbolic link there; it is never followed, the node then refuses.",
  },
  {
    section: "paths",
    key: "relocated_marker",
    type: { kind: "path" },
    use: "honoured",
    defaultMeaning: "in the run directory",
    meaning:
      "Marker of a mastership whose move is done: the machines of failed nodes were ordered to start elsewhere, or two tokens have passed. The original's: /tmp/.lock.vmmgr.relocated.",
  },
  {
    section: "automation",
    key: "disarmed_until",
    type: { kind: "instant" },
    use: "honoured",
    defaultMeaning: "armed",
    meaning:
      "Automation is off everywhere until this instant, and comes back by itself. Written by `quorate disarm` and `quorate arm`.",
  },
];
