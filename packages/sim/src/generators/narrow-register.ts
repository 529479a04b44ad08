import type { Generator } from "./generator.ts";
import { inRounds } from "./rounds.ts";

const MOST_PRIO = 90;

const lateDocument = inRounds({
  name: "late-document",
  about: "A change of a master that nobody hears any more waits for a slow disk, whose node votes meanwhile.",
  tokens: 8,
  play(round) {
    const { master, others } = round.seat();
    const [slow, heir] = others;
    const changeAt = 1;
    round.at(changeAt - 0.3, {
      kind: "cut",
      node: master,
      direction: "both",
      peers: [heir],
      forUs: round.us(4),
    });
    // Only the document is slow: the vote comes in between.
    round.at(changeAt - 0.02, {
      kind: "disk-slow",
      node: slow,
      upToUs: round.us(2.2),
      forUs: round.us(0.06),
    });
    round.at(changeAt, {
      kind: "set-prio",
      node: round.random.pick(round.ids),
      prio: 1 + Math.floor(round.random.next() * MOST_PRIO),
    });
    round.at(changeAt + round.between(0.008, 0.05), {
      kind: "cut",
      node: master,
      direction: "out",
      peers: [slow],
      forUs: round.us(3),
    });
  },
});

const unsureWrites = inRounds({
  name: "unsure-writes",
  about:
    "The master's disk fails a change that may have been written all the same, and another change follows.",
  tokens: 6,
  play(round) {
    const { master } = round.seat();
    const forUs = round.us(round.between(0.05, 0.6));
    round.at(0.98, { kind: "disk-full", node: master, forUs });
    for (const at of [1, 1.1, 1.4, 1.8])
      round.at(at + round.between(0, 0.1), {
        kind: "set-prio",
        node: round.random.pick(round.ids),
        prio: 1 + Math.floor(round.random.next() * MOST_PRIO),
      });
  },
});

const rememberedByOne = inRounds({
  name: "remembered-by-one",
  about: "A voter of the new master loses its state and hears only the old one, whose term is nearly over.",
  tokens: 10,
  play(round) {
    const { master, others } = round.seat();
    const [forgetful, heir] = others;
    const lostAt = 0.6 + round.between(1.2, 1.5);
    round.at(0.6, { kind: "cut", node: master, direction: "both", peers: [heir], forUs: round.us(5) });
    round.at(0.6, {
      kind: "cut",
      node: master,
      direction: "both",
      peers: [forgetful],
      forUs: round.us(lostAt - 0.6),
    });
    round.at(lostAt, { kind: "cut", node: heir, direction: "both", peers: [forgetful], forUs: round.us(4) });
    round.at(lostAt, { kind: "lose-state", node: forgetful, what: "evaluator", downUs: round.us(0.005) });
  },
});

const leaseOfTheOldVotes = inRounds({
  name: "lease-of-the-old-votes",
  about: "The votes change, a node that has not heard of it leaves, and one that has may judge alone.",
  tokens: 11,
  play(round) {
    const { master, others } = round.seat();
    const [node, heavy] = others;
    const changeAt = 2.2;
    round.at(0.6, { kind: "cut", node, direction: "both", peers: [heavy], forUs: round.us(6) });
    round.at(changeAt - 0.2, { kind: "crash", node, process: "distributor", downUs: round.us(4) });
    round.at(changeAt, { kind: "set-votes", node: heavy, votes: 3 });
    const leaveAt = changeAt + round.random.pick([round.between(0.02, 0.3), round.between(1.2, 1.8)]);
    round.at(leaveAt - round.between(0, 0.03), {
      kind: "cut",
      node: master,
      direction: "out",
      peers: [node],
      forUs: round.us(2),
    });
    round.at(leaveAt, { kind: "drain", node, downUs: round.us(1) });
    round.at(8, { kind: "set-votes", node: heavy, votes: 1 });
  },
});

/** What tries the register and the votes that change with it. */
export const narrowRegister: readonly Generator[] = [
  lateDocument,
  unsureWrites,
  rememberedByOne,
  leaseOfTheOldVotes,
];
