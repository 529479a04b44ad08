import { type Mutation, seedsOf } from "./mutation.ts";

const SURVEY = "packages/core-failover/src/vm/survey.ts";
const WORDS = "packages/core-failover/src/vm/words.ts";
const HOST = "packages/core-failover/src/vm/host.ts";
const GATES = "packages/core-failover/src/vm/host-gates.ts";
const COPIES = "packages/core-failover/src/vm/host-copies.ts";
const REPORT = "packages/core-failover/src/vm/host-report.ts";
const REVIEW = "packages/core-failover/src/vm/review.ts";
const POWER_OFF = "packages/core-failover/src/vm/power-off.ts";
const WATCHDOG = "packages/core-failover/src/vm/host-watchdog.ts";
const RECOGNISE = "packages/core-failover/src/vm/recognise.ts";

const RUNS = [
  seedsOf("machines-freeze-near-cut", 8),
  seedsOf("machines-restart-near-cut", 8),
  seedsOf("machines-reboot-near-cut", 8),
  seedsOf("machines-trap-near-cut", 8),
  seedsOf("machines-slow-orders-near-cut", 8),
  seedsOf("machines-mixed", 40),
] as const;

/** core-failover's own world of machines, where a seed costs a tenth: for what the simulator has not come upon. */
const OWN_WORLD = [seedsOf("machines", 1500)] as const;

/** The same with a machine that no gate holds, and operators who vouch for hosts that are off. */
const OWN_WORLD_WITH_PROOFS = [seedsOf("machines-proofs", 60)] as const;

/** The same on hosts with watchdogs, and without operators. */
const OWN_WORLD_WITH_WATCHDOGS = [seedsOf("machines-watchdogs", 200)] as const;

const STRAYS_COME_BACK = {
  file: SURVEY,
  find: "  if (reign === null || judgement === null) return [];",
  replace: "  if (reign !== undefined) return [];",
};

/** Virtual machines: where one may start, what its gates let pass, and whose orders count. */
export const MACHINES: readonly Mutation[] = [
  {
    name: "every-other-node-answered-or-fenced",
    rule: "A VM is started only when every other node has answered under this term that it has no copy, or is fenced † (INV-4).",
    edits: [
      {
        file: SURVEY,
        find: "(node) => !holdsNone(turn, node, vm) && !isFencedFor(turn, node, record));",
        replace: "(node) => node < 0 && !holdsNone(turn, node, vm) && !isFencedFor(turn, node, record));",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
  },
  {
    name: "silence-is-no-refusal",
    rule: "A VM is given to another node only after the owner refused, confirmed the stop, or is fenced; a timeout is none of these †.",
    edits: [
      {
        file: RECOGNISE,
        find: "const silent = open[0];",
        replace: "const silent = nodes.length === 0 ? open[0] : undefined;",
      },
      {
        file: SURVEY,
        find: "  if (report === null || report.copies.some((copy) => copy.vm === vm)) return false;\n  const given",
        replace:
          "  if (report === null) return true;\n  if (report.copies.some((copy) => copy.vm === vm)) return false;\n  const given",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
  },
  {
    name: "statements-on-their-way-count",
    rule: "A statement on its way counts as carried out, until the host has taken its withdrawal (INV-4).",
    edits: [
      {
        file: SURVEY,
        find: "if (given === undefined) return true;",
        replace: "if (given === undefined || report !== null) return true;",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD,
    note: "Caught only in the world of core-failover's own random test: three hosts, a model of the quorum, and faults that the simulator's machines do not meet as often.",
  },
  {
    name: "answers-under-this-term",
    rule: "Only what a host answered under this term counts (INV-4).",
    edits: [
      {
        file: SURVEY,
        find: "return adopted !== undefined && adopted.term === term && adopted.number >= startNumber;",
        replace:
          "return adopted !== undefined && (adopted.term !== term || adopted.number !== startNumber - 1);",
      },
    ],
    breaks: "safety",
    attempts: [...RUNS, seedsOf("machines-restart-near-cut", 100), ...OWN_WORLD],
  },
  {
    name: "order-is-not-older",
    rule: "Orders carry (term, view number, placement number); older than what the node has adopted: refused.",
    edits: [
      {
        file: HOST,
        find: "if (statement.term < grant.term) return `its term is over; this host is in term ${grant.term}`;",
        replace: "",
      },
      {
        file: HOST,
        find: 'if (comparePlacements(statement, adopted) < 0) return "a newer one is known";',
        replace: "",
      },
      {
        file: HOST,
        find: 'if (compareViews(statement.view, grant.view) < 0) return "it is of an older view";',
        replace: "",
      },
      {
        file: HOST,
        find: 'if (compareViews(statement.view, state.adoptedView) < 0) return "it is of an older view";',
        replace: "",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("machines-late-orders", 30)],
  },
  {
    name: "order-for-this-life",
    rule: "A statement for an earlier life of the process is refused.",
    edits: [
      {
        file: HOST,
        find: 'if (statement.incarnation !== state.incarnation) return "it is for an earlier life of this process";',
        replace: "",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
    settled:
      "What was told to a host counts as given until the host has adopted a later number, in whichever life (`statements-on-their-way-count`), and statements of one master reach one host in order. Kept as a second belt: it makes an order's effect on a restarted process easy to reason about.",
  },
  {
    name: "per-vm-gate-lease",
    rule: "VM gates are per VM and open on lease and placement under this term: the lease.",
    edits: [
      {
        file: "packages/core-failover/src/vm/host-state.ts",
        find: "return Math.min(grant.nodeLeaseEndUs, grant.stampUs + config.tokenUs);",
        replace: "return grant.stampUs + 600 * config.tokenUs;",
      },
    ],
    breaks: "any",
    attempts: RUNS,
  },
  {
    name: "per-vm-gate-placement",
    rule: "VM gates are per VM and open on lease and placement under this term: the placement.",
    edits: [
      {
        file: GATES,
        find: '  const { order } = held;\n  if (order.kind === "destroy"',
        replace:
          '  const { order } = held;\n  if (copy !== null) return { vm, network: true, storage: true };\n  if (order.kind === "destroy"',
      },
    ],
    breaks: "safety",
    attempts: RUNS,
  },
  {
    name: "nothing-without-a-word",
    rule: "A returning node runs, resumes or ungates nothing until it has learnt the current term and placements (INV-7).",
    edits: [
      {
        file: GATES,
        find: '  if (!samePlacement(facts.confirmed, placement) || facts.storage === "dirty") return shut;',
        replace: '  if (facts.storage === "dirty") return shut;',
      },
      {
        file: COPIES,
        find: "  // A word of a master under a lease that runs, or nothing is claimed, started or resumed (INV-7).\n  if (!samePlacement(facts.confirmed, order.placement)) return;\n",
        replace: "",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
    note: "Two belts, removed together: the copy and its gate each wait for the word.",
  },
  {
    name: "a-target-only-looks",
    rule: "The target of a live move reaches its storage, never the network, before it owns the machine (ADR 17).",
    edits: [
      {
        file: GATES,
        find: "  if (mayLook(state, facts, order)) return { vm, network: false, storage: true };",
        replace: "  if (mayLook(state, facts, order)) return { vm, network: true, storage: true };",
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("machines-mixed", 40)],
  },
  {
    name: "reset-of-storage-sockets",
    rule: "A shut storage gate resets TCP: bytes queued before the lease ended must never arrive later.",
    edits: [
      {
        file: COPIES,
        find: '  orderVmStep(turn, `storage:${facts.vm}`, { kind: "reset-storage", vm: facts.vm });',
        replace: '  facts.storage = "clean";',
      },
    ],
    breaks: "safety",
    attempts: [seedsOf("machines-away-and-back", 20)],
  },
  {
    name: "storage-settle",
    rule: "A start waits storage_settle after the fence: what is already in the network or the array.",
    edits: [
      {
        file: SURVEY,
        find: "untilUs = Math.max(untilUs, sentUntilUs + turn.state.config.storageSettleUs);",
        replace: "untilUs = Math.max(untilUs, atUs);",
      },
      {
        file: COPIES,
        find: "if (facts.movedTo !== null || turn.nowUs >= atUs) return true;",
        replace: "if (facts.movedTo !== null || turn.nowUs >= 0) return true;",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
  },
  {
    name: "one-start-per-placement",
    rule: "A placement is one start: what was released under it is not started again.",
    edits: [
      {
        file: COPIES,
        find: '  if (order.kind !== "destroy" && isOver(facts, order.placement)) return;\n',
        replace: "",
      },
      {
        file: GATES,
        find: "if (record === null || saved === null || record.released !== null || saved.released !== null) return false;",
        replace: "if (record === null || saved === null) return false;",
      },
    ],
    breaks: "safety",
    attempts: RUNS,
    settled:
      "The record, the gate and what this life remembers of its one start each forbid it; and a start of a released placement would have to come between the owner's word and the master's next statement, a few milliseconds, on a host that the master hears and that does not hear it. Belts, kept: they are what `holdsNone` relies on when it takes the record's word.",
  },
  {
    name: "clean-before-the-return",
    rule: "It comes back only after it has destroyed every copy that the present placement does not give it †.",
    edits: [
      {
        file: REPORT,
        find: "return present.every((each) => isKept(turn, each)) ? grant.term : null;",
        replace: "return grant.term;",
      },
      {
        file: REPORT,
        find: "if (state.adopted.term !== grant.term || compareViews(state.adoptedView, grant.view) < 0) return null;",
        replace: "",
      },
      STRAYS_COME_BACK,
    ],
    breaks: "safety",
    attempts: [seedsOf("machines-away-and-back", 200), seedsOf("machines-mixed", 100)],
  },
  {
    name: "no-return-with-anothers-copy",
    rule: "The present placement counts, not the one that it was clean under †.",
    edits: [STRAYS_COME_BACK],
    breaks: "safety",
    attempts: [seedsOf("machines-mixed", 1500)],
  },
  {
    name: "owner-in-this-view",
    rule: "Only the word of a member of this very view says that its copy was never given away.",
    edits: [
      {
        file: RECOGNISE,
        find: "if (best !== undefined && newer && !best.copy.wasOut && hasAnsweredInView(turn, best.node)) {",
        replace: "if (best !== undefined && newer) {",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD,
    note: "Caught only in the world of core-failover's own random test: three hosts, a model of the quorum, and faults that the simulator's machines do not meet as often.",
  },
  {
    name: "migration-after-the-source-is-over",
    rule: "Ownership passes by a placement after A's gate is confirmed shut, then B's opens.",
    edits: [
      {
        file: REVIEW,
        find: "if (gone && holdsNone(turn, owner, vm)) {",
        replace:
          "if (gone || holdsNone(turn, owner, vm) || isSameCopy(copyAt(turn, moving.to, vm), moving.target)) {",
      },
      {
        file: REVIEW,
        find: "if (samePlacement(source.released?.to ?? null, moving.target) && complete && !isFenced(turn, moving.to)) {",
        replace: "if (complete && !isFenced(turn, moving.to)) {",
      },
      {
        file: REVIEW,
        find: "const free = record !== null && isFreeBut(turn, vm, record, [moving.to]);",
        replace: "const free = record !== null && isFreeBut(turn, vm, record, [moving.to, owner]);",
      },
    ],
    breaks: "safety",
    attempts: [...RUNS, seedsOf("machines-mixed", 400), ...OWN_WORLD],
  },
  {
    name: "proof-ends-with-the-return",
    rule: "A proof that a host is off ends with its return, and with any sign of life (ADR 18).",
    edits: [
      {
        file: POWER_OFF,
        find: "    if (why === null) continue;",
        replace: "    if (why === null || node > 0) continue;",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_PROOFS,
    note: "That a proof ends with the mastership has no edit here: the reign that holds it is dropped whole, and the unit tests see to it.",
  },
  {
    name: "what-was-started-counts",
    rule: "A machine is fenced by a lease alone when the gates hold what was started, not only what would be started next.",
    edits: [
      {
        file: WORDS,
        find: "return gated && started?.gated !== false;",
        replace: "return gated && started !== undefined ? true : gated;",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_PROOFS,
  },
  {
    name: "a-lease-alone-fences-no-ungated-machine",
    rule: "What passes by the gates is not fenced by a lapsed lease: a proof that the host is off is needed (ADR 18).",
    edits: [
      {
        file: SURVEY,
        find: "isGated(record) || turn.reign.proofs[node] !== undefined)",
        replace: "isGated(record) || turn.reign.proofs[node] !== undefined || node > 0)",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_PROOFS,
  },
  {
    name: "watchdog-fed-under-the-lease-alone",
    rule: "A host with a machine that no gate holds feeds its watchdog while its lease runs, and not after that (ADR 21).",
    edits: [
      {
        file: WATCHDOG,
        find: 'isIdle || leaseVerdict(state, nowUs) === "yes";',
        replace: "isIdle || nowUs > 0;",
      },
    ],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_WATCHDOGS,
  },
  {
    name: "a-reset-is-waited-for-as-late-as-it-may-come",
    rule: "What fed a watchdog last may have done so when it was all but over, and the end of its process once more: T + 3 x its timeout (ADR 21).",
    edits: [{ file: SURVEY, find: "tokenUs + 3 * (newest", replace: "tokenUs + 2 * (newest" }],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_WATCHDOGS,
  },
  {
    name: "a-lost-watchdog-is-told-and-ends-its-machines",
    rule: "A machine that was promised a watchdog is ended while the lease runs when that cannot be had any more, and until then its host says that nobody may count on it (ADR 21).",
    edits: [
      {
        file: WATCHDOG,
        find: "export function isWatchdogLost(turn: VmTurn): boolean {",
        replace:
          "export function isWatchdogLost(turn: VmTurn): boolean {\n  if (turn.nowUs > 0) return false;",
      },
      { file: SURVEY, find: "if (copy?.unguarded === true) return null;", replace: "" },
    ],
    breaks: "safety",
    attempts: OWN_WORLD_WITH_WATCHDOGS,
  },
];
