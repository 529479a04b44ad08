import type { Generator } from "./generator.ts";
import { narrowGates } from "./narrow-gates.ts";
import { narrowMachines } from "./narrow-machines.ts";
import { narrowPromises } from "./narrow-promises.ts";
import { narrowQuiet } from "./narrow-quiet.ts";
import { narrowRegister } from "./narrow-register.ts";
import { narrowRules } from "./narrow-rules.ts";
import { narrowViews } from "./narrow-views.ts";

/** Stories for single rules: each found a guard that no other schedule missed (docs/manual/mutations.md). */
export const narrow: readonly Generator[] = [
  ...narrowPromises,
  ...narrowViews,
  ...narrowGates,
  ...narrowRules,
  ...narrowQuiet,
  ...narrowRegister,
  ...narrowMachines,
];
