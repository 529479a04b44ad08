import type { Generator } from "./generator.ts";
import { inRounds } from "./rounds.ts";

const frozenCommand = inRounds({
  name: "frozen-command",
  about:
    "The actuator stops between two commands to the kernel, or the kernel is slow, while its node is cut off.",
  tokens: 7,
  play(round) {
    const node = round.master;
    const forUs = round.us(round.between(0.1, 2.5));
    const cutAt = round.between(0, 1);
    round.at(cutAt, {
      kind: "cut",
      node,
      direction: round.random.pick(["both", "out", "in"]),
      peers: "all",
      forUs: round.us(round.between(1.2, 3)),
    });
    const at = Math.max(0, cutAt + round.between(-0.5, 1));
    if (round.random.chance(0.3)) {
      round.at(at, { kind: "kernel-slow", node, upToUs: forUs, forUs: round.us(1.5) });
      return;
    }
    round.at(at, {
      kind: "trap",
      node,
      process: "actuator",
      point: {
        effect: round.random.pick(["gate-commit", "gate-commit", "gate-permit", "any"]),
        side: round.random.pick(["before", "before", "after"]),
        skip: Math.floor(round.random.next() * 2),
      },
      strike: "pause",
      forUs,
    });
  },
});

const handOverUnheard = inRounds({
  name: "hand-over-unheard",
  about:
    "A master that hears nobody any more hands over while its kernel or its actuator is slow; nobody reaches it to ask.",
  tokens: 6,
  play(round) {
    const node = round.master;
    const handAt = 0.5;
    round.at(handAt - round.between(0.02, 0.3), {
      kind: "cut",
      node,
      direction: "in",
      peers: "all",
      forUs: round.us(1.5),
    });
    const upToUs = round.us(round.between(0.2, 0.9));
    const forUs = round.us(round.between(0.1, 0.8));
    switch (round.random.pick(["kernel", "kernel", "trap", "bus", "restart"] as const)) {
      case "kernel":
        round.at(handAt - round.between(0, 0.1), { kind: "kernel-slow", node, upToUs, forUs: round.us(1.5) });
        break;
      case "trap":
        round.at(handAt, {
          kind: "trap",
          node,
          process: "actuator",
          point: { effect: round.random.pick(["gate-shut", "any"]), side: "before", skip: 0 },
          strike: "pause",
          forUs,
        });
        break;
      case "bus":
        round.at(handAt - 0.05, { kind: "bus-slow", node, upToUs: round.us(0.18), forUs: round.us(1.5) });
        break;
      case "restart":
        round.at(handAt + round.between(-0.02, 0.05), {
          kind: "crash",
          node,
          process: round.random.pick(["actuator", "evaluator"]),
          downUs: round.us(round.between(0.002, 0.05)),
        });
        break;
    }
    round.at(handAt, { kind: "move", target: `slave:h${round.number}` });
  },
});

const handOverInTrouble = inRounds({
  name: "hand-over-in-trouble",
  about:
    "The mastership is given away while orders are slow, processes stop or restart, and the node is cut off.",
  tokens: 8,
  play(round) {
    const node = round.master;
    // Whoever the master is, the name has to be bound before it changes.
    round.at(0, { kind: "bus-slow", node, upToUs: 1000, forUs: 1000 });
    const handAt = 1;
    const target = round.random.pick(round.ids);
    switch (round.random.pick(["move", "move", "drain", "prio", "carrier", "service"] as const)) {
      case "move":
        round.at(handAt, { kind: "move", target });
        break;
      case "drain":
        round.at(handAt, { kind: "drain", node, downUs: round.us(round.between(0.1, 2)) });
        break;
      case "prio":
        round.at(handAt, { kind: "set-prio", node: target, prio: 200 });
        break;
      case "carrier":
        round.at(handAt, { kind: "no-carrier", node, forUs: round.us(round.between(0.5, 3)) });
        break;
      case "service":
        round.at(handAt, { kind: "service-broken", node, forUs: round.us(3) });
        round.at(handAt, { kind: "service-crash", node });
        break;
    }
    const count = 1 + Math.floor(round.random.next() * 3);
    for (let index = 0; index < count; index += 1) {
      const at = Math.max(0.1, handAt + round.between(-0.6, 0.6));
      const forUs = round.us(round.between(0.05, 1.5));
      switch (
        round.random.pick(["kernel", "bus", "actuator", "evaluator", "pause", "trap", "cut"] as const)
      ) {
        case "kernel":
          round.at(at, { kind: "kernel-slow", node, upToUs: forUs, forUs: round.us(1.5) });
          break;
        case "bus":
          round.at(at, {
            kind: "bus-slow",
            node,
            upToUs: Math.min(forUs, round.us(0.18)),
            forUs: round.us(1.5),
          });
          break;
        case "actuator":
          round.at(at, {
            kind: "crash",
            node,
            process: "actuator",
            downUs: round.us(round.between(0.002, 0.1)),
          });
          break;
        case "evaluator":
          round.at(at, {
            kind: "crash",
            node,
            process: "evaluator",
            downUs: round.us(round.between(0.002, 0.1)),
          });
          break;
        case "pause":
          round.at(at, { kind: "pause", node, process: round.random.pick(["actuator", "all"]), forUs });
          break;
        case "trap":
          round.at(handAt - 0.1, {
            kind: "trap",
            node,
            process: round.random.pick(["actuator", "evaluator"]),
            point: { effect: "any", side: "before", skip: Math.floor(round.random.next() * 12) },
            strike: round.random.pick(["crash", "pause"]),
            forUs,
          });
          break;
        case "cut":
          round.at(at, {
            kind: "cut",
            node,
            direction: round.random.pick(["both", "in", "out"]),
            peers: "all",
            forUs,
          });
          break;
      }
    }
  },
});

const changingVotes = inRounds({
  name: "changing-votes",
  about:
    "Votes and nodes change, and within a token the cluster is split, a disk is full, or somebody reboots.",
  tokens: 11,
  play(round) {
    const [first, second, third] = round.shuffled();
    if (first === undefined || second === undefined || third === undefined) return;
    // Changes are asked of the first node: as master it may take one that nobody else ever hears of.
    const asked = Math.min(...round.ids);
    if (round.random.chance(0.6)) round.at(0, { kind: "move", target: asked });
    const target = round.random.pick([asked, first]);
    round.at(0.5, { kind: "set-votes", node: target, votes: round.random.pick([0, 1, 2, 3, 5]) });
    if (round.random.chance(0.3)) round.at(0.55, { kind: "set-votes", node: second, votes: 3 });
    if (round.random.chance(0.4))
      round.at(round.between(0.3, 0.6), { kind: "disk-full", node: third, forUs: round.us(5) });
    const at = round.random.chance(0.5) ? round.between(0.1, 0.5) : round.between(0.45, 3);
    const { few, rest } = round.minority();
    const forUs = round.us(round.between(1.2, 4));
    switch (round.random.pick(["split", "split", "cut", "one-way", "reboot"] as const)) {
      case "split":
        round.at(at, { kind: "partition", side: round.random.pick([few, rest]), forUs });
        break;
      case "cut":
        round.at(at, { kind: "cut", node: asked, direction: "both", peers: "all", forUs });
        break;
      case "one-way":
        round.at(at, { kind: "cut", node: round.master, direction: "out", peers: few, forUs });
        break;
      case "reboot":
        round.at(at, { kind: "power-cut", node: round.master, downUs: round.us(round.between(0.1, 2)) });
        break;
    }
  },
});

const changingNodes = inRounds({
  name: "changing-nodes",
  about: "Nodes are added and taken off the list while the cluster is split or its master goes.",
  tokens: 12,
  play(round) {
    const node = round.random.pick(round.ids);
    const added = 20 + Math.floor(round.random.next() * 60);
    round.at(
      0.5,
      round.random.chance(0.6)
        ? { kind: "add-node", node: added, prio: round.random.pick([1, 50, 150]) }
        : { kind: "remove-node", node },
    );
    const forUs = round.us(round.between(1.2, 4));
    const { few } = round.minority();
    const at = round.between(0.5, 5);
    round.at(
      at,
      round.random.chance(0.5)
        ? { kind: "partition", side: [...few, added], forUs }
        : {
            kind: "cut",
            node: round.master,
            direction: round.random.pick(["both", "out"]),
            peers: "all",
            forUs,
          },
    );
  },
});

const documentsInDoubt = inRounds({
  name: "documents-in-doubt",
  about:
    "Configurations change while masters change, disks are slow or full, and registers are lost or set back.",
  tokens: 9,
  play(round) {
    const [first, second] = round.shuffled();
    if (first === undefined || second === undefined) return;
    round.at(0.5, { kind: "set-prio", node: first, prio: 1 + Math.floor(round.random.next() * 90) });
    if (round.random.chance(0.5))
      round.at(round.between(0.5, 2), {
        kind: "set-prio",
        node: second,
        prio: 1 + Math.floor(round.random.next() * 90),
      });
    const count = 1 + Math.floor(round.random.next() * 3);
    for (let index = 0; index < count; index += 1) {
      const node = round.random.pick([round.master, first, second]);
      const at = round.between(0.4, 2.5);
      const forUs = round.us(round.between(0.05, 3));
      switch (
        round.random.pick(["full", "slow", "lost", "split", "cut", "kill", "reboot", "trap"] as const)
      ) {
        case "full":
          round.at(at, { kind: "disk-full", node, forUs });
          break;
        case "slow":
          round.at(at, { kind: "disk-slow", node, upToUs: round.us(0.5), forUs });
          break;
        case "lost":
          round.at(at, {
            kind: "lose-state",
            node,
            what: "register",
            downUs: round.us(round.between(0.01, 0.5)),
          });
          break;
        case "split":
          round.at(at, { kind: "partition", side: round.minority().few, forUs });
          break;
        case "cut":
          round.at(at, {
            kind: "cut",
            node,
            direction: round.random.pick(["both", "in", "out"]),
            peers: "all",
            forUs,
          });
          break;
        case "kill":
          round.at(at, {
            kind: "crash",
            node,
            process: round.random.pick(["distributor", "evaluator", "all"]),
            downUs: forUs,
          });
          break;
        case "reboot":
          round.at(at, { kind: "power-cut", node, downUs: forUs });
          break;
        case "trap":
          round.at(at, {
            kind: "trap",
            node,
            process: round.random.pick(["distributor", "evaluator"]),
            point: { effect: "persist", side: round.random.pick(["before", "after"]), skip: 0 },
            strike: round.random.pick(["crash", "pause"]),
            forUs,
          });
          break;
      }
    }
  },
});

/** What tries gates, hand-overs and the register where they are thin. */
export const narrowGates: readonly Generator[] = [
  frozenCommand,
  handOverUnheard,
  handOverInTrouble,
  changingVotes,
  changingNodes,
  documentsInDoubt,
];
