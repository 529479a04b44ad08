import { GATES } from "./gates.ts";
import { HEARTBEATS } from "./heartbeats.ts";
import { MACHINES } from "./machines.ts";
import type { Mutation } from "./mutation.ts";
import { PROMISES } from "./promises.ts";
import { REGISTER_GUARDS } from "./register.ts";
import { VIEWS } from "./views.ts";

/** Every guard whose removal the simulator must notice. */
export const MUTATIONS: readonly Mutation[] = [
  ...PROMISES,
  ...VIEWS,
  ...REGISTER_GUARDS,
  ...GATES,
  ...HEARTBEATS,
  ...MACHINES,
];
