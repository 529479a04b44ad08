export { type FailoverConfig, failoverConfigOf, type Timing, timingOf } from "./config.ts";
export { type FailoverInput, type FailoverResult, isTakenDown, step } from "./failover.ts";
export { judge, type Verdict } from "./grant.ts";
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
