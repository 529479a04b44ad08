export type { Violation } from "./checker.ts";
export { QuorumWorld, type WorldOptions } from "./quorum-world.ts";
