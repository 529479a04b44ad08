export * from "./configuration.ts";
export * from "./lab.ts";
export type { LabRecord } from "./record.ts";
export type { LabStatus } from "./status.ts";
export * from "./observer.ts";
export * from "./plan.ts";
export type { TallyReport } from "./tally.ts";
