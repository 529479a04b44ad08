import { type Mutation, seedsOf } from "./mutation.ts";

const PROMISE = "packages/core-quorum/src/promise.ts";
const ELECTION = "packages/core-quorum/src/election.ts";
const STATE = "packages/core-quorum/src/state.ts";
const STEP = "packages/core-quorum/src/step.ts";
const LEASE = "packages/core-quorum/src/lease.ts";
const TIMING = "packages/core-quorum/src/timing.ts";
const MASTERSHIP = "packages/core-quorum/src/mastership.ts";
const OUTGOING = "packages/core-quorum/src/outgoing.ts";
const QUORUM = "packages/contracts/src/cluster-config.ts";

/** Ballots, promises, leases and the end of a mastership: what keeps two masters apart. */
export const PROMISES: readonly Mutation[] = [
  {
    name: "strict-majority",
    rule: "Quorum is a strict majority of all votes.",
    edits: [
      {
        file: QUORUM,
        find: "return Math.floor(totalVotes / 2) + 1;",
        replace: "return Math.ceil(totalVotes / 2);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("halves", 5, { nodes: 4 })],
  },
  {
    name: "promise-wait",
    rule: "A voter votes for nobody else while its promise runs.",
    edits: [
      {
        file: PROMISE,
        find: "return promise === null || promise.to === candidate;",
        replace: "return promise === null || promise.to !== state.durable.node || promise.to === candidate;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("split-vote", 40)],
  },
  {
    name: "promise-renewed",
    rule: "The promise runs from the last receipt of a new ballot of Y.",
    edits: [{ file: PROMISE, find: "    promise(state, receivedAtUs);", replace: "    return;" }],
    breaks: "safety",
    attempts: [seedsOf("clean-cut", 5)],
  },
  {
    name: "promise-from-vote",
    rule: "The promise runs from the later of the vote † and the last receipt.",
    edits: [
      {
        file: ELECTION,
        find: "  // The promise to the one before is over, or is to this very node.\n  promise(state, nowUs);",
        replace: "",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("unheard-after-the-votes", 60)],
  },
  {
    name: "promise-after-restart",
    rule: "After a restart in the same boot the promise runs anew from the restart †.",
    edits: [
      {
        file: STATE,
        find: "\n    promiseUntilUs: world.nowUs + timing.promiseUs,",
        replace: "\n    promiseUntilUs: world.nowUs,",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("deaf-voter-restarts", 10)],
  },
  {
    name: "silence-after-reboot",
    rule: "After a changed boot id the node is silent for T(1 + rho).",
    edits: [
      {
        file: STATE,
        find: "silentUntilUs: newBoot || durable.amnesic ? world.nowUs + timing.promiseUs : world.nowUs,",
        replace: "silentUntilUs: world.nowUs,",
      },
      {
        file: STATE,
        find: "\n    promiseUntilUs: world.nowUs + timing.promiseUs,",
        replace: "\n    promiseUntilUs: world.nowUs + (newBoot ? 0 : timing.promiseUs),",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("deaf-voter-reboots", 10)],
  },
  {
    name: "reboot-ends-mastership",
    rule: "After a changed boot id the node is master of no earlier term.",
    edits: [
      {
        file: STATE,
        find: "overTerm: newBoot && ownTerm ? durable.term : durable.overTerm,",
        replace: "overTerm: durable.overTerm,",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("reboot-near-cut", 10)],
  },
  {
    name: "promise-to-itself",
    rule: "Y's promise to itself ends with its lease and its shut gate.",
    edits: [
      {
        file: PROMISE,
        find: "return nowUs < state.selfPromiseUntilUs ? { to: node, untilUs: state.selfPromiseUntilUs } : null;",
        replace: "return null;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("votes-too-soon", 20)],
  },
  {
    name: "drift-margin-lease",
    rule: "A lease lasts T(1 - rho), a promise T(1 + rho).",
    edits: [
      { file: TIMING, find: "Math.floor(tokenUs * (1 - CLOCK_RATE_ERROR))", replace: "tokenUs" },
      { file: TIMING, find: "Math.ceil(tokenUs * (1 + CLOCK_RATE_ERROR))", replace: "tokenUs" },
    ],
    breaks: "safety",
    attempts: [seedsOf("clean-cut", 15, { tokenMs: 10_000 })],
  },
  {
    name: "lease-from-echoed-time",
    rule: "The lease counts from the echoed time.",
    edits: [
      {
        file: LEASE,
        find: "raise(state.receivedBy, ballot.node, echo.received.atUs + leaseUs);",
        replace: "raise(state.receivedBy, ballot.node, state.lastNameUs + leaseUs);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("clean-cut", 5)],
  },
  {
    name: "echo-of-this-boot",
    rule: "A ballot is named by boot id and time †: an echo of another boot id is void.",
    edits: [{ file: LEASE, find: "name.bootId === state.bootId && ", replace: "" }],
    breaks: "safety",
    attempts: [seedsOf("replays", 15)],
  },
  {
    name: "repeated-ballot-not-heard",
    rule: "A repeated or cached ballot is not heard, acks nothing, renews nothing †.",
    edits: [
      { file: STEP, find: "if (ballot.name.atUs <= known.atUs) return false;", replace: "" },
      {
        file: "packages/core-membership/src/send.ts",
        find: "return than === null || name.bootId !== than.bootId || name.atUs > than.atUs;",
        replace: "return true;",
      },
      {
        file: "packages/core-membership/src/replay-window.ts",
        find: "return back < WINDOW_SIZE && ((window.bits >> BigInt(back)) & 1n) === 0n;",
        replace: "return true;",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("replays", 15), seedsOf("mixed", 15)],
    note: "Three belts, removed together: the replay window of the heartbeats, membership's newest ballot, the evaluator's.",
  },
  {
    name: "retired-boot-not-heard",
    rule: "A late ballot of a boot that is over is not heard †.",
    edits: [
      { file: STEP, find: "if (retired.includes(ballot.name.bootId)) return false;", replace: "" },
      {
        file: "packages/core-membership/src/receive.ts",
        find: 'if (envelope.incarnation < peer.incarnation) return "refused_stale_incarnation";',
        replace: "",
      },
    ],
    note: "Two belts, removed together: membership refuses an incarnation that is over, the evaluator a boot that is.",
    breaks: "any",
    attempts: [seedsOf("replays", 30)],
  },
  {
    name: "stale-local-message-dropped",
    rule: "On the local bus every such message carries a stamp, and one older than T/5 is dropped.",
    edits: [{ file: STEP, find: " || nowUs - receivedAtUs > timing.staleUs", replace: "" }],
    breaks: "safety",
    attempts: [seedsOf("slow-orders-near-cut", 20), seedsOf("half-heard", 10)],
    settled:
      "The instant of receipt travels with the ballot, so promises, grants and reports count from it however late the process reads; the service's loop drops old messages before the core does. Kept as a second belt.",
  },
  {
    name: "acks-of-followers-only",
    rule: "The master lease counts voters of the same term that follow X.",
    edits: [{ file: LEASE, find: "if (follows && !tooOld", replace: "if (!tooOld" }],
    breaks: "safety",
    attempts: [seedsOf("split-vote", 10), seedsOf("mixed", 40)],
  },
  {
    name: "persist-before-send",
    rule: "Persist, then send, then act (INV-6).",
    edits: [
      {
        file: "packages/sim/src/processes/evaluator-process.ts",
        find: "if (list.length > 0) this.perform(list);",
        replace:
          'if (list.length > 0) this.perform(list[0]?.name === "persist" ? [...list.slice(1), ...list.slice(0, 1)] : list);',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("split-vote", 5)],
  },
  {
    name: "vote-persisted",
    rule: "A vote once sent survives a crash of the process that made it (INV-6).",
    edits: [
      {
        file: STATE,
        find: "    durable: {\n      ...durable,\n      bootId: world.bootId,",
        replace: "    durable: {\n      ...durable,\n      follows: null,\n      bootId: world.bootId,",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("unheard-after-the-votes", 20)],
  },
  {
    name: "lapsed-mastership-is-over",
    rule: "A mastership whose lease has lapsed for T is over; only a higher term brings it back †.",
    edits: [
      {
        file: MASTERSHIP,
        find: "if (state.masterLeaseEndUs === 0 || nowUs < state.masterLeaseEndUs + graceUs) return [];",
        replace: "if (graceUs >= 0) return [];",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("clean-cut", 10), seedsOf("mixed", 30)],
  },
  {
    name: "released-mastership-is-over",
    rule: "A mastership that was released is over, persisted †.",
    edits: [
      {
        file: MASTERSHIP,
        find: "  remember(state, { overTerm: state.durable.term, successor: null });\n  state.wonTerm = null;",
        replace: "  state.wonTerm = null;",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("hand-over-in-trouble", 10)],
  },
  {
    name: "restarted-master-listens",
    rule: "A restarted master goes on only when a quorum shows that its lease has not lapsed for T (ADR 3).",
    edits: [
      {
        file: MASTERSHIP,
        find: "if (voices && leaseUs + timing.tokenUs > nowUs) {",
        replace: "if (nowUs >= 0 || (voices && leaseUs > 0)) {",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("sleeping-master", 10)],
  },
  {
    name: "release-waits-for-the-lease",
    rule: "A ballot says released only when the lease is over and the gate shut.",
    edits: [
      {
        file: OUTGOING,
        find: "durable.overTerm > 0 && nowUs >= state.selfPromiseUntilUs",
        replace: "durable.overTerm > 0",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("master-forgets", 20)],
  },
  {
    name: "shut-before-release",
    rule: "Hand-over: the gates are confirmed shut by reading the kernel back before the term is released.",
    edits: [
      {
        file: MASTERSHIP,
        find: "if (closing === null || wonTerm === null || confirmed === null) return null;\n  if (confirmed.term !== wonTerm || confirmed.generation !== durable.generation) return null;",
        replace: "if (closing === null || wonTerm === null) return null;\n  void confirmed;\n  void durable;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-unheard", 10)],
  },
  {
    name: "shut-of-this-generation",
    rule: "The confirmation that counts is the one of this close: (term, generation).",
    edits: [
      {
        file: MASTERSHIP,
        find: "if (confirmed.term !== wonTerm || confirmed.generation !== durable.generation) return null;",
        replace: "void durable;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-unheard", 20)],
  },
  {
    name: "unconfirmed-shut-waits",
    rule: "A close that is not confirmed: the lease is waited out.",
    edits: [
      {
        file: MASTERSHIP,
        find: "    if (nowUs < state.selfPromiseUntilUs) return [];\n    return [release(",
        replace: "    return [release(",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-unheard", 10)],
  },
  {
    name: "closing-renews-nothing",
    rule: "While it closes, a master's lease is not renewed.",
    edits: [
      {
        file: LEASE,
        find: "if (state.wonTerm !== null && state.closing === null) {",
        replace: "if (state.wonTerm !== null) {",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("hand-over-in-trouble", 15)],
    settled:
      "While it closes a node gives no master lease to its actuator whatever the acknowledgements say; renewed, only the fallback of an unconfirmed shut would never end, with an actuator dead for good.",
  },
  {
    name: "candidate-gives-up",
    rule: "A candidate that hasn't won in 3 heartbeats releases its term.",
    edits: [
      {
        file: ELECTION,
        find: "return nowUs >= endUs ? [abandon(state, nowUs)] : [];",
        replace: "return nowUs >= endUs ? [] : [];",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("split-vote", 15)],
    settled:
      "A voter takes every higher term, and a candidate that hears a master gives way, so an election goes on over one that does not give up: what it saves is time. Pre-vote lets hardly two stand at once.",
  },
  {
    name: "rank-is-a-delay",
    rule: "Rank is a delay of one heartbeat per rank among those able, never a condition †.",
    edits: [
      {
        file: ELECTION,
        find: "if (nowUs < state.eligibleSinceUs + standDelayUs(state, nowUs)) return [];",
        replace: "if (nodesAhead(state, nowUs).length > 0) return [];",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("cold-start", 5)],
  },
  {
    name: "members-stand-first",
    rule: "Members of the newest view stand before removed ones †.",
    edits: [
      {
        file: ELECTION,
        find: "absent: bootId === undefined || !isMember(state, node, bootId) ? 1 : 0,",
        replace: "absent: 0,",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("removed-one-waits", 15)],
  },
  {
    name: "master-lifts-its-term",
    rule: "A master that hears a higher term from a joined node lifts its own above it.",
    edits: [
      {
        file: MASTERSHIP,
        find: "if (state.wonTerm === null || state.closing !== null || ballot.amnesic) return null;",
        replace: "if (state.wonTerm !== null || state.wonTerm === null) return null;",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("higher-term", 10)],
  },
  {
    name: "promise-is-to-the-node",
    rule: "While a promise runs, higher terms from others are ignored; its holder's own higher term is followed at once.",
    edits: [
      {
        file: PROMISE,
        find: "return promise === null || promise.to === candidate;",
        replace: "return promise === null || candidate < 0;",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("higher-term", 10)],
  },
];
