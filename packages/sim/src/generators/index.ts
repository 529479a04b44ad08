import type { Random } from "../random.ts";
import { directed } from "./directed.ts";
import type { Generator } from "./generator.ts";
import { machines } from "./machines.ts";
import { mixed } from "./mixed.ts";
import { narrow } from "./narrow.ts";

/** Every generator; which one a seed gets is drawn by weight. Names are stable: they stand in reports. */
export const GENERATORS: readonly Generator[] = [mixed, ...directed, ...narrow, ...machines];

export function generatorNamed(name: string): Generator | undefined {
  return GENERATORS.find((generator) => generator.name === name);
}

export function drawGenerator(random: Random): Generator {
  const total = GENERATORS.reduce((sum, generator) => sum + generator.weight, 0);
  let left = random.next() * total;
  for (const generator of GENERATORS) {
    left -= generator.weight;
    if (left < 0) return generator;
  }
  return mixed;
}
