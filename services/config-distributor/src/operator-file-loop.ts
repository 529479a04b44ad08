import type { Reason } from "@quorate/contracts";
import {
  type DocumentTools,
  judgeOperatorFile,
  type OperatorFileContent,
  type RegisterState,
  sameContent,
} from "@quorate/core-config";
import { type Logger, monotonicUs } from "@quorate/runtime";
import type { DocumentStore } from "./document-store.ts";
import type { OperatorFile } from "./operator-file.ts";

/** After a failed write back, the next attempt. */
const WRITE_RETRY_US = 10_000_000;

export interface OperatorFileLoopOptions {
  file: OperatorFile;
  store: DocumentStore;
  tools: DocumentTools;
  logger: Logger;
  state: () => RegisterState;
  onNote: (note: Reason | null) => void;
}

/** Keeps the operator's file equal to what is committed, unless the operator has edited it. */
export class OperatorFileLoop {
  readonly #options: OperatorFileLoopOptions;
  #note: Reason | null = null;
  #writeProblem: Reason | null = null;
  #isWriting = false;
  #notBeforeUs = Number.NEGATIVE_INFINITY;

  constructor(options: OperatorFileLoopOptions) {
    this.#options = options;
  }

  /** What `status` says about the file; null when all is well. */
  get note(): Reason | null {
    return this.#note ?? this.#writeProblem;
  }

  /** Compares and repairs; call it as often as you like. */
  check(): void {
    if (this.#isWriting) return;
    const { file, store, tools, onNote } = this.#options;
    const state = this.#options.state();
    const { ref, text } = state.stored;
    const committed = state.quorum?.committed ?? null;
    const content = file.look();
    const verdict = judgeOperatorFile(
      {
        fileName: file.path,
        content,
        ref,
        text,
        isCommitted: committed !== null && sameContent(committed, ref),
        isKnownDigest: (digest) => store.hasDigest(digest),
      },
      tools,
    );
    this.#note = verdict.note;
    if (!verdict.write) {
      this.#writeProblem = null;
      onNote(this.note);
      return;
    }
    onNote(this.note);
    if (monotonicUs() < this.#notBeforeUs) return;
    void this.#write(content, text, ref.version);
  }

  async #write(content: OperatorFileContent, text: string, version: number): Promise<void> {
    const { file, logger, onNote } = this.#options;
    this.#isWriting = true;
    try {
      const isWritten = await file.replace(content, text);
      this.#writeProblem = null;
      if (isWritten) logger.info({ file: file.path, version }, "the operator's file was brought up to date");
    } catch (error) {
      this.#notBeforeUs = monotonicUs() + WRITE_RETRY_US;
      const message =
        `${file.path} could not be brought up to version ${version}: ${String(error)}. The running ` +
        "configuration is not touched by that. Make the file writable for root, and make room.";
      this.#writeProblem = { code: "FILE_NOT_WRITTEN", message };
      onNote(this.note);
    } finally {
      this.#isWriting = false;
    }
  }
}
