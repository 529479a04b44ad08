import type { Generator } from "./generator.ts";
import { inRounds } from "./rounds.ts";

const votesTooSoon = inRounds({
  name: "votes-too-soon",
  about:
    "A named successor is unheard, another is elected, restarts unheard by its voters, and is asked for its own vote.",
  tokens: 9,
  play(round) {
    const { master: voter, others } = round.seat();
    const [heir, deaf] = others;
    const cutAt = 0.6;
    const restartAt = cutAt + round.between(1.5, 2.3);
    // The restarted one listens for half a token, says that it is over, and is heard by the deaf one only then.
    const openAt = restartAt + 0.5 + round.between(0.03, 0.2);
    round.at(cutAt, {
      kind: "cut",
      node: deaf,
      direction: "both",
      peers: [heir],
      forUs: round.us(openAt - cutAt),
    });
    round.at(cutAt, { kind: "cut", node: deaf, direction: "out", peers: [voter], forUs: round.us(0.8) });
    // Nothing is committed in the new term, or the deaf one would be refused for its old configuration.
    round.at(0.5, { kind: "crash", node: heir, process: "distributor", downUs: round.us(5) });
    round.at(cutAt + 0.02, { kind: "move", target: deaf });
    round.at(restartAt - round.between(0, 0.05), {
      kind: "cut",
      node: heir,
      direction: "in",
      peers: [voter],
      forUs: round.us(1.3),
    });
    // Without its actuator it does not stand itself, and the kernel keeps what was opened.
    round.at(restartAt, { kind: "crash", node: heir, process: "actuator", downUs: round.us(2) });
    const downUs = round.us(round.between(0.002, 0.03));
    round.at(restartAt, { kind: "crash", node: heir, process: "evaluator", downUs });
  },
});

const sleepingMaster = inRounds({
  name: "sleeping-master",
  about: "The master's evaluator is away for tokens, and nobody else can serve meanwhile.",
  tokens: 9,
  play(round) {
    const { master, others } = round.seat();
    for (const node of others)
      round.at(0.5, { kind: "crash", node, process: "actuator", downUs: round.us(5) });
    const downUs = round.us(round.between(2.6, 3.8));
    round.at(0.6, { kind: "crash", node: master, process: "evaluator", downUs });
  },
});

const bootsTogether = inRounds({
  name: "boots-together",
  about: "Everybody loses the power at nearly the same time: nobody is left to say who was away.",
  tokens: 8,
  play(round) {
    for (const node of round.ids)
      round.at(0.5 + round.between(0, 0.3), {
        kind: "power-cut",
        node,
        downUs: round.us(round.between(0, 0.5)),
      });
  },
});

const grantForgotten = inRounds({
  name: "grant-forgotten",
  about: "The master is deaf to a node that a voter granted until just before that voter restarts.",
  tokens: 7,
  play(round) {
    const { others } = round.seat();
    const [node, voter] = others;
    const cutAt = 0.6;
    const crashAt = cutAt + round.between(0.3, 1);
    // Only the two of them hear each other: until the voter forgets, and then not any more.
    round.at(cutAt, { kind: "cut", node, direction: "both", peers: [round.master], forUs: round.us(4) });
    round.at(crashAt - round.between(0.005, 0.05), {
      kind: "cut",
      node,
      direction: "out",
      peers: [voter],
      forUs: round.us(1.3),
    });
    const downUs = round.us(round.between(0.002, 0.05));
    round.at(crashAt, { kind: "crash", node: voter, process: "evaluator", downUs });
  },
});

const halfAdopted = inRounds({
  name: "half-adopted",
  about:
    "A voter does not hear that a node was removed, and grants it again after it was asked for its last grant.",
  tokens: 7,
  play(round) {
    const { master, others } = round.seat();
    const [node, voter] = others;
    const cutAt = 0.6;
    const removedAt = cutAt + 1.02;
    round.at(cutAt, { kind: "cut", node, direction: "both", peers: [master], forUs: round.us(4) });
    const unheardAt = removedAt - round.between(0.12, 0.4);
    round.at(unheardAt, {
      kind: "cut",
      node,
      direction: "out",
      peers: [voter],
      forUs: round.us(removedAt + round.between(0.08, 0.3) - unheardAt),
    });
    round.at(removedAt - round.between(0, 0.06), {
      kind: "cut",
      node: master,
      direction: "out",
      peers: [voter],
      forUs: round.us(1.2),
    });
  },
});

const outWithOpenGates = inRounds({
  name: "out-with-open-gates",
  about: "A removed node says so at once, and its actuator, which should have shut the gates, is stopped.",
  tokens: 8,
  play(round) {
    const { master, others } = round.seat();
    const [node] = others;
    round.at(0.6, {
      kind: "cut",
      node,
      direction: "out",
      peers: [master],
      forUs: round.us(round.between(1, 1.4)),
    });
    round.at(0.6 + round.between(0.7, 0.98), {
      kind: "pause",
      node,
      process: "actuator",
      forUs: round.us(round.between(0.5, 2)),
    });
  },
});

/** What tries a single rule each, by the shortest story that needs it. */
export const narrowRules: readonly Generator[] = [
  votesTooSoon,
  sleepingMaster,
  bootsTogether,
  grantForgotten,
  halfAdopted,
  outWithOpenGates,
];
