import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { HostContext } from "./host-context.ts";
import { toolCommand, toolEnvironment, toolFailed, toolMissing } from "./run-tool.ts";

export type SessionAnswer =
  /** The tool has carried out the line, or said why not: its words, empty for silence. */
  | { readonly kind: "answered"; readonly text: string }
  /** No answer in time, or the tool ended: whether the line was carried out is unknown, and it will not be later. */
  | { readonly kind: "lost"; readonly message: string };

export interface ToolSessionOptions {
  readonly tool: string;
  readonly arguments: readonly string[];
  /**
   * Where the tool's complaint about the unknown word `mark`, at the very end of its output, begins; undefined when
   * it is not complete. By plain searching: a new regular expression per line would cost more than the tool.
   */
  complaintAt(text: string, mark: string): number | undefined;
}

interface Pending {
  readonly mark: string;
  settle(answer: SessionAnswer): void;
  fail(error: unknown): void;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

const OUTPUT_LIMIT_CHARACTERS = 4_194_304;

/**
 * `nft -i` keeps every line it has ever read (220 bytes each, 380 MB a day at our pace; measured), so the tool is ended
 * after so many lines, when idle, and started anew by the next one (some 5 ms, every eight minutes).
 */
const LINES_PER_PROCESS = 5_000;

/**
 * A tool that reads commands line by line, kept open over a pipe so that a command costs no process start.
 *
 * Neither nft nor ip confirms a success, so every line is followed by a word that the tool does not know: its complaint
 * about that word proves that the line before has been carried out (one process, in order), and costs no kernel call.
 * One line at a time. A tool that doesn't answer in time is killed, so that nothing it still holds is carried out later.
 */
export class ToolSession {
  readonly #context: HostContext;
  readonly #options: ToolSessionOptions;
  #child: Child | undefined;
  #pending: Pending | undefined;
  #text = "";
  #sequence = 0;
  #linesOfProcess = 0;
  #starts = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: HostContext, options: ToolSessionOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** How many times the tool was started. */
  get starts(): number {
    return this.#starts;
  }

  /** The tool's process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Has the tool carry out one line. Lines wait for each other; the time limit counts from the line's own turn.
   * Throws TOOL_MISSING; every other trouble is an answer.
   */
  execute(line: string, timeoutMs: number): Promise<SessionAnswer> {
    if (line.includes("\n")) throw new Error("one line at a time");
    const turn = this.#last.then(() => this.#executeNow(line, timeoutMs));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Ends the tool. A line being carried out is lost. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGKILL");
    await gone;
  }

  #executeNow(line: string, timeoutMs: number): Promise<SessionAnswer> {
    return new Promise((resolve, reject) => {
      const child = this.#child ?? this.#start();
      this.#sequence += 1;
      this.#linesOfProcess += 1;
      const mark = `quorate_end_${this.#sequence}`;
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        this.#abandon(child, `${this.#options.tool} did not answer within ${timeoutMs} ms and was killed`);
      }, timeoutMs);
      const done = (): void => {
        clearTimeout(timer);
        this.#pending = undefined;
      };
      this.#text = "";
      this.#pending = {
        mark,
        settle: (answer) => {
          done();
          resolve(answer);
        },
        fail: (error) => {
          done();
          reject(error);
        },
      };
      child.stdin.write(`${line}\n${mark}\n`);
    });
  }

  #start(): Child {
    this.#starts += 1;
    this.#linesOfProcess = 0;
    const tool = this.#options.tool;
    // Complaints and listings through one pipe, so that their order is the tool's own.
    const script = 'exec "$0" "$@" 2>&1';
    const [file, rest] = toolCommand(this.#context, ["sh", "-c", script, tool, ...this.#options.arguments]);
    // No home, so that nft leaves no .nft.history in it.
    const environment = { ...toolEnvironment(), HOME: "/nonexistent" };
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "ignore"], env: environment });
    this.#child = child;
    child.stdin.on("error", () => {});
    child.stdout.setEncoding("utf8").on("data", (text: string) => this.#receive(child, text));
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (child !== this.#child) return;
      this.#child = undefined;
      this.#pending?.fail(
        error.code === "ENOENT" ? toolMissing(file, error) : toolFailed(tool, error.message),
      );
    });
    child.once("close", (exitCode) => {
      if (child !== this.#child) return;
      if (exitCode === 127) {
        this.#child = undefined;
        this.#pending?.fail(toolMissing(tool));
        return;
      }
      const words = this.#text.trim().slice(0, 500);
      this.#abandon(child, `${tool} ended by itself (exit ${exitCode ?? "by a signal"}) ${words}`.trim());
    });
    return child;
  }

  #receive(child: Child, text: string): void {
    const pending = this.#pending;
    if (child !== this.#child || pending === undefined) return;
    this.#text += text;
    if (this.#text.length > OUTPUT_LIMIT_CHARACTERS) {
      child.kill("SIGKILL");
      this.#abandon(child, `${this.#options.tool} said too much and was killed`);
      return;
    }
    const at = this.#options.complaintAt(this.#text, pending.mark);
    if (at === undefined) return;
    const answer = this.#text.slice(0, at);
    this.#text = "";
    if (this.#linesOfProcess >= LINES_PER_PROCESS) this.#retire(child);
    pending.settle({ kind: "answered", text: answer });
  }

  #retire(child: Child): void {
    this.#child = undefined;
    child.stdin.end();
  }

  #abandon(child: Child, message: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#pending?.settle({ kind: "lost", message });
  }
}
