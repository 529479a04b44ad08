export { answerSeeds, type Campaign, type CampaignOptions, runCampaign } from "./campaign.ts";
export { GENERATORS, generatorNamed } from "./generators/index.ts";
export type { Generator, GeneratorInput } from "./generators/generator.ts";
export type { ClusterSetup, Invariant, RunOptions, RunResult, Violation } from "./options.ts";
export { clusterOf, runSeed } from "./run.ts";
export type { FaultAction, NodeRef, Noise, ProcessName, Schedule, TrapPoint } from "./schedule.ts";
export { shrink, type ShrinkOptions } from "./shrink.ts";
export { campaignJson, campaignText, runText } from "./telling.ts";
