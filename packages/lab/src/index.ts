export * from "./configuration.ts";
export * from "./lab.ts";
export type { LabRecord } from "./record.ts";
export type { LabStatus } from "./status.ts";
