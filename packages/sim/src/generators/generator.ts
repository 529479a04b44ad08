import type { ClusterSetup } from "../options.ts";
import type { Random } from "../random.ts";
import type { Schedule } from "../schedule.ts";

export type GeneratorInput = {
  cluster: ClusterSetup;
  tokenUs: number;
  /** Length of the safety phase. */
  faultUs: number;
  random: Random;
};

/** Makes a schedule out of a seed. Pure: equal inputs give equal schedules. */
export type Generator = {
  name: string;
  /** What it goes for, one sentence. */
  about: string;
  /** How often it is drawn, against the others. */
  weight: number;
  generate(input: GeneratorInput): Schedule;
};
