export { type FailoverConfig, failoverConfigOf, type Timing, timingOf } from "./config.ts";
export { type FailoverInput, type FailoverResult, isTakenDown, step } from "./failover.ts";
export { judge, type Verdict } from "./grant.ts";
export { rehearseTakeOvers } from "./rehearsal.ts";
export { createFailoverState, type FailoverEvent, type FailoverState } from "./state.ts";
export {
  type Carrier,
  compareGrantNames,
  type FileName,
  type FileState,
  type GateRefusal,
  type GrantName,
  type IssuedStep,
  type Step,
  type StepError,
  type StepOutcome,
} from "./step.ts";
export { type VmHostInput, type VmHostResult, stepVmHost } from "./vm/host.ts";
export {
  createVmHostState,
  type GateOpening,
  type SeenCopy,
  type VmGrant,
  type VmHostConfig,
  type VmHostEffect,
  type VmHostState,
  type VmOutcome,
  type VmStep,
} from "./vm/host-state.ts";
export { planWithout, type PlanWithout } from "./vm/plan-without.ts";
export { OPEN_POLICY, type Plan, plan, type PlanNode, type PlanPolicy, type PlanVm } from "./vm/planner.ts";
export { isOffWanted } from "./vm/power-device.ts";
export { whyNotOff } from "./vm/power-off.ts";
export {
  createStorageWatch,
  type SeenStorage,
  stepStorageWatch,
  STORAGE_LOOK_LIMIT_US,
  type StorageLook,
  type StorageWatchInput,
  type StorageWatchResult,
  type StorageWatchState,
} from "./vm/storage-watch.ts";
export { straysOf } from "./vm/survey.ts";
export { type RelocatorInput, type RelocatorResult, stepRelocator } from "./vm/relocator.ts";
export {
  createRelocatorState,
  type Judgement,
  type RelocatorConfig,
  type RelocatorEffect,
  type RelocatorState,
} from "./vm/relocator-state.ts";
export {
  type CopyFailure,
  type CopyReport,
  type CopyState,
  compareRecords,
  isGivenUp,
  type PlacementName,
  type VmId,
  type VmOrder,
  type VmRecord,
  type VmReport,
  type VmStatement,
} from "./vm/words.ts";
