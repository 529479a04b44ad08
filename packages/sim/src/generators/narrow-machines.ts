import type { Generator } from "./generator.ts";
import { inRounds, type Round } from "./rounds.ts";

const MACHINES = 3;
const VMS = ["vm1", "vm2", "vm3"] as const;

/** All machines are sent to one node, so that it is known whose they are. */
function gather(round: Round, node: number): void {
  for (const vm of VMS) round.at(0.7, { kind: "vm-move", vm, to: node });
}

const heirWithMachines = inRounds({
  name: "machines-heir",
  about:
    "A node is removed and its machines run at the master; the master goes, and the removed one, who knows of none of it, follows.",
  tokens: 20,
  machines: MACHINES,
  play(round) {
    const { master, others } = round.seat();
    const [removed, voter] = others;
    gather(round, removed);
    const cutAt = 4;
    round.at(cutAt, { kind: "cut", node: removed, direction: "both", peers: [master], forUs: round.us(10) });
    // Its actuator is back only when the heir has been elected: it does not stand, and was told nothing.
    const goneAt = cutAt + round.between(4, 5);
    round.at(goneAt - 1.3, { kind: "crash", node: voter, process: "actuator", downUs: round.us(4) });
    round.at(goneAt, { kind: "cut", node: master, direction: "both", peers: "all", forUs: round.us(5) });
  },
});

const awayAndBack = inRounds({
  name: "machines-away-and-back",
  about: "A node and its machines are away until they run elsewhere; then the machines are moved back to it.",
  tokens: 15,
  machines: MACHINES,
  play(round) {
    const { others } = round.seat();
    const [node] = others;
    const process = round.random.pick(["actuator", "all", "all"] as const);
    gather(round, node);
    const awayTokens = round.between(2.5, 3.5);
    round.at(4, { kind: "cut", node, direction: "both", peers: "all", forUs: round.us(awayTokens) });
    if (round.random.chance(0.7))
      round.at(4 + round.between(-0.3, 0.5), { kind: "pause", node, process, forUs: round.us(awayTokens) });
    for (const at of [10, 12])
      for (const vm of VMS) round.at(at + round.between(0, 1), { kind: "vm-move", vm, to: node });
  },
});

const lateOrders = inRounds({
  name: "machines-late-orders",
  about:
    "A master stops with an order for a machine on its lips; another has given the machine away meanwhile.",
  tokens: 14,
  machines: MACHINES,
  play(round) {
    const { master } = round.seat();
    const stopAt = 2;
    const forUs = round.us(round.between(4.5, 5.5));
    round.at(stopAt - 0.02, {
      kind: "trap",
      node: master,
      process: "actuator",
      point: { effect: "vm-statement", side: "before", skip: Math.floor(round.random.next() * 4) },
      strike: "pause",
      forUs,
    });
    for (const vm of VMS) round.at(stopAt - round.between(0.02, 0.6), { kind: "vm-end", vm });
    round.at(stopAt + round.between(0, 0.1), {
      kind: "cut",
      node: master,
      direction: "both",
      peers: "all",
      forUs: round.us(2.5),
    });
  },
});

const hiddenCopies = inRounds({
  name: "machines-hidden",
  about:
    "A node that runs machines is not heard by the master while others still grant it, and the master changes.",
  tokens: 11,
  machines: MACHINES,
  play(round) {
    const { master, others } = round.seat();
    const [node, voter] = others;
    gather(round, node);
    round.at(4, {
      kind: "cut",
      node,
      direction: round.random.pick(["out", "both"]),
      peers: [master],
      forUs: round.us(round.between(0.3, 3)),
    });
    switch (round.random.pick(["move", "restart", "blocked", "none"] as const)) {
      case "move":
        round.at(4 + round.between(0, 0.4), { kind: "move", target: voter });
        break;
      case "restart":
        round.at(4 + round.between(0, 0.8), {
          kind: "crash",
          node: master,
          process: "actuator",
          downUs: round.us(0.05),
        });
        break;
      case "blocked":
        round.at(4, { kind: "bus-loss", node, downUs: round.us(2) });
        round.at(4.1, { kind: "move", target: voter });
        break;
      case "none":
        break;
    }
  },
});

/** What tries the rules of machines where they are thin. */
export const narrowMachines: readonly Generator[] = [heirWithMachines, awayAndBack, lateOrders, hiddenCopies];
