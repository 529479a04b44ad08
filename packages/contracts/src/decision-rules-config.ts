/** Of the config-distributor: the configuration register. */
import type { DecisionTable } from "./decision-rules.ts";

export const CONFIG_DECISIONS = {
  INIT: {
    weight: "detail",
    rule: "`quorate init` wrote the first document.",
    otherwise: "Nothing: it is the beginning.",
  },
  RECOVERED: {
    weight: "notable",
    rule: "After a damaged state folder a node runs on what it can vouch for, and asks for the rest.",
    otherwise: "An intact state folder.",
  },
  CAUGHT_UP: {
    weight: "notable",
    rule: "A node that was away while the node list changed learns the newest document from any authenticated peer; it counts as stored only from the master that it follows.",
    otherwise: "Having been there when it was committed.",
  },
  COMMITTED: {
    weight: "notable",
    rule: "A document that a majority has stored in the master's own term is committed (INV-5).",
    otherwise: "Fewer nodes that have stored it.",
  },
  MASTERSHIP_STICKS: {
    weight: "notable",
    rule: "A new master swaps its priority with the highest, so that the mastership stays where it is.",
    otherwise: "It having the highest already.",
  },
  READMISSION: {
    weight: "notable",
    rule: "A version with unchanged content re-admits nodes that lost their state.",
    otherwise: "No such node.",
  },
  STICKINESS_FAILED: {
    weight: "notable",
    rule: "The swap of priorities is tried until it is done.",
    otherwise: "A file that can be edited.",
  },
  RESTAMPED: {
    weight: "detail",
    rule: "A new master stamps the newest document of its quorum with its own term; until then nothing counts as committed.",
    otherwise: "A document of its own term already.",
  },
  REPAIRED: {
    weight: "notable",
    rule: "A damaged document is replaced by the same version from another node.",
    otherwise: "An intact file.",
  },
  CONFIG_FORKED: {
    weight: "important",
    rule: "One content per (term, version): two are never reconciled by guess.",
    otherwise: "All nodes initialised from one file.",
  },
  DIGEST_MISMATCH: {
    weight: "important",
    rule: "A document that does not match its digest is refused.",
    otherwise: "An intact transfer.",
  },
  FOREIGN_CLUSTER: {
    weight: "important",
    rule: "A document of another cluster is refused.",
    otherwise: "The right cluster_name.",
  },
  NOT_HONOURED: {
    weight: "important",
    rule: "A document that asks for what would be dangerous to ignore is refused.",
    otherwise: "Its removal from the file.",
  },
  NOT_LISTED: {
    weight: "important",
    rule: "A document in which this node does not stand is not run on while nobody leads, nor when it is older than the one that lists this node (ADR 14).",
    otherwise:
      "A master who vouches for it with a version that is not older, or a document that lists this node.",
  },
  VERSION_MISMATCH: {
    weight: "important",
    rule: "A document whose config_version differs from its stamp is refused.",
    otherwise: "The right number in the file.",
  },
  FILE_BROKEN: {
    weight: "notable",
    rule: "The operator's file is refused with file, line, column and remedy; what runs stays.",
    otherwise: "A file that can be read.",
  },
  FILE_OFFERED: {
    weight: "notable",
    rule: "The operator's file differs from what runs and could be the next version; it is offered, never taken by itself.",
    otherwise: "quorate config apply FILE",
  },
  FILE_UNREADABLE: {
    weight: "notable",
    rule: "An operator's file that cannot be read changes nothing; what runs stays.",
    otherwise: "A readable file.",
  },
  FILE_NOT_WRITTEN: {
    weight: "notable",
    rule: "A new version is written back to the operator's file when that was unchanged.",
    otherwise: "A folder that takes the file.",
  },
  STORE_RECOVERED: {
    weight: "notable",
    rule: "Stored counts only what is durable.",
    otherwise: "The disk still refusing.",
  },
  EVALUATOR_SILENT: {
    weight: "notable",
    rule: "Without the quorum-evaluator nothing is committed.",
    otherwise: "The evaluator answering.",
  },
  REGISTER_BEHIND: {
    weight: "notable",
    rule: "A node that lacks the newest document asks for it until it has it.",
    otherwise: "Having it.",
  },
  operator_apply: {
    weight: "notable",
    rule: "An operator's change becomes the next version when a majority has stored it.",
    otherwise: "No order.",
  },
  operator_prio: {
    weight: "notable",
    rule: "An operator's change becomes the next version when a majority has stored it.",
    otherwise: "No order.",
  },
  operator_arm: {
    weight: "important",
    rule: "An operator switched automation on again.",
    otherwise: "No order.",
  },
  operator_disarm: {
    weight: "important",
    rule: "An operator switched automation off; it ends by itself.",
    otherwise: "No order.",
  },
  UNSAFE: {
    weight: "notable",
    rule: "A change that could break a quorum is refused.",
    otherwise: "One change at a time; see the hint.",
  },
} as const satisfies DecisionTable;
