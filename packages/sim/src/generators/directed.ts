import type { Random } from "../random.ts";
import type { FaultAction, NodeRef } from "../schedule.ts";
import { drawLengthUs, drawNoise, drawTrap, sorted } from "./building.ts";
import type { Generator, GeneratorInput } from "./generator.ts";

/** A strike on one node: what comes within a token of a cut of the same node. */
type Strike = (input: GeneratorInput, node: NodeRef, atUs: number) => FaultAction[];

const between = (random: Random, tokenUs: number) => random.between(0, tokenUs);

/**
 * Rounds of: a cut of one node, both ways or one way, and within a token of it, before or after, the strike. Between
 * rounds the cluster has a few tokens to come back, so that each begins with a master.
 */
function nearCut(name: string, about: string, weight: number, strike: Strike): Generator {
  return {
    name,
    about,
    weight,
    generate(input) {
      const { random, tokenUs, faultUs } = input;
      const actions: FaultAction[] = [];
      let round = 0;
      let atUs = 3 * tokenUs + random.between(0, tokenUs);
      while (atUs < faultUs - 2 * tokenUs) {
        const tag = `r${round++}`;
        const node: NodeRef = random.chance(0.7) ? `master:${tag}` : `slave:${tag}`;
        const cutFirst = random.chance(0.5);
        const apartUs = Math.round(random.pick([0.01, 0.05, 0.3, 1]) * random.next() * tokenUs);
        const peers: NodeRef[] | "all" =
          random.chance(0.7) || input.cluster.nodes.length < 3 ? "all" : [`slave:${tag}x`];
        actions.push({
          atUs: cutFirst ? atUs : atUs + apartUs,
          kind: "cut",
          node,
          direction: random.pick(["both", "both", "in", "out"] as const),
          peers,
          forUs: drawLengthUs(random, tokenUs),
        });
        actions.push(...strike(input, node, cutFirst ? atUs + apartUs : atUs));
        atUs += Math.round(tokenUs * (2 + 3 * random.next()));
      }
      return { noise: drawNoise(random), actions: sorted(actions) };
    },
  };
}

const process = (random: Random) =>
  random.pick(["evaluator", "evaluator", "actuator", "membership", "all"] as const);

export const directed: readonly Generator[] = [
  nearCut(
    "restart-near-cut",
    "a process restarts within a token of a cut of its node",
    2,
    (input, node, atUs) => [
      {
        atUs,
        kind: "crash",
        node,
        process: process(input.random),
        downUs: drawLengthUs(input.random, input.tokenUs / 2),
      },
    ],
  ),
  nearCut("double-crash-near-cut", "a process dies twice within a token of a cut", 2, (input, node, atUs) => {
    const which = process(input.random);
    const downUs = input.random.between(20_000, input.tokenUs / 3);
    const againUs = atUs + downUs + between(input.random, input.tokenUs);
    return [
      { atUs, kind: "crash", node, process: which, downUs },
      {
        atUs: againUs,
        kind: "crash",
        node,
        process: which,
        downUs: input.random.between(20_000, input.tokenUs),
      },
    ];
  }),
  nearCut(
    "reboot-near-cut",
    "a host reboots within a token of a cut, at times quickly",
    2,
    (input, node, atUs) => [
      { atUs, kind: "power-cut", node, downUs: input.random.between(10_000, input.tokenUs * 2) },
    ],
  ),
  nearCut("amnesia-near-cut", "a node loses its state within a token of a cut", 2, (input, node, atUs) => [
    {
      atUs,
      kind: "lose-state",
      node,
      what: input.random.pick(["evaluator", "evaluator", "register"] as const),
      downUs: drawLengthUs(input.random, input.tokenUs / 2),
    },
  ]),
  nearCut("freeze-near-cut", "processes are frozen within a token of a cut", 3, (input, node, atUs) => [
    {
      atUs,
      kind: "pause",
      node,
      process: process(input.random),
      forUs: drawLengthUs(input.random, input.tokenUs),
    },
  ]),
  nearCut("trap-near-cut", "a process is struck between two effects near a cut", 3, (input, node, atUs) => [
    drawTrap(input, node, atUs),
    drawTrap(input, node, atUs + between(input.random, input.tokenUs)),
  ]),
  nearCut("hand-over-near-cut", "the mastership is moved within a token of a cut", 3, (input, node, atUs) => {
    const { random, tokenUs } = input;
    const order: FaultAction = random.chance(0.6)
      ? { atUs, kind: "move", target: `slave:${node}m` }
      : { atUs, kind: "drain", node, downUs: random.between(200_000, tokenUs) };
    const then = random.pick(["none", "trap", "pause", "bus-slow", "crash"] as const);
    const laterUs = atUs + random.between(0, Math.round(tokenUs / 10));
    switch (then) {
      case "trap":
        return [drawTrap(input, node, atUs), order];
      case "pause":
        return [
          order,
          {
            atUs: laterUs,
            kind: "pause",
            node,
            process: process(random),
            forUs: drawLengthUs(random, tokenUs),
          },
        ];
      case "bus-slow":
        return [
          { atUs, kind: "bus-slow", node, upToUs: drawLengthUs(random, tokenUs), forUs: tokenUs },
          order,
        ];
      case "crash":
        return [
          order,
          {
            atUs: laterUs,
            kind: "crash",
            node,
            process: process(random),
            downUs: random.between(20_000, tokenUs),
          },
        ];
      default:
        return [order];
    }
  }),
  nearCut(
    "slow-orders-near-cut",
    "kernel commands and local messages are late near a cut",
    3,
    (input, node, atUs) => {
      const { random, tokenUs } = input;
      const slow: FaultAction = random.chance(0.5)
        ? { atUs, kind: "kernel-slow", node, upToUs: drawLengthUs(random, tokenUs), forUs: 2 * tokenUs }
        : { atUs, kind: "bus-slow", node, upToUs: drawLengthUs(random, tokenUs), forUs: 2 * tokenUs };
      if (random.chance(0.5)) return [slow];
      return [
        slow,
        {
          atUs: atUs + between(random, tokenUs),
          kind: "pause",
          node,
          process: process(random),
          forUs: drawLengthUs(random, tokenUs),
        },
      ];
    },
  ),
  nearCut(
    "membership-change-near-cut",
    "votes, nodes and priorities change near a cut",
    2,
    (input, node, atUs) => {
      const { random, cluster } = input;
      const change = random.pick(["set-prio", "set-prio", "set-votes", "add-node", "remove-node"] as const);
      switch (change) {
        case "set-prio":
          return [{ atUs, kind: "set-prio", node, prio: random.between(1, 300) }];
        case "set-votes":
          return [{ atUs, kind: "set-votes", node, votes: random.between(1, 3) }];
        case "add-node":
          return [
            { atUs, kind: "add-node", node: cluster.nodes.length + 1 + random.between(0, 1), prio: 50 },
          ];
        case "remove-node":
          return [{ atUs, kind: "remove-node", node }];
      }
    },
  ),
];
