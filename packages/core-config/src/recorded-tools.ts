import type { DocumentTools } from "./documents.ts";

/** One question that a step asked its tools, and what it was answered. */
export type ToolAnswer = readonly [question: keyof DocumentTools, answer: unknown];

/**
 * Tools that note their answers. They read this host's table of names, so the answers are part of what a step was
 * given; with them it can be replayed on another host.
 */
export class RecordedTools implements DocumentTools {
  readonly #tools: DocumentTools;
  #answers: ToolAnswer[] = [];

  constructor(tools: DocumentTools) {
    this.#tools = tools;
  }

  /** The list that is filled from now on. */
  begin(): readonly ToolAnswer[] {
    this.#answers = [];
    return this.#answers;
  }

  digest(text: string): string {
    return this.#note("digest", this.#tools.digest(text));
  }

  read(text: string, fileName: string): ReturnType<DocumentTools["read"]> {
    return this.#note("read", this.#tools.read(text, fileName));
  }

  withVersion(text: string, version: number): ReturnType<DocumentTools["withVersion"]> {
    return this.#note("withVersion", this.#tools.withVersion(text, version));
  }

  swapPrioWithHighest(text: string, node: number): ReturnType<DocumentTools["swapPrioWithHighest"]> {
    return this.#note("swapPrioWithHighest", this.#tools.swapPrioWithHighest(text, node));
  }

  #note<Answer>(question: keyof DocumentTools, answer: Answer): Answer {
    this.#answers.push([question, answer]);
    return answer;
  }
}

/** Tools that answer what was noted, in that order. They throw when they are asked anything else. */
export function replayTools(answers: readonly ToolAnswer[]): DocumentTools {
  let next = 0;
  const answer = (question: keyof DocumentTools) => {
    const noted = answers[next];
    next += 1;
    if (noted?.[0] === question) return noted[1];
    throw new Error(
      `asked its tools for ${question}; when it was recorded it asked for ${noted?.[0] ?? "nothing"}`,
    );
  };
  return {
    digest: () => answer("digest") as string,
    read: () => answer("read") as ReturnType<DocumentTools["read"]>,
    withVersion: () => answer("withVersion") as ReturnType<DocumentTools["withVersion"]>,
    swapPrioWithHighest: () =>
      answer("swapPrioWithHighest") as ReturnType<DocumentTools["swapPrioWithHighest"]>,
  };
}
