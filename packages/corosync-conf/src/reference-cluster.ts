import { PRIO_MAXIMUM } from "@quorate/contracts";
import type { ReferenceKey } from "./reference-types.ts";
import { BOOLEAN, PORT, TEXT } from "./reference-types.ts";
import { TIMING_INEQUALITY, TOKEN_MINIMUM_MS, TOKEN_RESTART_MS } from "./timing.ts";

const VOTES = { kind: "integer", minimum: 0, maximum: 1_000_000 } as const;

/** The honoured keys of corosync's own sections: totem, nodelist, quorum. */
export const CLUSTER_KEYS: readonly ReferenceKey[] = [
  {
    section: "totem",
    key: "cluster_name",
    type: { kind: "pattern", name: "a name", pattern: /^[^\p{C}]{1,64}$/u, rule: "1 to 64 characters" },
    use: "honoured",
    default: "quorate",
    meaning: "Name of the cluster. Part of every heartbeat and of the subjects on the bus.",
    formula:
      "Heartbeats of another name are counted and dropped. Without `mcastaddr` it gives the multicast address.",
    tradeOff:
      "Two clusters on one network need two names. Renaming a running cluster splits it until all nodes have the new name.",
  },
  {
    section: "totem",
    key: "config_version",
    type: { kind: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    use: "honoured",
    default: "0",
    meaning: "Version of this file. The master raises it by one with every committed change.",
    formula:
      "Newer = (term, version), term first. A file edited by hand needs a version above the running one.",
  },
  {
    section: "totem",
    key: "token",
    type: { kind: "token" },
    use: "honoured",
    default: "1000",
    meaning:
      "T, the one timing knob: every other duration is derived from it. corosync's own default is 3000.",
    formula: `Heartbeat T/10, lease and dead-peer limit T, address on the next master after a host's death 1.0 to 1.3 T. Safe when ${TIMING_INEQUALITY}: from ${TOKEN_MINIMUM_MS} ms on.`,
    tradeOff: `Smaller: faster failover, but a short stall of the network or of a host costs the role; below ${TOKEN_RESTART_MS} ms even the crash of one of our own processes may. Larger: the address is away for longer.`,
  },
  {
    section: "totem",
    key: "transport",
    type: { kind: "word", words: ["udp", "udpu", "knet"] },
    use: "honoured",
    defaultMeaning: "`udp` if an interface has `mcastaddr`, else `udpu`",
    meaning: "How heartbeats travel: `udp` is multicast, `udpu` and `knet` are unicast to each known node.",
    formula: "When set it decides, whether there is a `mcastaddr` or not.",
    tradeOff:
      "Multicast sends one datagram instead of one per peer, and needs switches that pass it on (IGMP snooping with a querier). Unicast works everywhere.",
  },
  {
    section: "totem.interface",
    key: "linknumber",
    also: ["ringnumber"],
    type: { kind: "integer", minimum: 0, maximum: 7 },
    use: "honoured",
    default: "0",
    meaning: "The ring (link) which this section is about; ring N goes with `ringN_addr` of the nodes.",
    tradeOff:
      "A peer counts as joined while any ring works: a second ring on other switches survives the first.",
  },
  {
    section: "totem.interface",
    key: "bindnetaddr",
    type: { kind: "network" },
    use: "honoured",
    defaultMeaning: "the node's own `ringN_addr`",
    meaning: "Which interface to use: one of its addresses, or the address of its network.",
    formula:
      "Matched as a network with the interface's own mask; without a match the node's own `ringN_addr` is bound.",
  },
  {
    section: "totem.interface",
    key: "mcastaddr",
    type: { kind: "multicast" },
    use: "honoured",
    defaultMeaning: "for `transport: udp` derived from the cluster's name and the ring, as corosync does",
    meaning: "Multicast address of the heartbeats. Used with `transport: udp`, or without any `transport`.",
    tradeOff: "Use 239.0.0.0/8 or ff15::/16: 224.0.0.0/24 belongs to routers.",
  },
  {
    section: "totem.interface",
    key: "mcastport",
    type: PORT,
    use: "honoured",
    default: "5405",
    meaning: "UDP port of the heartbeats on this ring, for multicast and unicast.",
    formula:
      "We use this port alone. corosync also uses the one below it: leave a gap of two when both run on a host.",
  },
  {
    section: "totem.interface",
    key: "ttl",
    type: { kind: "integer", minimum: 0, maximum: 255 },
    use: "honoured",
    default: "1",
    meaning: "Time to live of multicast heartbeats.",
    tradeOff: "More than 1 lets them pass routers, and out of the site too.",
  },
  {
    section: "totem.interface.member",
    key: "memberaddr",
    type: { kind: "address" },
    use: "honoured",
    defaultMeaning: "none",
    meaning: "A node, in the style of corosync 1. Read when there is no nodelist; with one it is ignored.",
    formula:
      "Its node id is its IPv4 address as a number, as corosync 2 and 3 derive it. The first change of a `prio` writes a nodelist.",
    tradeOff: "A nodelist says more: id, prio, votes, a second ring.",
  },
  {
    section: "nodelist.node",
    key: "nodeid",
    type: { kind: "integer", minimum: 1, maximum: 0xffff_ffff },
    use: "honoured",
    defaultMeaning: "none: every node needs one",
    meaning:
      "The node's number, unique and for ever. corosync would derive a missing one from the IPv4 address; we refuse, because it changes with the address.",
  },
  {
    section: "nodelist.node",
    key: "ring0_addr … ring7_addr",
    family: /^ring[0-7]_addr$/,
    type: { kind: "host" },
    use: "honoured",
    defaultMeaning: "none: `ring0_addr` is needed",
    meaning:
      "The node's address on each ring, without gaps. A name is looked up in /etc/hosts, never in DNS: failing over must not wait for a name server.",
    tradeOff: "Addresses say the same on every host; names are only as equal as the hosts files.",
  },
  {
    section: "nodelist.node",
    key: "name",
    type: TEXT,
    use: "honoured",
    defaultMeaning: "none; the address is shown",
    meaning: "Name of the node, for people.",
  },
  {
    section: "nodelist.node",
    key: "prio",
    type: { kind: "integer", minimum: 0, maximum: PRIO_MAXIMUM },
    use: "honoured",
    default: "1",
    meaning:
      "Rank for the mastership: the highest leads, of equals the lowest node id. 0 votes but never leads.",
    formula:
      "A delay of one heartbeat per rank among those able to lead, never a condition. A new master swaps its `prio` with the highest, so that the role stays where it is.",
    tradeOff: "In a plain corosync.conf all are equal: the lowest id leads first.",
  },
  {
    section: "nodelist.node",
    key: "replication",
    type: BOOLEAN,
    use: "honoured",
    default: "on",
    meaning: "Whether the node keeps a replica of all nodes' inventories of virtual machines.",
    tradeOff:
      "Off saves a little disk and traffic. A master without one has to read it from a node that has one; while none is reachable the machines of dead hosts stay down.",
  },
  {
    section: "nodelist.node",
    key: "maintenance_until",
    type: { kind: "instant" },
    use: "honoured",
    defaultMeaning: "no maintenance",
    meaning:
      "Until this instant machines are moved off the node and none is placed there. Ends by itself. Written by `quorate node drain` and `quorate node undrain`.",
  },
  {
    section: "nodelist.node",
    key: "quorum_votes",
    type: VOTES,
    use: "honoured",
    defaultMeaning: "`quorum.votes`, else 1",
    meaning: "Votes of the node.",
    formula: "Quorum = floor(V / 2) + 1, where V = max(expected_votes, sum of all quorum_votes).",
    tradeOff: "One node with half of all votes is one whose death stops the cluster.",
  },
  {
    section: "quorum",
    key: "expected_votes",
    type: { kind: "integer", minimum: 1, maximum: 1_000_000 },
    use: "honoured",
    defaultMeaning: "the sum of the nodes' votes",
    meaning:
      "Votes to reckon with. Raised to the sum of the nodes' votes when it is below (with a note): a quorum of fewer could exist twice.",
    formula: "V = max(expected_votes, sum of all quorum_votes); quorum = floor(V / 2) + 1.",
    tradeOff:
      "More than the sum makes the cluster stricter; so strict that all nodes together have no quorum is refused.",
  },
  {
    section: "quorum",
    key: "votes",
    type: VOTES,
    use: "honoured",
    default: "1",
    meaning: "Votes of each node without a `quorum_votes` of its own (corosync's older spelling).",
  },
];
