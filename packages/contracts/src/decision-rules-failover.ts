/** Of the failover-actuator: gate, address, service. */
import type { DecisionTable } from "./decision-rules.ts";

export const FAILOVER_DECISIONS = {
  LEASE: {
    weight: "important",
    rule: "The gate opens for as long as the master lease lasts, and the kernel shuts it by itself (INV-1).",
    otherwise: "No valid master lease: the gate stays shut.",
  },
  SHUT: {
    weight: "important",
    rule: "Gate first: it is shut, and read back, before anything else is taken down (INV-1).",
    otherwise: "A valid lease.",
  },
  LEASE_LAPSED: {
    weight: "important",
    rule: "Without a renewal in time the kernel shuts the gate by itself (INV-1).",
    otherwise: "A renewed lease, and a process that could renew the gate in time.",
  },
  LEASE_VOID: {
    weight: "important",
    rule: "A paused kernel voids every lease given before: the gate is shut at once.",
    otherwise: "A kernel that ran.",
  },
  CLOSE_ORDERED: {
    weight: "notable",
    rule: "A close of the quorum-evaluator is sticky: grants of the same or an older generation are refused.",
    otherwise: "No hand-over.",
  },
  CLOSED: {
    weight: "notable",
    rule: "A closed mastership stays closed, also over a restart.",
    otherwise: "A grant of a newer generation.",
  },
  SHUT_CONFIRMED: {
    weight: "notable",
    rule: "A close is confirmed only when the kernel was read back as shut since, and that is written down.",
    otherwise: "A kernel that does not answer: the lease would be waited out.",
  },
  NO_GRANT: {
    weight: "notable",
    rule: "Without a grant within a token of its start the actuator takes down what it finds.",
    otherwise: "A grant of the quorum-evaluator.",
  },
  STOPPING: {
    weight: "notable",
    rule: "A clean stop takes down what is held, gate first.",
    otherwise: "A kill: then the kernel shuts the gate when the lease ends.",
  },
  NOT_MASTER: {
    weight: "notable",
    rule: "Only the master holds the address and runs the service.",
    otherwise: "A grant with a valid master lease.",
  },
  ROLE_TAKEN: {
    weight: "notable",
    rule: "Becoming master: lock, address, gate, announcement, service, in this order.",
    otherwise: "No master lease.",
  },
  MASTER: {
    weight: "notable",
    rule: "The master holds the address, and runs the service.",
    otherwise: "Another node being master.",
  },
  ADOPTED: {
    weight: "detail",
    rule: "What an earlier process left in service is kept: a crash of ours changes nothing.",
    otherwise: "Nothing found.",
  },
  LOADED: {
    weight: "detail",
    rule: "The tables stand before the address is taken; without them the address is not taken.",
    otherwise: "A kernel that refuses them.",
  },
  TABLES_LOST: {
    weight: "important",
    rule: "Without its tables the node closes down as without a lease until they stand again.",
    otherwise: "Nobody flushing the ruleset.",
  },
  CHANGED_BY_OTHERS: {
    weight: "important",
    rule: "Level-triggered: what is differs from what must be, so it is repaired.",
    otherwise: "Nobody changing it.",
  },
  REPAIRED: {
    weight: "important",
    rule: "Level-triggered: compare, repair, repeat.",
    otherwise: "Nobody changing it.",
  },
  NOT_WANTED: {
    weight: "notable",
    rule: "What is not to be on this host is taken off it.",
    otherwise: "A lease.",
  },
  ANNOUNCED: {
    weight: "detail",
    rule: "A new holder announces the address several times, and again after each foreign claim.",
    otherwise: "Not holding it.",
  },
  ADDRESS_IN_USE: {
    weight: "important",
    rule: "An address for which another machine answers is not taken; one that is held is announced again (INV-1 holds for our nodes only).",
    otherwise: "Nobody else answering or announcing.",
  },
  ADDRESS_ELSEWHERE: {
    weight: "notable",
    rule: "The address belongs on one interface.",
    otherwise: "Its removal from the other one.",
  },
  CARRIER: {
    weight: "important",
    rule: "A node without carrier on the interface of the address cannot serve.",
    otherwise: "The cable, the switch port.",
  },
  NO_CARRIER: {
    weight: "important",
    rule: "A node without carrier on the interface of the address cannot serve.",
    otherwise: "The cable, the switch port.",
  },
  INTERFACE_MISSING: {
    weight: "important",
    rule: "A node without the interface of the address cannot serve.",
    otherwise: "The interface named in CloudIpDev.",
  },
  NO_CLUSTER_IP: {
    weight: "notable",
    rule: "Without a cluster_ip section there is nothing to hold.",
    otherwise: "A cluster_ip section.",
  },
  OK: {
    weight: "notable",
    rule: "Able is who has the gate's tables, carrier, the address free, and a service that does not fail.",
    otherwise: "One of them missing.",
  },
  STARTING: {
    weight: "detail",
    rule: "Not having looked yet is not being unable.",
    otherwise: "The first look.",
  },
  MOVED: {
    weight: "notable",
    rule: "A new mastership without its marker is a move; with it a plain restart.",
    otherwise: "The marker being there.",
  },
  PLAIN_RESTART: {
    weight: "detail",
    rule: "A marker of this term is there: a restart, no move.",
    otherwise: "A missing marker, or one of an older term.",
  },
  FILE_WRITTEN: {
    weight: "detail",
    rule: "The lock is written before the address is taken.",
    otherwise: "Not being master.",
  },
  FILE_REMOVED: {
    weight: "detail",
    rule: "Who is not master has no lock file.",
    otherwise: "A master lease.",
  },
  RESTART: {
    weight: "detail",
    rule: "A service that does not answer is stopped and started anew.",
    otherwise: "It answering on its ports.",
  },
  READY: {
    weight: "notable",
    rule: "Ready is a service that answers on all its ports.",
    otherwise: "A port that does not answer.",
  },
  NOT_READY: {
    weight: "important",
    rule: "A service that stops answering is given its time, then restarted.",
    otherwise: "It answering on its ports.",
  },
  SERVICE_FAILED: {
    weight: "important",
    rule: "Three failures in a minute make this node unable to serve.",
    otherwise: "The service becoming ready and staying so.",
  },
  SERVICE_RECOVERED: {
    weight: "notable",
    rule: "A minute without failure makes the node able again.",
    otherwise: "Another failure.",
  },
  GATE_LATE: {
    weight: "notable",
    rule: "A renewal that is late is refused by the kernel: the permit has expired (†). It is tried again with a new permit.",
    otherwise: "A host that schedules us in time.",
  },
  GRANT_REFUSED: {
    weight: "important",
    rule: "(term, generation) never goes back.",
    otherwise: "The evaluator's state, kept.",
  },
} as const satisfies DecisionTable;
