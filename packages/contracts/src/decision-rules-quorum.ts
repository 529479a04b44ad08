/** Of the quorum-evaluator: votes, leases, views. */
import type { DecisionTable } from "./decision-rules.ts";

export const QUORUM_DECISIONS = {
  STARTED: {
    weight: "detail",
    rule: "A process of the same boot goes on with what it persisted, and repeats its promise from the start (INV-6).",
    otherwise: "Another boot id: then it would be silent for T(1 + rho) first.",
  },
  ELECTED: {
    weight: "important",
    rule: "A candidate that holds votes of a strict majority for its term is master of it; a term has at most one master (INV-2).",
    otherwise: "Votes of a majority for another node, or none within three heartbeats.",
  },
  STANDING: {
    weight: "detail",
    rule: "A node stands when a majority is joined, its promise is over, it is able, its configuration is as new as theirs, and a majority would vote for it. Rank is a delay of a heartbeat, no condition.",
    otherwise:
      "A ballot of the old master within the promise of T(1 + rho), or a better placed node that stood first.",
  },
  ELECTION_LOST: {
    weight: "notable",
    rule: "A candidacy that has no majority within three heartbeats is given up for good, and a random wait follows.",
    otherwise: "The missing votes within three heartbeats.",
  },
  VOTED: {
    weight: "detail",
    rule: "One vote per term, to a candidate whose configuration is as new, when no promise to another runs; persisted before it is sent (INV-6).",
    otherwise: "A running promise to another node, or a newer configuration here.",
  },
  FOLLOWING: {
    weight: "notable",
    rule: "Whoever has won a term is followed, and that is a promise like a vote.",
    otherwise: "A running promise to another node.",
  },
  TERM_LIFTED: {
    weight: "notable",
    rule: "A master that hears a higher term from a joined node lifts its own above it; its followers may follow at once.",
    otherwise: "Its lease having run out: then it would have had to stand anew.",
  },
  RESUMED: {
    weight: "notable",
    rule: "A restarted master goes on in its term while acknowledgements to its predecessor show that the lease has not lapsed.",
    otherwise: "A restart that took longer than the lease and half a token.",
  },
  MASTERSHIP_OVER: {
    weight: "important",
    rule: "A mastership whose lease has lapsed for a token, or was released, is over for ever; only a higher term brings it back (INV-2).",
    otherwise: "Acknowledgements from a majority within the lease.",
  },
  MOVE_ORDERED: {
    weight: "important",
    rule: "An operator's order starts a hand-over: gate shut and read back, term released, successor named.",
    otherwise: "No order.",
  },
  PRIO_RAISED: {
    weight: "important",
    rule: "A priority above the master's, given by an operator after the master's own first commit, moves the mastership.",
    otherwise: "The master having the highest priority.",
  },
  DRAINED: {
    weight: "important",
    rule: "A node that is told to stop hands its mastership over before it goes.",
    otherwise: "No order to stop.",
  },
  DRAIN_ORDERED: {
    weight: "notable",
    rule: "An orderly stop: hand over, leave the view, say goodbye.",
    otherwise: "No order to stop.",
  },
  RELEASED: {
    weight: "important",
    rule: "A term is released only after the gate was read back as shut, or its lease has surely run out (INV-1).",
    otherwise: "The gate not being confirmed shut: the lease would have been waited out.",
  },
  MASTER: {
    weight: "important",
    rule: "Master is who holds the master lease: acknowledged by a majority of the same term within the last token (INV-2).",
    otherwise:
      "A ballot of the old master within its promise, or a majority that does not answer for a token.",
  },
  SLAVE: {
    weight: "notable",
    rule: "A node with a lease granted by a majority, and no master lease, is slave.",
    otherwise: "No grant of a majority for a token.",
  },
  NO_LEASE: {
    weight: "important",
    rule: "Below quorum a node is suspended: without a grant of a majority within the last token it may not serve.",
    otherwise: "Grants of a majority within the token.",
  },
  NO_QUORUM: {
    weight: "important",
    rule: "Below quorum a node is suspended: any two majorities share a voter, so without one nothing is safe.",
    otherwise: "Enough votes joined both ways.",
  },
  OUT: {
    weight: "important",
    rule: "A node that was removed from the view stays out until the master re-admits it: clean, joined both ways for a token (INV-7).",
    otherwise: "Not having been silent towards the master for a token.",
  },
  AMNESIC: {
    weight: "important",
    rule: "A node without its state has no vote, no grant and no place in a quorum until a master elected without it re-admits it.",
    otherwise: "The state folder, kept.",
  },
  SILENT: {
    weight: "notable",
    rule: "After a reboot a node is silent for T(1 + rho): what it promised before may still be in force.",
    otherwise: "The same boot.",
  },
  NOT_LISTED: {
    weight: "important",
    rule: "Only nodes of the node list may lead.",
    otherwise: "An entry in the node list.",
  },
  PRIO_ZERO: {
    weight: "detail",
    rule: "A node with prio 0 votes but never leads.",
    otherwise: "A prio above 0.",
  },
  BUSY: {
    weight: "detail",
    rule: "A master or candidate does not stand again.",
    otherwise: "Nothing to change.",
  },
  LEAVING: {
    weight: "notable",
    rule: "Who gives its role up does not stand.",
    otherwise: "No order to leave.",
  },
  PROMISED: {
    weight: "detail",
    rule: "While the promise to a node runs nobody else is voted for (T(1 + rho) from its last ballot).",
    otherwise: "A release by that node, or the end of its promise.",
  },
  WAITING: {
    weight: "detail",
    rule: "After an election that was not won, or after a release, a node waits before it stands again.",
    otherwise: "Another node that won meanwhile.",
  },
  CONFIG_OLD: {
    weight: "important",
    rule: "Who has an older configuration than its voters cannot lead, and who lacks the last change of votes gets no lease (INV-5).",
    otherwise: "Having fetched and stored the newest version.",
  },
  NO_ACTUATOR: {
    weight: "important",
    rule: "A master whose failover-actuator has not reported for a token hands over: nobody could open the gate.",
    otherwise: "A report of the failover-actuator within the token.",
  },
  CONFIG_STORED: {
    weight: "detail",
    rule: "A document counts as stored when it came from the master that is followed and is durable.",
    otherwise: "Another term or another source.",
  },
  CONFIG_COMMITTED: {
    weight: "notable",
    rule: "A document stored by a majority of the master's own term is committed: no later master lacks it (INV-5).",
    otherwise: "Fewer nodes that have stored it.",
  },
  NODE_SILENT: {
    weight: "important",
    rule: "The master removes a node from the view when no ballot of it came for a token.",
    otherwise: "One ballot of that node within the token.",
  },
  NODE_ONE_WAY: {
    weight: "important",
    rule: "The master removes a node that it hears and that does not hear it, after a token.",
    otherwise: "The other direction carrying again within the token.",
  },
  NODE_LEFT: {
    weight: "important",
    rule: "A node that left is removed from the view at once.",
    otherwise: "No goodbye.",
  },
  NODE_LEAVES: {
    weight: "important",
    rule: "A node that says that it leaves is removed from the view at once.",
    otherwise: "No order to stop there.",
  },
  NODE_REBOOTED: {
    weight: "important",
    rule: "Another boot id is a removal and a return: nothing that ran before the reboot counts.",
    otherwise: "The same boot.",
  },
  NODE_AMNESIC: {
    weight: "important",
    rule: "A node that lost its state has no place in the view until it is re-admitted.",
    otherwise: "The state folder of that node, kept.",
  },
  NODE_UNLISTED: {
    weight: "important",
    rule: "A node that left the node list leaves the view.",
    otherwise: "Its entry in the list.",
  },
  NODE_FENCED: {
    weight: "important",
    rule: "A removed node is fenced when every grant that a majority may have given it has run out: max over the adopters of the last grant, plus T(1 + 2 rho) (INV-4).",
    otherwise: "An adopter that did not report: the verdict would be pending.",
  },
  NODE_READMITTED: {
    weight: "notable",
    rule: "A removed node comes back by a new view: out, clean under this term, joined both ways for a token, doubled when it flaps (INV-7).",
    otherwise: "Something still held there, or a shorter time of being joined.",
  },
  VIEW_ADOPTED: {
    weight: "detail",
    rule: "A voter adopts only a view with a higher (term, number), and persists it before it reports it (INV-5).",
    otherwise: "An older view.",
  },
  VIEW_ADOPTED_OUT: {
    weight: "important",
    rule: "Who is not in the adopted view is out, at once and persisted; its leases are void (INV-7).",
    otherwise: "Being a member of it.",
  },
  READMITTED: {
    weight: "important",
    rule: "A committed configuration of a master that was elected without this node gives it its vote back.",
    otherwise: "No such commit.",
  },
  HOST_WAS_SUSPENDED: {
    weight: "important",
    rule: "A jump of CLOCK_BOOTTIME against CLOCK_MONOTONIC shows that the kernel stood still: every lease is void.",
    otherwise: "A kernel that ran.",
  },
  MASTER_KNOWN: {
    weight: "notable",
    rule: "The master is whom this node follows and hears as master.",
    otherwise: "Not hearing it for T(1 + rho).",
  },
  MASTER_UNKNOWN: {
    weight: "notable",
    rule: "When the promise to the master has run out nobody is known as master.",
    otherwise: "A ballot of the master.",
  },
  DISK_REFUSED: {
    weight: "important",
    rule: "Persist, then send: while the disk refuses a vote nothing leaves this node at all, and its leases run out (INV-6).",
    otherwise: "A disk that takes 4 KiB.",
  },
  DISK_ACCEPTED: {
    weight: "notable",
    rule: "The state is durable again, so this node speaks again.",
    otherwise: "The disk still refusing.",
  },
  NO_CARRIER: {
    weight: "important",
    rule: "A master whose interface of the cluster address has no carrier hands over.",
    otherwise: "Carrier on that interface.",
  },
  INTERFACE_MISSING: {
    weight: "important",
    rule: "A master without the interface of the cluster address hands over.",
    otherwise: "The interface named in CloudIpDev.",
  },
  SERVICE_FAILED: {
    weight: "important",
    rule: "A master whose managed service failed three times in a minute hands over, once to each other node in turn.",
    otherwise: "The service becoming ready.",
  },
  ADDRESS_IN_USE: {
    weight: "important",
    rule: "A master that cannot take the address because another machine answers for it hands over.",
    otherwise: "Nobody else answering.",
  },
  REGISTER_BEHIND: {
    weight: "important",
    rule: "A node whose disk has lost a configuration that it promised to have leads only where nobody else can: it could commit no change.",
    otherwise: "A node from which it can fetch that configuration, or a newer one.",
  },
  STARTING: {
    weight: "detail",
    rule: "A failover-actuator that has just started is not asked to serve yet.",
    otherwise: "Its first look at the kernel.",
  },
} as const satisfies DecisionTable;
