export { makeConfig, QuorumWorld, type Violation, type WorldOptions } from "./quorum-world.ts";
