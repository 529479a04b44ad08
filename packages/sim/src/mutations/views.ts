import { type Mutation, seedsOf } from "./mutation.ts";

const STATE = "packages/core-quorum/src/state.ts";
const STEP = "packages/core-quorum/src/step.ts";
const VIEW = "packages/core-quorum/src/view.ts";
const FENCING = "packages/core-quorum/src/fencing.ts";
const OUTGOING = "packages/core-quorum/src/outgoing.ts";
const TIMING = "packages/core-quorum/src/timing.ts";
const LEASE = "packages/core-quorum/src/lease.ts";

/** Views, node leases, fencing and the way back: what lets a master say that a node holds nothing any more. */
export const VIEWS: readonly Mutation[] = [
  {
    name: "grant-only-in-the-view",
    rule: "A voter grants only to nodes in its adopted view.",
    edits: [
      {
        file: STEP,
        find: "if (counts && mayVote(state, nowUs) && isMember(state, node, ballot.name.bootId)) {",
        replace: "if (counts && mayVote(state, nowUs)) {",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 10)],
  },
  {
    name: "grants-of-a-view-are-by-boot",
    rule: "A changed boot id counts as removed and returned.",
    edits: [
      {
        file: LEASE,
        find: "member.node === node && member.bootId === bootId",
        replace: 'member.node === node && bootId !== ""',
      },
      {
        file: VIEW,
        find: "if (peer !== undefined && member.bootId !== null && peer.ballot.name.bootId !== member.bootId) {",
        replace: 'if (peer !== undefined && member.bootId === "") {',
      },
      {
        file: VIEW,
        find: "entry === undefined || (entry.bootId !== null && entry.bootId !== state.bootId)",
        replace: "entry === undefined",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("boots-together", 10)],
  },
  {
    name: "view-persisted",
    rule: "Voters adopt only higher views, persist, then report; numbers continue from the persisted one.",
    edits: [
      {
        file: STATE,
        find: "    durable: {\n      ...durable,\n      bootId: world.bootId,",
        replace:
          "    durable: {\n      ...durable,\n      view: { term: 0, number: 0, members: durable.voters.nodes.map(({ id }) => ({ node: id, bootId: null })) },\n      bootId: world.bootId,",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("view-forgotten", 15)],
  },
  {
    name: "adopt-only-higher-views",
    rule: "Voters adopt only higher (term, number); a view has one content for ever †.",
    edits: [
      { file: VIEW, find: "if (compareViews(view, durable.view) <= 0) return null;", replace: "" },
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
    breaks: "safety",
    attempts: [seedsOf("replays", 15), seedsOf("mixed", 15)],
    note: "Alone it is a second belt: an older view comes only in an older ballot, which is not heard. Removed together with that.",
  },
  {
    name: "numbers-from-the-persisted-view",
    rule: "Numbers continue from the persisted one; a view (term, number) has one content for ever †.",
    edits: [
      { file: VIEW, find: "if (durable.view.term === durable.term) return null;", replace: "" },
      {
        file: VIEW,
        find: "return takeView(state, { term: durable.term, number: 1, members: newest.members });",
        replace:
          "remember(state, { view: { ...durable.view, number: 0 } });\n  return takeView(state, { term: durable.term, number: 1, members: newest.members });",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("master-restarts-cut", 10)],
  },
  {
    name: "newest-view-from-the-quorum",
    rule: "The winner first publishes the newest view in its quorum's votes, removing nobody.",
    edits: [
      {
        file: VIEW,
        find: "for (const ballot of votes) if (compareViews(ballot.view, newest) > 0) newest = ballot.view;",
        replace: "for (const ballot of votes) if (ballot.node < 0) newest = ballot.view;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("machines-heir", 20)],
  },
  {
    name: "views-only-with-a-lease",
    rule: "Later views, and verdicts on who is fenced, only while the master lease is valid: a thawed master must not remove everybody.",
    edits: [
      {
        file: VIEW,
        find: "if (nowUs >= state.masterLeaseEndUs || state.closing !== null) return [];",
        replace: "",
      },
      { file: FENCING, find: "if (nowUs >= state.masterLeaseEndUs) return [];", replace: "" },
    ],
    breaks: "any",
    attempts: [seedsOf("thawed-first", 10)],
    settled:
      "A view is adopted only by who still follows that master, whose rights it could have taken with a lease as well; who was removed by mistake is back as soon as both speak, having been joined all along. Verdicts count only beside a running lease: whoever acts on them looks (relocator, checker). Availability; `drained-queue-before-removing` is the part that is missed.",
  },
  {
    name: "drained-queue-before-removing",
    rule: "Later views only while the input queue is drained: a thawed master must not remove everybody.",
    edits: [
      {
        file: VIEW,
        find: "const readUntilUs = Math.min(drainedUs, state.peersStampUs);",
        replace: "const readUntilUs = Math.max(nowUs, drainedUs);",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("thawed-reads", 10)],
  },
  {
    name: "fence-waits-for-the-last-lease",
    rule: "fence(X) = last grant + T(1 + 2 rho).",
    edits: [
      {
        file: FENCING,
        find: "const fenceUs = lastGrantUs + promiseTiming(state).fenceUs;",
        replace: "const fenceUs = lastGrantUs + promiseTiming(state).fenceUs / 2;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 10)],
  },
  {
    name: "drift-margin-fence",
    rule: "fence(X) = last grant + T(1 + 2 rho), a lease T(1 - rho).",
    edits: [
      { file: TIMING, find: "Math.ceil(tokenUs * (1 + 2 * CLOCK_RATE_ERROR))", replace: "tokenUs" },
      { file: TIMING, find: "Math.floor(tokenUs * (1 - CLOCK_RATE_ERROR))", replace: "tokenUs" },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 20, { tokenMs: 10_000 })],
  },
  {
    name: "fence-is-max-over-adopters",
    rule: "fence(X) = max over the adopters of this view, a quorum.",
    edits: [
      {
        file: FENCING,
        find: "return report === undefined ? Number.NEGATIVE_INFINITY : -report;",
        replace: "return report === undefined ? -own : -Math.min(own, report);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 15)],
  },
  {
    name: "fence-counts-a-quorum",
    rule: "The adopters whose reports count are a quorum.",
    edits: [
      {
        file: FENCING,
        find: "return report === undefined ? Number.NEGATIVE_INFINITY : -report;",
        replace: "return report === undefined ? -own : -report;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 15)],
  },
  {
    name: "fence-reports-of-this-view",
    rule: "Reports count from ballots whose adopted view is this one.",
    edits: [
      {
        file: FENCING,
        find: "if (ballot.amnesic || compareViews(ballot.view, durable.view) !== 0) return;",
        replace: "if (ballot.amnesic) return;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-adopted", 20)],
  },
  {
    name: "forgotten-grants-count-from-the-restart",
    rule: "A voter that forgot its last grant reports 0, counting up from the restart.",
    edits: [
      {
        file: OUTGOING,
        find: "sinceLastGrantUs: nowUs - (grant?.atUs ?? state.startedAtUs),",
        replace: "sinceLastGrantUs: grant === undefined ? 1e12 : nowUs - grant.atUs,",
      },
      {
        file: FENCING,
        find: "const own = state.lastGrants.get(node)?.atUs ?? state.startedAtUs;",
        replace: "const own = state.lastGrants.get(node)?.atUs ?? -1e12;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("grant-forgotten", 10)],
  },
  {
    name: "own-report-of-this-term",
    rule: 'X\'s own report "out, gates shut" counts under this term and view.',
    edits: [
      {
        file: FENCING,
        find: "        clean !== null &&\n        clean.term === durable.term &&\n        compareViews({ term: clean.viewTerm, number: clean.viewNumber }, durable.view) === 0;",
        replace: "        clean !== undefined;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("out-with-open-gates", 15)],
  },
  {
    name: "out-persisted",
    rule: "The removed node persists out when it learns it.",
    edits: [
      {
        file: STATE,
        find: "    durable: {\n      ...durable,\n      bootId: world.bootId,",
        replace: "    durable: {\n      ...durable,\n      out: false,\n      bootId: world.bootId,",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("out-and-back", 15)],
  },
  {
    name: "out-holds-nothing",
    rule: "A removed node has no node lease, whatever was granted to it before.",
    edits: [
      {
        file: VIEW,
        find: "    state.nodeLeaseEndUs = 0;\n    state.grantedBy.clear();",
        replace: "",
      },
      {
        file: LEASE,
        find: "  if (out || amnesic) {\n    state.nodeLeaseEndUs = 0;\n    return;\n  }",
        replace: "  void out;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("half-heard", 10), seedsOf("out-and-back", 10)],
  },
  {
    name: "return-after-adopting-the-removal",
    rule: "It comes back only after it has adopted the removal, and reported so under this term †.",
    edits: [
      {
        file: VIEW,
        find: "if (compareViews({ term: ballot.clean.viewTerm, number: ballot.clean.viewNumber }, durable.view) < 0)\n    return null;",
        replace: "",
      },
      {
        file: VIEW,
        find: "if (ballot.term !== durable.term || ballot.clean.term !== durable.term) return null;",
        replace: "",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("out-and-back", 15), seedsOf("mixed", 15)],
  },
  {
    name: "return-reported-clean",
    rule: "It comes back only after it has reported itself out and clean †.",
    edits: [
      {
        file: VIEW,
        find: "if (ballot === undefined || ballot.amnesic || ballot.leaving || !ballot.out || ballot.clean === null)\n    return null;\n  if (ballot.term !== durable.term || ballot.clean.term !== durable.term) return null;\n  if (compareViews({ term: ballot.clean.viewTerm, number: ballot.clean.viewNumber }, durable.view) < 0)\n    return null;",
        replace: "if (ballot === undefined || ballot.amnesic || ballot.leaving) return null;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("out-and-back", 15)],
  },
  {
    name: "return-after-joined-for-a-token",
    rule: "It comes back only when joined both ways for T, doubling when it flaps †.",
    edits: [
      {
        file: VIEW,
        find: 'if (membership?.state !== "joined") return null;\n  return nowUs - membership.sinceUs >= readmissionDelayUs(state, node, nowUs) ? ballot.name.bootId : null;',
        replace: "return ballot.name.bootId;",
      },
    ],
    breaks: "any",
    attempts: [seedsOf("out-and-back", 10)],
  },
  {
    name: "one-way-node-removed",
    rule: "A node which is one-way to the master is removed.",
    edits: [
      {
        file: VIEW,
        find: 'if (membership?.state === "one-way" && readUntilUs - membership.sinceUs >= patientUs) {',
        replace: 'if (membership?.state === "one-way" && readUntilUs < 0) {',
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("half-heard", 10)],
    settled:
      "A node that does not hear its master but hears a quorum keeps a lease by their grants and does no harm; the rule gives its machines to hosts that can be told things. Liveness is judged when every way is open again.",
  },
  {
    name: "amnesia",
    rule: "A voter with missing state has no vote, no grant and no place in any quorum until it is re-admitted †.",
    edits: [
      {
        file: STATE,
        find: "return { ...state, view: { term: 0, number: 0, members: [] }, out: true, amnesic: true };",
        replace: "return state;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("forgetful-heirs", 20)],
  },
  {
    name: "amnesia-re-admitted-by-a-new-commit",
    rule: "Who lost its state is silent for T(1 + rho), and re-admitted by a configuration committed without it, after the loss † (ADR 5).",
    edits: [
      {
        file: "packages/core-quorum/src/amnesia.ts",
        find: "if (!stored || committed.version <= durable.amnesicSinceVersion) return null;",
        replace: "void stored;",
      },
      {
        file: STATE,
        find: "silentUntilUs: newBoot || durable.amnesic ? world.nowUs + timing.promiseUs : world.nowUs,",
        replace: "silentUntilUs: newBoot && !durable.amnesic ? world.nowUs + timing.promiseUs : world.nowUs,",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("remembered-by-one", 20)],
  },
];
