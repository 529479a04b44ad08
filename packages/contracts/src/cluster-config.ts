import { z } from "zod";

/** Node ids are corosync's: 1 to 2^32 - 1. */
export const NodeIdSchema = z.int().min(1).max(0xffff_ffff);
export type NodeId = z.infer<typeof NodeIdSchema>;

/** How heartbeats travel; `udp` is multicast, `udpu` and `knet` are unicast. */
export const TransportSchema = z.enum(["udp", "udpu", "knet"]);

/** One ring: index 0 is ring0. `mcastport` is the heartbeats' UDP port on that ring. */
export const RingSchema = z.object({
  ring: z.int().min(0).max(7),
  bindnetaddr: z.string().optional(),
  mcastaddr: z.string().optional(),
  mcastport: z.int().min(1).max(65_535),
  ttl: z.int().min(0).max(255),
});
export type Ring = z.infer<typeof RingSchema>;

/** Half of what 32 bits hold: room to lift a new master above equals. */
export const PRIO_MAXIMUM = 2_147_483_647;

export const NodeConfigSchema = z.object({
  id: NodeIdSchema,
  /** Indexed by ring; ring0 is always there. */
  addresses: z.array(z.string()).min(1).max(8),
  name: z.string().optional(),
  /** Higher leads. 0 votes but never leads. */
  prio: z.int().min(0),
  /** Whether the node keeps the replica of all inventories. */
  replication: z.boolean(),
  /** Drained until this instant (ISO 8601, UTC): machines are moved off, none is placed there. */
  maintenanceUntil: z.string().optional(),
  votes: z.int().min(0),
});
export type NodeConfig = z.infer<typeof NodeConfigSchema>;

/** For how long the node is drained still, in milliseconds; 0 when it is not, or not any more. */
export function drainLeftMs({ maintenanceUntil }: NodeConfig, wallMs: number): number {
  return maintenanceUntil === undefined ? 0 : Math.max(0, Date.parse(maintenanceUntil) - wallMs);
}

export const ClusterIpSchema = z.object({
  address: z.string(),
  family: z.union([z.literal(4), z.literal(6)]),
  device: z.string().min(1).max(15),
  prefixLength: z.int().min(0).max(128),
});
export type ClusterIp = z.infer<typeof ClusterIpSchema>;

/** What serves on the `ihttpd` ports of the cluster address. */
export const ManagedServiceSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("none") }),
  z.object({ kind: z.literal("unit"), unit: z.string(), startTimeoutMs: z.int(), stopTimeoutMs: z.int() }),
  z.object({
    kind: z.literal("command"),
    /** Run by `/bin/sh -c` in its own process group. */
    command: z.string(),
    startTimeoutMs: z.int(),
    stopTimeoutMs: z.int(),
  }),
]);
export type ManagedServiceConfig = z.infer<typeof ManagedServiceSchema>;

/** Virtual machines under care. Where the section is missing no machine is touched, or even looked at. */
export const MachinesConfigSchema = z.object({
  /** Libvirt's URI of the own host. */
  hypervisor: z.string(),
  /** TCP port of the hosts' libvirtd, for live moves. */
  migrationPort: z.int().min(1).max(65_535),
  /** For as long as this, what was sent before a gate was shut may still reach the storage. */
  storageSettleMs: z.int().min(0),
  /** After a cold start: so long the hosts not yet seen are waited for before their machines are placed elsewhere. */
  bootGraceMs: z.int().min(0),
  /** For how long a guest may take to shut down before it is ended. */
  shutdownGraceMs: z.int().min(0),
  /** 150 lets machines have one and a half times a host's memory. */
  memoryPercent: z.int().min(1),
  vcpuPercent: z.int().min(1),
  /** Machines on one host at most; null for no limit. */
  maximumPerNode: z.int().min(1).nullable(),
  /** Live moves that a host has part in at a time, from it or to it. */
  liveMovesPerNode: z.int().min(1),
  /** Where shared storage is reached over the network, beside what the machines' own disks name. */
  storage: z.array(z.object({ address: z.string(), port: z.int().min(1).max(65_535) })),
  /** Folders that every host has by its own kernel from the same file server or cluster file system. */
  sharedMounts: z.array(z.string()),
  /** Machines of one group run on one host. */
  together: z.array(z.array(z.string())),
  /** Machines of one group run on different hosts. */
  apart: z.array(z.array(z.string())),
});
export type MachinesConfig = z.infer<typeof MachinesConfigSchema>;

/** What switches a host off, of Debian's fence-agents; its secrets are not here but in a file of each host. */
export const PowerDeviceSchema = z.object({
  node: NodeIdSchema,
  /** The agent's name, or its absolute path. */
  agent: z.string(),
  /** How long one call of the agent may take. */
  timeoutMs: z.int().min(1),
  /** The agent's own, as it names them. */
  parameters: z.record(z.string(), z.string()),
  /** More parameters, key=value; null: there are none. */
  secretsFile: z.string().nullable(),
});
export type PowerDeviceConfig = z.infer<typeof PowerDeviceSchema>;

/** What resets this host when nobody feeds it; the same on all hosts. */
export const WatchdogConfigSchema = z.object({
  /** Its character device. */
  device: z.string(),
  /** Unfed for so long, it resets the host. */
  timeoutMs: z.int().min(1000),
  /** Whether a watchdog of the kernel's own is taken, which stands still when the kernel does. */
  softdog: z.boolean(),
});
export type WatchdogConfig = z.infer<typeof WatchdogConfigSchema>;

/** Something the file asks for and we do not honour. A dangerous one keeps the node from starting. */
export const NotHonouredSchema = z.object({
  key: z.string(),
  line: z.int(),
  column: z.int(),
  dangerous: z.boolean(),
  message: z.string(),
  hint: z.string(),
});
export type NotHonoured = z.infer<typeof NotHonouredSchema>;

/** The meaning of a cluster.conf, defaults filled in. Made by corosync-conf alone. */
export const ClusterConfigSchema = z.object({
  clusterName: z.string().min(1).max(64),
  configVersion: z.int().min(0),
  /** T: the one timing knob. Every other duration follows from it. */
  tokenMs: z.int().min(100),
  transport: TransportSchema,
  rings: z.array(RingSchema).min(1).max(8),
  /** Sum of all votes that count: max(expected_votes, sum of the nodes' votes). */
  totalVotes: z.int().min(1),
  /** floor(totalVotes / 2) + 1. */
  quorumVotes: z.int().min(1),
  /** port0 … portN-1. */
  ihttpdPorts: z.array(z.int().min(1).max(65_535)),
  /** Sorted by id. */
  nodes: z.array(NodeConfigSchema).min(1),
  clusterIps: z.array(ClusterIpSchema),
  managedService: ManagedServiceSchema,
  machines: MachinesConfigSchema.optional(),
  /** Sorted by node, one for each at most. */
  powerDevices: z.array(PowerDeviceSchema).optional(),
  watchdog: WatchdogConfigSchema.optional(),
  lockFile: z.string().optional(),
  relocatedMarker: z.string().optional(),
  /** TCP port of the nats-servers' routes between nodes. */
  routePort: z.int().min(1).max(65_535),
  /** Automation is off until this instant (ISO 8601, UTC); absent when armed. */
  disarmedUntil: z.string().optional(),
  notHonoured: z.array(NotHonouredSchema),
});
export type ClusterConfig = z.infer<typeof ClusterConfigSchema>;

/** The strict majority of all votes: floor(total / 2) + 1 (corosync's votequorum). */
export function quorumOf(totalVotes: number): number {
  return Math.floor(totalVotes / 2) + 1;
}
