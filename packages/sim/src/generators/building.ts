import type { NodeId } from "@quorate/contracts";
import type { Random } from "../random.ts";
import { type FaultAction, type Noise, type NodeRef, type ProcessName, QUIET } from "../schedule.ts";
import type { GeneratorInput } from "./generator.ts";

/** Effects at which each process may be struck; see README.md. */
export const STRIKE_POINTS = {
  membership: ["persist", "send", "heard", "peers"],
  evaluator: ["persist", "ballot", "grant", "judge", "quorum"],
  actuator: [
    "gate-permit",
    "gate-commit",
    "gate-shut",
    "gate-load",
    "report",
    "persist-closed",
    "add-address",
  ],
  distributor: ["persist", "announce", "fetch"],
} as const;

export function drawNoise(random: Random): Noise {
  if (random.chance(0.15)) return QUIET;
  return {
    loss: random.pick([0, 0, 0.01, 0.05, 0.2]),
    duplicate: random.pick([0, 0.01, 0.1]),
    late: random.pick([0, 0.002, 0.02]),
    replay: random.pick([0, 0.01, 0.1]),
    busLate: random.pick([0, 0.001, 0.01]),
  };
}

export function sorted(actions: FaultAction[]): FaultAction[] {
  return actions.toSorted((left, right) => left.atUs - right.atUs);
}

export function ids(input: GeneratorInput): NodeId[] {
  return input.cluster.nodes.map((node) => node.id);
}

/** The master more often than a slave: most of what can go wrong goes wrong there. `tag` binds it. */
export function drawNode(input: GeneratorInput, tag: string): NodeRef {
  const { random } = input;
  if (random.chance(0.5)) return `master:${tag}`;
  return random.chance(0.3) ? `slave:${tag}` : random.pick(ids(input));
}

/** From a fraction of a token to several, the short and the critical lengths about T more often. */
export function drawLengthUs(random: Random, tokenUs: number): number {
  const tokens = random.pick([0.05, 0.2, 0.5, 0.9, 1, 1.1, 1.5, 2.5, 4]);
  return Math.round(tokenUs * tokens * (0.8 + 0.4 * random.next()));
}

export function drawProcess(random: Random): ProcessName {
  return random.pick([
    "evaluator",
    "evaluator",
    "actuator",
    "actuator",
    "membership",
    "distributor",
  ] as const);
}

export function drawTrap(input: GeneratorInput, node: NodeRef, atUs: number): FaultAction {
  const { random, tokenUs } = input;
  const process = drawProcess(random);
  return {
    atUs,
    kind: "trap",
    node,
    process,
    point: {
      effect: random.chance(0.2) ? "any" : random.pick<string>(STRIKE_POINTS[process]),
      side: random.pick(["before", "after"] as const),
      skip: random.pick([0, 0, 1, 3]),
    },
    strike: random.pick(["crash", "pause"] as const),
    forUs: drawLengthUs(random, tokenUs),
  };
}
