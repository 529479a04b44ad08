import type { FaultAction, NodeRef } from "../schedule.ts";
import { drawLengthUs, drawNode, drawNoise, drawProcess, drawTrap, ids, sorted } from "./building.ts";
import type { Generator, GeneratorInput } from "./generator.ts";

/** From the start until the first master, nothing happens more often than not. */
const CALM_TOKENS = 3;

/** Everything, at random, about one fault a second. */
export const mixed: Generator = {
  name: "mixed",
  about: "every kind of fault at random instants, on any node",
  weight: 4,
  generate(input) {
    const { random, tokenUs, faultUs } = input;
    const actions: FaultAction[] = [];
    let atUs = random.chance(0.2) ? 0 : CALM_TOKENS * tokenUs;
    const everyUs = tokenUs * random.pick([0.4, 0.8, 1.5, 3]);
    let tag = 0;
    while (atUs < faultUs) {
      actions.push(drawAction(input, atUs, `m${tag++}`));
      atUs += random.between(1, Math.round(everyUs * 2));
    }
    return { noise: drawNoise(random), actions: sorted(actions) };
  },
};

type Draw = (input: GeneratorInput, atUs: number, node: NodeRef) => FaultAction;

const lengthUs = (input: GeneratorInput) => drawLengthUs(input.random, input.tokenUs);

/** Those that should be frequent stand here more than once. */
const DRAWS: readonly Draw[] = [
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "crash",
    node,
    process: drawProcess(random),
    downUs: random.chance(0.7) ? random.between(50_000, tokenUs / 2) : random.between(50_000, 4 * tokenUs),
  }),
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "crash",
    node,
    process: "all",
    downUs: random.between(100_000, tokenUs),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "pause",
    node,
    process: drawProcess(input.random),
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({ atUs, kind: "pause", node, process: "all", forUs: lengthUs(input) }),
  (input, atUs, node) => drawTrap(input, node, atUs),
  (input, atUs, node) => drawTrap(input, node, atUs),
  (input, atUs, node) => ({
    atUs,
    kind: "slow",
    node,
    process: drawProcess(input.random),
    forUs: lengthUs(input),
    eachUs: input.random.between(500, 20_000),
  }),
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "power-cut",
    node,
    downUs: random.between(200_000, 5 * tokenUs),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "cut",
    node,
    direction: "both",
    peers: "all",
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "cut",
    node,
    direction: input.random.pick(["in", "out"] as const),
    peers: input.random.chance(0.5) ? "all" : [input.random.pick(ids(input))],
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "cut",
    node,
    direction: "both",
    peers: "all",
    rings: [0],
    forUs: lengthUs(input),
  }),
  (input, atUs) => {
    const side = ids(input).filter(() => input.random.chance(0.5));
    return { atUs, kind: "partition", side, forUs: lengthUs(input) };
  },
  (input, atUs) => ({ atUs, kind: "switch-down", forUs: lengthUs(input) }),
  (input, atUs) => ({
    atUs,
    kind: "loss",
    rate: input.random.pick([0.1, 0.3, 0.6]),
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "loss",
    node,
    rate: input.random.pick([0.3, 0.6, 0.9]),
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "network-delay",
    ...(input.random.chance(0.5) ? { node } : {}),
    upToUs: lengthUs(input),
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({ atUs, kind: "replay", from: node, count: input.random.between(1, 40) }),
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "bus-loss",
    node,
    downUs: random.between(50_000, 2 * tokenUs),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "bus-slow",
    node,
    upToUs: lengthUs(input),
    forUs: lengthUs(input),
  }),
  (input, atUs, node) => ({ atUs, kind: "disk-full", node, forUs: lengthUs(input) }),
  (input, atUs, node) => ({
    atUs,
    kind: "disk-slow",
    node,
    upToUs: input.random.between(5_000, input.tokenUs),
    forUs: lengthUs(input),
  }),
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "lose-state",
    node,
    what: random.pick(["evaluator", "evaluator", "register", "incarnation"] as const),
    downUs: random.between(100_000, 2 * tokenUs),
  }),
  (input, atUs, node) => ({
    atUs,
    kind: "kernel-slow",
    node,
    upToUs: lengthUs(input),
    forUs: lengthUs(input),
  }),
  (_input, atUs, node) => ({ atUs, kind: "flush-ruleset", node }),
  (_input, atUs, node) => ({ atUs, kind: "remove-address", node }),
  (input, atUs) => ({ atUs, kind: "foreign-claim", forUs: lengthUs(input) }),
  (input, atUs, node) => ({ atUs, kind: "no-carrier", node, forUs: lengthUs(input) }),
  (_input, atUs, node) => ({ atUs, kind: "service-crash", node }),
  (input, atUs, node) => ({ atUs, kind: "service-broken", node, forUs: lengthUs(input) }),
  ({ random }, atUs, node) => ({
    atUs,
    kind: "wall-step",
    node,
    byMs: random.pick([-3_600_000, -5000, 5000, 3_600_000]),
  }),
  (input, atUs) => ({ atUs, kind: "move", target: input.random.pick(ids(input)) }),
  (input, atUs) => ({ atUs, kind: "move", target: `slave:${atUs}` }),
  ({ random, tokenUs }, atUs, node) => ({
    atUs,
    kind: "drain",
    node,
    downUs: random.between(200_000, 2 * tokenUs),
  }),
  (input, atUs) => ({
    atUs,
    kind: "set-prio",
    node: input.random.pick(ids(input)),
    prio: input.random.between(1, 300),
  }),
  (input, atUs) => ({
    atUs,
    kind: "set-votes",
    node: input.random.pick(ids(input)),
    votes: input.random.between(1, 3),
  }),
  (input, atUs) => ({ atUs, kind: "add-node", node: ids(input).length + 1, prio: 50 }),
  (input, atUs) => ({ atUs, kind: "remove-node", node: input.random.pick(ids(input)) }),
];

export function drawAction(input: GeneratorInput, atUs: number, tag: string): FaultAction {
  return input.random.pick(DRAWS)(input, atUs, drawNode(input, tag));
}
