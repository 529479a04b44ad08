export { isSilenceShown, judgesBySilence } from "./inbox.ts";
export { roleOf } from "./outgoing.ts";
export { compareRank, countVotes, isQuorum, quorumValue, sameElectorate } from "./quorum.ts";
export { rehearseHandOvers } from "./rehearsal.ts";
export {
  amnesicState,
  initialState,
  type QuorumEffect,
  type QuorumInput,
  type QuorumResult,
  type QuorumState,
  startQuorum,
} from "./state.ts";
export { stepQuorum } from "./step.ts";
export { type Timing, timingOf } from "./timing.ts";
