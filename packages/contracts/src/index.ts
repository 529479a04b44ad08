export * from "./cluster-config.ts";
export * from "./errors.ts";
