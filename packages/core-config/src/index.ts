export { type Objection, objectionToChange } from "./change-rules.ts";
export {
  type DocumentTools,
  type DocumentVerdict,
  type EditedText,
  formatRef,
  type StoredDocument,
  sameContent,
  sameRef,
} from "./documents.ts";
export {
  judgeOperatorFile,
  type OperatorFileContent,
  type OperatorFileQuestion,
  type OperatorFileVerdict,
} from "./operator-file.ts";
export { registerProblems } from "./problems.ts";
export { RecordedTools, replayTools, type ToolAnswer } from "./recorded-tools.ts";
export {
  createRegister,
  type Proposal,
  type ProposalResult,
  type RegisterEffect,
  type RegisterEvent,
  type RegisterInput,
  type RegisterState,
} from "./state.ts";
export { stepRegister } from "./step.ts";
