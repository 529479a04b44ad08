import type { Generator } from "./generator.ts";
import { inRounds } from "./rounds.ts";

const halfHeard = inRounds({
  name: "half-heard",
  about:
    "The master does not hear a node that the others hear and grant: only their word says when it is fenced.",
  tokens: 9,
  play(round) {
    const [node, voter] = round.shuffled();
    if (node === undefined || voter === undefined) return;
    const direction = round.random.pick(["out", "out", "both", "in"] as const);
    round.at(0, {
      kind: "cut",
      node,
      direction,
      peers: [round.master],
      forUs: round.us(round.between(1.5, 5)),
    });
    // A grant that is forgotten counts from the restart, and no earlier.
    if (round.random.chance(0.6))
      round.at(round.between(0.7, 1.4), {
        kind: "crash",
        node: voter,
        process: "evaluator",
        downUs: round.us(round.between(0.002, 0.1)),
      });
    if (round.random.chance(0.3))
      round.at(round.between(0.9, 3), {
        kind: "crash",
        node: round.master,
        process: "evaluator",
        downUs: round.us(round.between(0.002, 0.1)),
      });
  },
});

const viewForgotten = inRounds({
  name: "view-forgotten",
  about:
    "A node is away and knows nothing of it; those who adopted its removal restart, cut from their master.",
  tokens: 9,
  play(round) {
    const [node, ...others] = round.shuffled();
    if (node === undefined) return;
    round.at(0, { kind: "cut", node, direction: "both", peers: [round.master], forUs: round.us(6) });
    for (const voter of others) {
      if (!round.random.chance(0.7)) continue;
      const at = round.between(1.5, 4.5);
      round.at(at - round.between(0, 0.05), {
        kind: "cut",
        node: round.master,
        direction: "out",
        peers: [voter],
        forUs: round.us(round.between(0.1, 0.8)),
      });
      round.at(at, {
        kind: "crash",
        node: voter,
        process: "evaluator",
        downUs: round.us(round.between(0.002, 0.1)),
      });
    }
  },
});

const heirOfAnOldView = inRounds({
  name: "heir-of-an-old-view",
  about: "Nodes are removed, then the master goes too, and who follows it has not seen the removal.",
  tokens: 10,
  play(round) {
    const [removed, heir] = round.shuffled();
    if (removed === undefined || heir === undefined) return;
    const at = round.between(0.85, 2.2);
    round.at(0, { kind: "cut", node: removed, direction: "both", peers: [round.master], forUs: round.us(4) });
    round.at(round.between(0.5, 1.05), {
      kind: "cut",
      node: round.master,
      direction: "out",
      peers: [heir],
      forUs: round.us(round.between(0.2, 1.2)),
    });
    const goneUs = round.us(round.between(1.5, 3));
    round.at(
      at,
      round.random.chance(0.5)
        ? { kind: "pause", node: round.master, process: "all", forUs: goneUs }
        : { kind: "power-cut", node: round.master, downUs: goneUs },
    );
  },
});

const outAndBack = inRounds({
  name: "out-and-back",
  about: "A removed node learns it, restarts, and hears late and old things on its way back.",
  tokens: 9,
  play(round) {
    const node = round.random.pick(round.ids);
    const awayTokens = round.between(1.05, 2.5);
    const direction = round.random.pick(["both", "in", "out"] as const);
    round.at(0, { kind: "cut", node, direction, peers: "all", forUs: round.us(awayTokens) });
    const backAt = awayTokens + round.between(-0.3, 0.8);
    const downUs = round.us(round.between(0.002, 0.3));
    switch (round.random.pick(["restart", "actuator", "reboot", "bus", "master", "stop"] as const)) {
      case "restart":
        round.at(backAt, { kind: "crash", node, process: "evaluator", downUs });
        round.at(backAt + round.between(0.05, 1), { kind: "crash", node, process: "evaluator", downUs });
        break;
      case "actuator":
        round.at(backAt, { kind: "crash", node, process: "actuator", downUs });
        break;
      case "reboot":
        round.at(backAt, { kind: "power-cut", node, downUs });
        break;
      case "bus":
        round.at(backAt, { kind: "bus-slow", node, upToUs: round.us(0.4), forUs: round.us(2) });
        break;
      case "master":
        round.at(backAt, { kind: "crash", node: round.master, process: "all", downUs });
        break;
      case "stop":
        round.at(awayTokens - 0.2, {
          kind: "pause",
          node,
          process: round.random.pick(["evaluator", "actuator", "membership", "all"]),
          forUs: round.us(round.between(0.2, 2)),
        });
        break;
    }
  },
});

const thawedMaster = inRounds({
  name: "thawed-master",
  about:
    "The master or its evaluator stops for about a token, or two, and is cut off before or after it thaws.",
  tokens: 8,
  play(round) {
    const process = round.random.pick(["evaluator", "evaluator", "membership", "all"] as const);
    const forTokens = round.between(0.6, 2.2);
    round.at(0.5, { kind: "pause", node: round.master, process, forUs: round.us(forTokens) });
    if (round.random.chance(0.6))
      round.at(0.5 + round.between(-0.5, forTokens + 0.5), {
        kind: "cut",
        node: round.random.pick([round.master, ...round.ids]),
        direction: round.random.pick(["both", "in", "out"]),
        peers: "all",
        forUs: round.us(round.between(0.2, 1.5)),
      });
  },
});

/** What tries the rules of views, fences and returns where they are thin. */
export const narrowViews: readonly Generator[] = [
  halfHeard,
  viewForgotten,
  heirOfAnOldView,
  outAndBack,
  thawedMaster,
];
