import type { Generator } from "./generator.ts";
import { inRounds } from "./rounds.ts";

const MOST_PRIO = 90;

const removedOneWaits = inRounds({
  name: "removed-one-waits",
  about: "A node that was removed and a member could both follow a dead master: the member does.",
  tokens: 8,
  once: true,
  play(round) {
    const { master, others } = round.seat();
    const [removed, member] = others;
    round.at(0.6, { kind: "cut", node: removed, direction: "out", peers: [master], forUs: round.us(6) });
    round.at(3, { kind: "cut", node: master, direction: "both", peers: "all", forUs: round.us(4) });
    if (round.canLead(member)) round.expect(4.9, member);
  },
});

const thawedFirst = inRounds({
  name: "thawed-first",
  about: "All evaluators stop, the master's thaws a little earlier: it must not take the others for gone.",
  tokens: 6,
  once: true,
  play(round) {
    const { master, others } = round.seat();
    const forTokens = round.between(1.1, 1.6);
    round.at(1, { kind: "pause", node: master, process: "evaluator", forUs: round.us(forTokens) });
    for (const node of others)
      round.at(1, {
        kind: "pause",
        node,
        process: "evaluator",
        forUs: round.us(forTokens + round.between(0.03, 0.08)),
      });
    round.expect(1 + forTokens + 0.7, "master:thawed", [...round.ids]);
  },
});

const thawedReads = inRounds({
  name: "thawed-reads",
  about: "What a silent node says while the master's evaluator is stopped is read before anybody is removed.",
  tokens: 6,
  once: true,
  play(round) {
    const { master, others } = round.seat();
    const [node] = others;
    const pauseAt = 1 + round.between(0.4, 0.6);
    const forTokens = round.between(0.6, 0.75);
    round.at(1, { kind: "cut", node, direction: "out", peers: [master], forUs: round.us(pauseAt - 0.95) });
    round.at(pauseAt, { kind: "pause", node: master, process: "evaluator", forUs: round.us(forTokens) });
    round.expect(pauseAt + forTokens + 0.2, "master:thawed", [...round.ids]);
  },
});

const higherTerm = inRounds({
  name: "higher-term",
  about:
    "A candidate stops with its vote on the disk, the master is heard again, and then the candidate too.",
  tokens: 9,
  once: true,
  play(round) {
    const { master, others } = round.seat();
    const [candidate, voter] = others;
    // Unable, so that only the other one stands.
    round.at(0, { kind: "crash", node: voter, process: "actuator", downUs: round.us(4) });
    const forTokens = round.between(1.15, 1.3);
    round.at(1, { kind: "cut", node: master, direction: "out", peers: "all", forUs: round.us(forTokens) });
    round.at(1.75, {
      kind: "trap",
      node: candidate,
      process: "evaluator",
      point: { effect: "persist", side: "after", skip: 0 },
      strike: "pause",
      forUs: round.us(0.8),
    });
    round.expect(4.2, master);
    const prio = 1 + Math.floor(round.random.next() * MOST_PRIO);
    round.at(5, { kind: "set-prio", node: voter, prio });
  },
});

const foreignAnswers = inRounds({
  name: "foreign-answers",
  about: "Another machine has answered for the address for long when the mastership moves.",
  tokens: 9,
  play(round) {
    round.at(0.5, { kind: "foreign-claim", forUs: round.us(6) });
    round.at(3.5, {
      kind: "cut",
      node: round.master,
      direction: "both",
      peers: "all",
      forUs: round.us(round.between(1.2, 3)),
    });
  },
});

/** Stories in which little happens, so that it is known what they come to. */
export const narrowQuiet: readonly Generator[] = [
  removedOneWaits,
  thawedFirst,
  thawedReads,
  higherTerm,
  foreignAnswers,
];
