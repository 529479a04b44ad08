export * from "./ballot.ts";
export * from "./cluster-config.ts";
export * from "./errors.ts";
export * from "./evaluator-state.ts";
export * from "./events.ts";
export * from "./local-messages.ts";
export * from "./requests.ts";
export * from "./subjects.ts";
