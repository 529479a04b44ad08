import type { ConfigRef, Reason } from "@quorate/contracts";
import type { DocumentTools } from "./documents.ts";

export type OperatorFileContent =
  | { readonly kind: "missing" }
  | { readonly kind: "unreadable"; readonly message: string }
  | { readonly kind: "text"; readonly text: string };

export interface OperatorFileVerdict {
  /** Replace the file's content with the running document. */
  readonly write: boolean;
  /** What `status` says about the file; null when it is as it should be. */
  readonly note: Reason | null;
}

export interface OperatorFileQuestion {
  readonly fileName: string;
  readonly content: OperatorFileContent;
  /** The document that runs. */
  readonly ref: ConfigRef;
  readonly text: string;
  /** The document that runs is known to be committed: only that is written back. */
  readonly isCommitted: boolean;
  /** Whether some document of the history has this digest: such a file is old, not edited. */
  readonly isKnownDigest: (digest: string) => boolean;
}

/**
 * What to do about the operator's own copy. A file that equals any document of the history was left as
 * written and follows the register; anything else was edited by hand and is never overwritten.
 * Not promised: an edit that is saved in the instant between our last look and our rename is lost.
 */
export function judgeOperatorFile(question: OperatorFileQuestion, tools: DocumentTools): OperatorFileVerdict {
  const { fileName, content, ref, text, isCommitted } = question;
  if (content.kind === "missing") return { write: isCommitted, note: null };
  if (content.kind === "unreadable") {
    const message = `${fileName} cannot be read: ${content.message}. The running configuration stays. Make it a readable file.`;
    return { write: false, note: { code: "FILE_UNREADABLE", message } };
  }
  if (content.text === text) return { write: false, note: null };
  if (question.isKnownDigest(tools.digest(content.text))) return { write: isCommitted, note: null };
  // Applied by `config apply` without a version of its own: the same document but for the number.
  const numbered = tools.withVersion(content.text, ref.version);
  if (numbered.ok && numbered.text === text) return { write: isCommitted, note: null };
  const verdict = tools.read(content.text, fileName);
  if (!verdict.ok) {
    const message =
      `${verdict.reason.message} The running configuration (version ${ref.version}) stays. ` +
      `Repair ${fileName}, or take the running one: quorate config show > ${fileName}`;
    return { write: false, note: { code: "FILE_BROKEN", message } };
  }
  const message =
    `${fileName} was edited and differs from the running configuration (version ${ref.version}), which stays. ` +
    `Make it the next version: quorate config apply ${fileName}; or drop the edit: quorate config show > ${fileName}`;
  return { write: false, note: { code: "FILE_OFFERED", message, facts: { runningVersion: ref.version } } };
}
