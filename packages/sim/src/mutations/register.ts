import { type Mutation, seedsOf } from "./mutation.ts";

const REGISTER = "packages/core-quorum/src/register.ts";
const ELECTION = "packages/core-quorum/src/election.ts";
const LEADING = "packages/core-config/src/leading.ts";
const FOLLOWING = "packages/core-config/src/following.ts";
const CHANGES = "packages/core-config/src/change-rules.ts";

/** The register of the configuration: never lost, never forked, and who votes never in doubt. */
export const REGISTER_GUARDS: readonly Mutation[] = [
  {
    name: "configuration-checked-on-votes",
    rule: "A candidate's configuration is as new as each voter's of some quorum.",
    edits: [
      {
        file: ELECTION,
        find: "return order > 0 || (order === 0 && ballot.stored.digest === state.durable.stored.digest);",
        replace: "return order <= 0 || order > 0;",
      },
      {
        file: ELECTION,
        find: "return peer !== null && compareConfigRefs(peer.ballot.stored, durable.stored) <= 0;",
        replace: "return peer !== null;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 20), seedsOf("mixed", 30)],
  },
  {
    name: "voters-check-the-configuration",
    rule: "The same, at the voter alone: what a candidate knows of its voters may be old.",
    edits: [
      {
        file: ELECTION,
        find: "return order > 0 || (order === 0 && ballot.stored.digest === state.durable.stored.digest);",
        replace: "return order <= 0 || order > 0;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 40)],
    settled:
      "A second belt: the candidate has looked at the same documents in ballots that are at most half a token old, and a voter's answer to its question is of the same kind. Both looks removed together are `configuration-checked-on-votes`, which is missed; alone, 40 seeds broke nothing.",
  },
  {
    name: "stored-counts-in-its-term",
    rule: "A document is taken only from the master that is followed, under its term, and the master counts only ballots of its own term that follow it.",
    edits: [
      {
        file: REGISTER,
        find: "    ballot.term === state.durable.term &&\n    ballot.follows === state.durable.node &&\n    ballot.stored.digest",
        replace: "    ballot.stored.digest",
      },
      {
        file: REGISTER,
        find: "if (stored.ref.term !== durable.term || !(isMaster || followsSource)) return null;",
        replace: "void isMaster;\n  void followsSource;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("late-document", 15)],
    note: "Three belts: what is taken, whose ballots are counted, and that a voter votes for nobody with an older document. The first two are removed together; either alone is not missed.",
  },
  {
    name: "restamp-by-the-new-master",
    rule: "A new master first commits the newest document of its quorum, stamped with its own term; until then nothing counts as committed.",
    edits: [
      { file: REGISTER, find: "if (stored.term === durable.term && isQuorum(", replace: "if (isQuorum(" },
      {
        file: REGISTER,
        find: "if (stored.ref.term !== durable.term || !(isMaster || followsSource)) return null;",
        replace: "if (!(isMaster || followsSource)) return null;",
      },
      {
        file: LEADING,
        find: "const ref: ConfigRef = { ...stored.ref, term: quorum.term };",
        replace: "const ref: ConfigRef = { ...stored.ref };",
      },
      { file: LEADING, find: "if (stored.ref.term < quorum.term) {", replace: "if (stored.ref.term < 0) {" },
      {
        file: "packages/core-config/src/draft.ts",
        find: "return quorum.committed !== null && quorum.committed.term === quorum.term ? quorum.committed : null;",
        replace: "return quorum.committed;",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("documents-in-doubt", 15)],
  },
  {
    name: "joint-quorums",
    rule: "Any change of nodes or votes is joint: both quorums until it commits and T(1 + rho) after.",
    edits: [
      {
        file: REGISTER,
        find: "? [durable.voters, ...durable.jointWith.filter((other) => !sameElectorate(other, voters))]\n    : durable.jointWith;",
        replace: "? []\n    : durable.jointWith;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("changing-votes", 20)],
  },
  {
    name: "joint-until-old-promises-are-over",
    rule: "Joint until it commits and T(1 + rho) after.",
    edits: [
      {
        file: REGISTER,
        find: "if (nowUs >= state.jointCommittedAtUs + promiseTiming(state).promiseUs) {",
        replace: "if (nowUs >= state.jointCommittedAtUs) {",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("lease-of-the-old-votes", 30)],
  },
  {
    name: "no-grant-without-the-last-change",
    rule: "No grant to whoever has not stored the last change of the votes (ADR 9).",
    edits: [
      {
        file: "packages/core-quorum/src/step.ts",
        find: "const counts = compareConfigRefs(ballot.stored, state.durable.electorateRef) >= 0;",
        replace: "const counts = compareConfigRefs(ballot.stored, ballot.stored) >= 0;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("lease-of-the-old-votes", 30)],
  },
  {
    name: "one-change-at-a-time",
    rule: "One change of nodes or votes at a time.",
    edits: [
      { file: LEADING, find: "  if (quorum.joint) return;\n", replace: "" },
      { file: CHANGES, find: "if (changes.length > 1) {", replace: "if (changes.length > 100) {" },
    ],
    breaks: "safety",
    attempts: [seedsOf("changing-votes", 30)],
    settled:
      "The evaluator counts every electorate that is not settled yet, however many are in flight (`joint-quorums`). One at a time keeps the argument short and lets a change be committed at all.",
  },
  {
    name: "node-leaves-fenced",
    rule: "A node leaves the list only when out of the view and fenced.",
    edits: [
      {
        file: CHANGES,
        find: "if (isOutAndFenced(node.id, quorum)) continue;",
        replace: "if (isOutAndFenced(node.id, quorum) || node.id > 0) continue;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("changing-nodes", 15, { nodes: 5 })],
    settled:
      "A machine is given away only on a verdict, and a node that is not on the list gets none: without the rule the machines of a node that left alive are nobody's and stay down, they do not run twice. The simulator's operators switch a host off before they take it off the list, as the manual says. Tried with one who does not: nothing ran twice.",
  },
  {
    name: "digest-checked-on-fetch",
    rule: "Others request it over the bus, check the digest, then store.",
    edits: [
      { file: FOLLOWING, find: "if (digest !== ref.digest) {", replace: "if (digest === undefined) {" },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 20)],
    settled:
      "The simulator alters no document on its way and on no disk, and routes are mutual TLS: nodes that hold the key keep the protocol. The rule is for torn files and faults of ours; core-config's tests try it.",
  },
  {
    name: "fetched-under-the-same-mastership",
    rule: "What was asked for under one mastership must not arrive under the next as if it were its own.",
    edits: [
      {
        file: FOLLOWING,
        find: "const isCurrent = isStillWanted(draft, quorum, fetching, input.ref);",
        replace:
          "const isCurrent = fetching.attempt >= 0 || isStillWanted(draft, quorum, fetching, input.ref);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 30)],
    settled:
      "Whatever arrives late is taken by the evaluator only from the master that it follows, under its term (`stored-counts-in-its-term`). Kept: without it a useless document would be written down.",
  },
  {
    name: "committed-before-the-next",
    rule: "Nothing follows a document before it is committed; a change is made on what is committed.",
    edits: [
      {
        file: LEADING,
        find: "  if (committed === null || compareConfigRefs(committed, stored.ref) !== 0) return;\n  if (!sameRef(committed, stored.ref)) return;\n",
        replace: "  void committed;\n",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 15)],
    settled:
      "A later document of the same master replaces an earlier one that is not committed, and only exact ones are counted, so nothing forks. What it buys: an operator's change is made on something that stays.",
  },
  {
    name: "unsure-write-keeps-its-place",
    rule: "What may lie on the disk keeps its place in the order: another content there would fork the register.",
    edits: [
      {
        file: "packages/core-config/src/step.ts",
        find: "persistAgain: isAbsent ? null : persisting,",
        replace: "persistAgain: null,",
      },
      {
        file: "packages/core-config/src/step.ts",
        find: "const isAbsent = input.surelyAbsent && !persistingMayExist;",
        replace: "const isAbsent = input.surelyAbsent || !input.surelyAbsent || persistingMayExist;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("unsure-writes", 20)],
  },
  {
    name: "register-behind-its-promise",
    rule: "A register older than what the evaluator promised makes no document, even as master.",
    edits: [
      {
        file: "packages/core-config/src/step.ts",
        find: "if (isBehindEvaluator(draft.state, quorum) && !canCatchUp(draft, quorum)) repair(draft, quorum);",
        replace:
          "if (isBehindEvaluator(draft.state, quorum) && canCatchUp(draft, quorum) && draft.nowUs < 0) repair(draft, quorum);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("documents-in-doubt", 15), seedsOf("amnesia-near-cut", 40)],
  },
];
