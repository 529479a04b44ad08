import type { Reason } from "@quorate/contracts";
import { formatRef } from "./documents.ts";
import { freshQuorum, isBehindEvaluator } from "./draft.ts";
import type { RegisterState } from "./state.ts";

/** What is degraded, worst first; empty when all is well. */
export function registerProblems(state: RegisterState, nowUs: number): Reason[] {
  const problems: Reason[] = [];
  const quorum = freshQuorum(state, nowUs);
  if (state.storeProblem !== null) problems.push(state.storeProblem);
  if (quorum !== null && isBehindEvaluator(state, quorum)) {
    problems.push({
      code: "REGISTER_BEHIND",
      message:
        `The state folder holds ${formatRef(state.stored.ref)}, but this node has promised ` +
        `${formatRef(quorum.stored)}. It is fetched as soon as a node that has it is heard. Check the disk.`,
    });
  }
  if (state.refused !== null) problems.push(state.refused.reason);
  if (quorum === null) {
    problems.push({
      code: "EVALUATOR_SILENT",
      message: "The quorum-evaluator of this node is not heard; no change is made or fetched meanwhile.",
    });
  }
  return problems;
}
