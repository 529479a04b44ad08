import { type Edit, type Mutation, seedsOf } from "./mutation.ts";

const GRANT = "packages/core-failover/src/grant.ts";
const PLAN_GATE = "packages/core-failover/src/plan-gate.ts";
const PLAN_ADDRESS = "packages/core-failover/src/plan-address.ts";
const PLAN_FILES = "packages/core-failover/src/plan-files.ts";
const LEASE_GATE = "packages/host/src/gate/lease-gate.ts";
const REPORT = "packages/core-failover/src/report.ts";

/** One process's messages to another come in order: what the local bus promises, and the first belt of some rules. */
const IN_ORDER: Edit = {
  file: "packages/sim/src/local-bus.ts",
  find: "const atUs = Math.max(this.around.nowUs() + this.around.delayUs(), (bySender.get(from) ?? 0) + 1);",
  replace: "const atUs = this.around.nowUs() + this.around.delayUs();",
};

/** What stands between a decision and the network: grants, the kernel's gate, the order of steps, the marker. */
export const GATES: readonly Mutation[] = [
  {
    name: "permit-on-renewals",
    rule: "A command delayed by a freeze must not be able to open a gate †: permit and opening in one transaction.",
    edits: [{ file: LEASE_GATE, find: "Math.floor(request.permitUs / 1_000));", replace: "3_600_000);" }],
    breaks: "safety",
    attempts: [seedsOf("frozen-command", 15)],
  },
  {
    name: "permit-deducted",
    rule: "Lateness is bounded by M, already subtracted: r = lease end - now - M - two kernel ticks.",
    edits: [
      {
        file: LEASE_GATE,
        find: "const deductionUs = request.permitUs + 2 * this.#tickUs;",
        replace: "const deductionUs = 0;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("frozen-command", 20)],
  },
  {
    name: "clock-read-after-the-permit",
    rule: "The clock is read after the acknowledgement of the permit, never before.",
    edits: [
      {
        file: LEASE_GATE,
        find: "const permittedUs = this.#context.nowUs();",
        replace: "const permittedUs = startedUs;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("frozen-command", 60)],
  },
  {
    name: "shut-overtakes-an-opening",
    rule: "A close refuses older generations: an opening under way when the gate is shut is void.",
    edits: [
      {
        file: LEASE_GATE,
        find: 'if (this.#epoch !== epoch) return refused("overtaken", "the gate was shut or loaded in between");',
        replace: "",
      },
      {
        file: LEASE_GATE,
        find: 'if (this.#epoch !== epoch)\n      return refused("overtaken", "the gate was shut or loaded before its turn came");',
        replace: "void epoch;",
      },
      {
        file: "packages/sim/src/kernel.ts",
        find: '    this.leaseUntilUs = Number.NEGATIVE_INFINITY;\n    this.permits.clear();\n    return { kind: "done" };',
        replace: '    this.leaseUntilUs = Number.NEGATIVE_INFINITY;\n    return { kind: "done" };',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-unheard", 30), seedsOf("hand-over-in-trouble", 30)],
    settled:
      "A shut takes the permit away that a commit under way needs, the planner orders no opening while a shut is under way, and lateness is bounded by the permit (`permit-on-renewals`). With the permit left in the kernel too, 60 seeds broke nothing.",
  },
  {
    name: "close-is-sticky",
    rule: "A close is sticky, over a restart too, and refuses older generations.",
    edits: [
      {
        file: GRANT,
        find: "if (grant.close || compareGrantNames(grant, state.closed) <= 0) {",
        replace: "if (grant.close) {",
      },
      { file: GRANT, find: "if (backwards || beforeClosed) {", replace: "if (backwards && beforeClosed) {" },
      {
        file: GRANT,
        find: "if (known !== null && compareGrantNames(name, known) === 0 && grant.stampUs < known.stampUs) {",
        replace: "if (known !== null && grant.stampUs < 0) {",
      },
      {
        file: "packages/core-failover/src/state.ts",
        find: "    closed,\n    closedPersisted: closed,",
        replace: "    closed: null,\n    closedPersisted: closed,",
      },
      IN_ORDER,
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-in-trouble", 600)],
    note: "A second belt: on the local bus nothing older comes after a close, as one process's messages come in order. Removed together with that order; the order alone is not missed in these seeds.",
  },
  {
    name: "stale-stamps-dropped",
    rule: "On the local bus every such message carries a stamp, and one older than T/5 is dropped.",
    edits: [
      {
        file: GRANT,
        find: "if (nowUs - grant.stampUs > timing.messageAgeLimitUs || grant.stampUs <= state.voidUntilUs) {",
        replace: "if (grant.stampUs <= state.voidUntilUs) {",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("slow-orders-near-cut", 100)],
    settled:
      "A second belt since returns are dated by what was really heard. A grant carries the end of its lease by the host's own clock, and an older one never takes the place of a newer: late, it opens nothing that is not still granted. 1,500 seeds broke nothing; before that change the tenth did.",
  },
  {
    name: "lease-ends-at-the-actuator",
    rule: "The gate is opened only with a lease that runs.",
    edits: [
      { file: GRANT, find: "if (leaseEndUs <= nowUs) {", replace: "if (leaseEndUs < 0) {" },
      { file: PLAN_GATE, find: "if (leaseEndUs - nowUs <= timing.leaseMinimumUs) return;", replace: "" },
      {
        file: LEASE_GATE,
        find: "if (request.leaseEndUs - startedUs - deductionUs < this.#tickUs) return tooShort(request, startedUs);",
        replace: "",
      },
      {
        file: LEASE_GATE,
        find: "if (timeoutMs * 1_000 < this.#tickUs) return tooShort(request, permittedUs);",
        replace: "",
      },
      {
        file: LEASE_GATE,
        find: "const timeoutMs = Math.floor((request.leaseEndUs - permittedUs - deductionUs) / 1_000);",
        replace:
          "const timeoutMs = Math.max(500, Math.floor((request.leaseEndUs - permittedUs - deductionUs) / 1_000));",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("clean-cut", 10), seedsOf("slow-orders-near-cut", 30)],
  },
  {
    name: "gate-before-address",
    rule: "Gates open last and close first: the address is not taken away behind an open gate.",
    edits: [
      {
        file: PLAN_ADDRESS,
        find: "if (isGateOutOfTheWay(turn.state, turn.nowUs)) remove(turn, facts);",
        replace: "remove(turn, facts);",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-in-trouble", 10)],
  },
  {
    name: "address-before-gate",
    rule: "Gates open last and close first: not before the address is on the interface.",
    edits: [
      {
        file: PLAN_GATE,
        find: '(facts.seen === "present" || isOpenFor(state, facts.ip.address, nowUs)),',
        replace: 'facts.seen !== "wrong",',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-in-trouble", 10)],
    settled:
      "The same, on the way up: an open gate without the address answers for nobody. What the order buys: the announcement and the first answer come together. Argued from the kernel's rule, not run.",
  },
  {
    name: "shut-confirmed-by-reading-back",
    rule: "The actuator shuts the gates and confirms by reading the kernel back.",
    edits: [
      {
        file: PLAN_GATE,
        find: "if (compareGrantNames(closedPersisted, closed) < 0 || compareGrantNames(gate.readBackFor, closed) < 0)\n    return;",
        replace: "void closedPersisted;\n  void gate;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("hand-over-in-trouble", 15)],
  },
  {
    name: "clean-means-shut-and-gone",
    rule: "A node reports clean only with its gates shut and its addresses gone, both seen.",
    edits: [
      {
        file: REPORT,
        find: 'return gone && gateNow(state, nowUs) === "shut" ? state.grant.term : null;',
        replace: 'return gone || gateNow(state, nowUs) !== "shut" ? state.grant.term : state.grant.term;',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("out-and-back", 15)],
    settled:
      "The evaluator asks for a shut gate itself before it calls itself clean, and the address's gate follows the master lease whoever is in the view. For machines the same rule is missed: `clean-before-the-return`.",
  },
  {
    name: "lapse-shuts",
    rule: "If the lease has passed, shut at once.",
    edits: [
      {
        file: PLAN_GATE,
        find: '    case "release":\n      planShut(turn);\n      break;',
        replace: '    case "release":\n      break;',
      },
    ],
    breaks: "any",
    attempts: [seedsOf("clean-cut", 10), seedsOf("hand-over-in-trouble", 10)],
    settled:
      "The kernel shuts by itself at the end of the lease, and every opening was made for less than that. Shutting at once is for a grant taken back early; the hand-over guards (shut-before-release) try that one.",
  },
  {
    name: "address-not-open-without-tables",
    rule: "If the table disappears, the node closes down as without a lease until it is back.",
    edits: [
      {
        file: PLAN_ADDRESS,
        find: 'if (isUnguarded(turn.state) && facts.seen !== "absent" && facts.seen !== "unknown") {',
        replace: 'if (isUnguarded(turn.state) && facts.seen === "absent") {',
      },
      {
        file: PLAN_ADDRESS,
        find: 'if (state.gate.tables !== "intact" || !isLockSettled(turn, verdict)) return;',
        replace: "if (!isLockSettled(turn, verdict)) return;",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("mixed", 15)],
    settled:
      "Without tables nothing holds an address back, so what the rule shortens is a known hole (safety.md, 5): the simulator counts it and does not call it a violation. The lab tries it: `npm run chaos -- --only ruleset-flushed`.",
  },
  {
    name: "foreign-holder-keeps-the-address-away",
    rule: "A foreign answer to our probe means that the address isn't taken.",
    edits: [
      {
        file: "packages/core-failover/src/apply.ts",
        find: "  if (outcome.foreignMac === null) {\n    // A probe that began",
        replace:
          '  if (outcome.foreignMac === null || outcome.foreignMac !== "") {\n    // A probe that began',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("foreign-answers", 5)],
  },
  {
    name: "marker-check",
    rule: "A marker of an older term counts as missing: a move, not a plain restart.",
    edits: [
      {
        file: PLAN_FILES,
        find: 'return seen.kind === "absent" || (seen.kind === "ours" && seen.term < term);',
        replace: 'return seen.kind === "absent" && term >= 0;',
      },
    ],
    breaks: "any",
    attempts: [seedsOf("higher-term", 10)],
  },
];
