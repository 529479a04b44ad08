import type { Reason } from "@quorate/contracts";
import type { MembershipLoop } from "./loop.ts";

/** What of the loop is looked at. */
export type Troubled = Pick<MembershipLoop, "durable"> & {
  readonly rings: Pick<MembershipLoop["rings"], "problems">;
  readonly state: Pick<MembershipLoop["state"], "identityProblem">;
};

/** What is degraded in this process, worst first; empty when all is well. */
export function membershipProblems(loop: Troubled): Reason[] {
  const { identityProblem } = loop.state;
  const problems: Reason[] = identityProblem === null ? [] : [identityProblem];
  for (const { ring, code, message, hint } of loop.rings.problems) {
    problems.push({ code, message, facts: { ring, remedy: hint } });
  }
  if (!loop.durable) {
    const remedy = "Make room in the state folder; it is tried again by itself.";
    problems.push({
      code: "DISK_FULL",
      message: "membership could not write down the incarnation of its heartbeats.",
      facts: { remedy },
    });
  }
  return problems;
}
