import { type NodeRef, QUIET } from "../schedule.ts";
import type { Generator } from "./generator.ts";
import { inRounds, type Round } from "./rounds.ts";

/**
 * Some nodes stop hearing the master and wait for somebody who would vote with them. Then one of those who kept it in
 * office loses what it promised, while it too is cut from the master: only the promise is between two masters now.
 */
function deafVoter(round: Round, strike: (voter: NodeRef, atTokens: number) => void): void {
  const { few, rest } = round.minority();
  round.at(0, { kind: "cut", node: round.master, direction: "out", peers: few, forUs: round.us(4) });
  const strikeAt = round.between(1.05, 2.2);
  const voter = round.random.pick(rest);
  round.at(strikeAt - round.between(0, 0.15), {
    kind: "cut",
    node: round.master,
    direction: "out",
    peers: [voter],
    forUs: round.us(1.5),
  });
  strike(voter, strikeAt);
}

const deafVoterRestarts = inRounds({
  name: "deaf-voter-restarts",
  about:
    "A voter is cut from its master and its evaluator restarts, once or twice, while others wait for its vote.",
  tokens: 8,
  play(round) {
    deafVoter(round, (node, at) => {
      const process = round.random.pick(["evaluator", "evaluator", "all"] as const);
      round.at(at, { kind: "crash", node, process, downUs: round.us(round.between(0.002, 0.1)) });
      if (round.random.chance(0.3))
        round.at(at + round.between(0.02, 0.3), {
          kind: "crash",
          node,
          process: "evaluator",
          downUs: round.us(round.between(0.002, 0.1)),
        });
    });
  },
});

const deafVoterReboots = inRounds({
  name: "deaf-voter-reboots",
  about: "A voter is cut from its master and its host reboots at once, while others wait for its vote.",
  tokens: 8,
  play(round) {
    deafVoter(round, (node, at) => {
      round.at(at, { kind: "power-cut", node, downUs: round.us(round.between(0, 0.05)) });
    });
  },
});

const deafVoterForgets = inRounds({
  name: "deaf-voter-forgets",
  about: "A voter is cut from its master and loses its state, while others wait for its vote.",
  tokens: 12,
  play(round) {
    deafVoter(round, (node, at) => {
      const downUs = round.us(round.between(0.002, 0.1));
      round.at(at, { kind: "lose-state", node, what: "evaluator", downUs });
    });
  },
});

const forgetfulHeirs = inRounds({
  name: "forgetful-heirs",
  about:
    "One node misses a change, one of those who stored it loses its state, and the third goes: two are left to elect.",
  tokens: 11,
  play(round) {
    const { few, rest } = round.minority();
    for (const node of few)
      round.at(0, { kind: "cut", node, direction: "both", peers: "all", forUs: round.us(2) });
    round.at(0.2, { kind: "set-prio", node: round.random.pick(rest), prio: 100 + round.number });
    round.at(round.between(1, 1.8), {
      kind: "lose-state",
      node: round.random.pick(rest),
      what: "evaluator",
      downUs: round.us(round.between(0.002, 0.1)),
    });
    round.at(round.between(1.8, 2.2), {
      kind: "cut",
      node: round.master,
      direction: "both",
      peers: "all",
      forUs: round.us(4),
    });
  },
});

const splitVote = inRounds({
  name: "split-vote",
  about:
    "The master goes, and while the others elect, their ballots are late, they stop, restart or are cut for moments.",
  tokens: 7,
  play(round) {
    const goneUs = round.us(round.between(1.5, 3));
    round.at(
      0,
      round.random.chance(0.5)
        ? { kind: "cut", node: round.master, direction: "both", peers: "all", forUs: goneUs }
        : { kind: "pause", node: round.master, process: "all", forUs: goneUs },
    );
    const count = 1 + Math.floor(round.random.next() * 4);
    for (let index = 0; index < count; index += 1) {
      const node = round.random.pick(round.ids);
      const at = round.between(0.9, 1.5);
      const forUs = round.us(round.between(0.02, 0.25));
      const skip = Math.floor(round.random.next() * 3);
      const side = round.random.pick(["before", "after"] as const);
      switch (round.random.pick(["late", "stop", "die", "cut", "bus"] as const)) {
        case "late":
          round.at(at, { kind: "network-delay", node, upToUs: forUs, forUs: round.us(0.5) });
          break;
        case "stop":
          round.at(0.8, {
            kind: "trap",
            node,
            process: "evaluator",
            point: { effect: "persist", side, skip },
            strike: "pause",
            forUs,
          });
          break;
        case "die":
          round.at(0.8, {
            kind: "trap",
            node,
            process: "evaluator",
            point: { effect: round.random.pick(["persist", "ballot"]), side, skip },
            strike: "crash",
            forUs,
          });
          break;
        case "cut":
          round.at(at, { kind: "cut", node, direction: "out", peers: "all", forUs });
          break;
        case "bus":
          round.at(at, { kind: "bus-slow", node, upToUs: forUs, forUs: round.us(0.5) });
          break;
      }
    }
  },
});

const unheardAfterTheVotes = inRounds({
  name: "unheard-after-the-votes",
  about:
    "A node is elected on the spot, and is cut off within the milliseconds between its votes and its first lease.",
  tokens: 6,
  play(round) {
    const { few, rest } = round.minority();
    const target = round.random.pick(rest);
    const moveAt = round.between(1.1, 1.6);
    // What these promised to the master before is over by then, and they do not hear it again before they vote.
    const deafUntil = moveAt + round.between(0.02, 0.06);
    round.at(0, {
      kind: "cut",
      node: round.master,
      direction: "out",
      peers: few,
      forUs: round.us(deafUntil),
    });
    round.at(moveAt, { kind: "move", target });
    // Gate shut, released, voted: some ten milliseconds, whatever the token.
    const at = moveAt + round.tokensOf(round.between(10_000, 16_500));
    const direction = round.random.pick(["out", "out", "both"] as const);
    round.at(at, {
      kind: "cut",
      node: target,
      direction,
      peers: "all",
      forUs: round.us(round.between(0.4, 1.5)),
    });
    if (round.random.chance(0.3))
      round.at(moveAt, {
        kind: "trap",
        node: round.random.pick(few),
        process: "evaluator",
        point: { effect: "ballot", side: "after", skip: Math.floor(round.random.next() * 3) },
        strike: "crash",
        forUs: round.us(round.between(0.002, 0.1)),
      });
  },
});

const halves = inRounds({
  name: "halves",
  about: "The cluster is split in two equal or nearly equal parts, for long enough to elect.",
  tokens: 7,
  play(round) {
    const order = round.shuffled();
    const side = order.slice(0, Math.floor(order.length / 2));
    round.at(0.5, { kind: "partition", side, forUs: round.us(round.between(1.2, 4)) });
  },
});

const cleanCut = inRounds({
  name: "clean-cut",
  about: "The master is cut off and nothing else happens: the others take over as early as they ever may.",
  tokens: 7,
  play(round) {
    const direction = round.random.pick(["both", "out"] as const);
    round.at(round.between(0, 0.2), {
      kind: "cut",
      node: round.master,
      direction,
      peers: "all",
      forUs: round.us(round.between(1.2, 3)),
    });
  },
});

const masterRestartsCut = inRounds({
  name: "master-restarts-cut",
  about:
    "The master's evaluator, or its host, restarts around a cut of it, before and after, one way and both.",
  tokens: 7,
  play(round) {
    const node = round.master;
    const direction = round.random.pick(["both", "in", "out"] as const);
    const forUs = round.us(round.between(0.2, 3));
    round.at(1, { kind: "cut", node, direction, peers: "all", forUs });
    const at = 1 + round.between(-1, 1);
    const downUs = round.us(round.between(0.002, 1.5));
    if (round.random.chance(0.3)) {
      round.at(at, { kind: "power-cut", node, downUs });
      round.at(at + round.between(0, 1), { kind: "replay", from: round.random.pick(round.ids), count: 60 });
    } else {
      const process = round.random.pick(["evaluator", "evaluator", "actuator", "all"] as const);
      round.at(at, { kind: "crash", node, process, downUs });
    }
    if (round.random.chance(0.3))
      round.at(at + round.between(0.05, 0.6), {
        kind: "crash",
        node,
        process: "evaluator",
        downUs: round.us(0.02),
      });
  },
});

const masterForgets = inRounds({
  name: "master-forgets",
  about:
    "A master that some never heard of restarts, unheard by those who kept it in office: its own word is all there is.",
  tokens: 8,
  play(round) {
    const { few, rest } = round.minority();
    const [node, ...voters] = rest;
    if (node === undefined) return;
    const at = round.between(1.6, 2.4);
    round.at(0, {
      kind: "cut",
      node,
      direction: "out",
      peers: few,
      forUs: round.us(at + round.between(0, 0.1)),
    });
    round.at(0.3, { kind: "move", target: node });
    round.at(at - round.between(0, 0.06), {
      kind: "cut",
      node,
      direction: round.random.pick(["in", "both"]),
      peers: voters,
      forUs: round.us(round.between(0.4, 1.2)),
    });
    // Without its actuator it does not stand itself, and the kernel keeps what was opened.
    round.at(at, { kind: "crash", node, process: "actuator", downUs: round.us(2) });
    round.at(at, {
      kind: "crash",
      node,
      process: "evaluator",
      downUs: round.us(round.between(0.002, 0.3)),
    });
  },
});

/** The end of the schedule is the end of the faults, so this is played once. */
const coldStart: Generator = {
  name: "cold-start",
  about:
    "A node misses a change that ranks it first; then all lose their power at once and come back together.",
  weight: 1,
  generate({ cluster, tokenUs, faultUs, random }) {
    const from = faultUs - 14 * tokenUs;
    // Changes are asked of the first node that is up, so not of this one.
    const node = Math.max(...cluster.nodes.map(({ id }) => id));
    const others = cluster.nodes.filter(({ id }) => id !== node);
    return {
      noise: QUIET,
      actions: [
        { atUs: from, kind: "cut", node, direction: "both", peers: "all", forUs: 20 * tokenUs },
        { atUs: from + random.between(0, 2 * tokenUs), kind: "set-prio", node, prio: 250 },
        ...others.map(({ id }) => ({
          atUs: faultUs - tokenUs,
          kind: "power-cut" as const,
          node: id,
          downUs: 3 * tokenUs,
        })),
      ],
    };
  },
};

const replays = inRounds({
  name: "replays",
  about: "What was recorded comes again after reboots, restarts and cuts of its sender or its receivers.",
  tokens: 7,
  play(round) {
    const [node, other] = round.shuffled();
    if (node === undefined || other === undefined) return;
    const target = round.random.pick([round.master, node]);
    const downUs = round.us(round.between(0, 1.5));
    switch (round.random.pick(["reboot", "restart", "cut"] as const)) {
      case "reboot":
        round.at(0.5, { kind: "power-cut", node: target, downUs });
        break;
      case "restart":
        round.at(0.5, { kind: "crash", node: target, process: "all", downUs });
        break;
      case "cut":
        round.at(0.5, { kind: "cut", node: target, direction: "both", peers: "all", forUs: downUs });
        break;
    }
    for (let index = 0; index < 6; index += 1)
      round.at(0.5 + round.between(0, 4), {
        kind: "replay",
        from: round.random.pick([target, other]),
        count: 128,
      });
  },
});

/** What tries the rules of votes, promises and leases where they are thin. */
export const narrowPromises: readonly Generator[] = [
  deafVoterRestarts,
  deafVoterReboots,
  deafVoterForgets,
  forgetfulHeirs,
  splitVote,
  unheardAfterTheVotes,
  halves,
  cleanCut,
  masterRestartsCut,
  masterForgets,
  coldStart,
  replays,
];
