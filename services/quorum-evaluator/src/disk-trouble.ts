/** What is said while the disk refuses the evaluator's state: to the journal, and to `quorate status`. Pure. */
import { QuorateError, type QuorumMessage, type Reason } from "@quorate/contracts";

export function diskReason(error: Error | null): Reason {
  if (error === null)
    return {
      code: "DISK_ACCEPTED",
      message: "The disk takes the evaluator's state again: this node speaks again.",
    };
  return {
    code: "DISK_REFUSED",
    message: `The disk refuses the evaluator's state: nothing is voted or granted until it takes it. ${error.message}`,
  };
}

/**
 * The newest judgement as `quorate status` gets it. While the disk refuses, it is what was said before: what came
 * after could not be written down, so it was not said. Throws QuorateError DISK_FULL when nothing was ever judged for
 * that reason, REQUEST_TIMEOUT when it was not yet.
 */
export function toldStatus(quorum: QuorumMessage | null, trouble: Error | null): { quorum: QuorumMessage } {
  const remedy = trouble instanceof QuorateError ? trouble.hint : "Make room, or repair the disk.";
  const { message } = diskReason(trouble);
  if (quorum === null) {
    if (trouble !== null) throw new QuorateError("DISK_FULL", message, remedy);
    throw new QuorateError(
      "REQUEST_TIMEOUT",
      "The quorum-evaluator has not judged anything yet.",
      "Ask again in a moment.",
    );
  }
  if (trouble === null) return { quorum };
  const problem = { code: "DISK_FULL", message, facts: { remedy } };
  return { quorum: { ...quorum, problems: [problem, ...quorum.problems] } };
}
