import type { Generator } from "./generator.ts";
import { narrowGates } from "./narrow-gates.ts";
import { narrowPromises } from "./narrow-promises.ts";
import { narrowViews } from "./narrow-views.ts";

/** Stories for single rules: each found a guard that no other schedule missed (docs/manual/mutations.md). */
export const narrow: readonly Generator[] = [...narrowPromises, ...narrowViews, ...narrowGates];
