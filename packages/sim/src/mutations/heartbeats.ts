import { type Mutation, seedsOf } from "./mutation.ts";

const JUDGE = "packages/core-membership/src/judge.ts";

/** Membership: what is let in, and whom it accuses. */
export const HEARTBEATS: readonly Mutation[] = [
  {
    name: "joined-means-both-ways",
    rule: "A peer is joined when heard in both directions.",
    edits: [
      {
        file: JUDGE,
        find: "const working = links.filter((link) => link.hears && link.heard);",
        replace: "const working = links.filter((link) => link.hears);",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("mixed", 15)],
    settled:
      "Standing, voting and coming back ask for ballots that answer, which one direction does not give: a node that counts too many as joined asks in vain. Availability while a way is one-way.",
  },
  {
    name: "lifeguard",
    rule: "When its own loop was late a node blames itself first and stretches its patience.",
    edits: [
      {
        file: "packages/core-membership/src/own-health.ts",
        find: "const lateUs = excessUs > timing.tickUs ? excessUs : 0;",
        replace: "const lateUs = excessUs > timing.tickUs ? 0 : 0;",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("freeze-near-cut", 10)],
    settled: "Fewer false alarms, not fewer dangers: what it saves is measured by `npm run sim:adaptive`.",
  },
  {
    name: "goodbye-only-when-leaving",
    rule: "A goodbye is said only when the node really goes, not when membership alone restarts.",
    edits: [
      {
        file: "packages/core-membership/src/send.ts",
        find: "if (state.ballotSaysLeaving || alone) {",
        replace: "if (state.ballotSaysLeaving || alone || state.leaving || !state.leaving) {",
      },
    ],
    breaks: "liveness",
    attempts: [seedsOf("hand-over-in-trouble", 10)],
    settled:
      "Said in haste it costs a removal and a return. The simulator's supervisors say it only when a node really leaves, so nothing tries it there; the lab kills each process alone.",
  },
];
