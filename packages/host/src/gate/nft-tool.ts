import type { HostContext } from "../tools/host-context.ts";
import { runToolOrThrow, toolFailed } from "../tools/run-tool.ts";
import { ToolSession } from "../tools/tool-session.ts";
import type { FilterAnswer } from "./kernel-filter.ts";

/** Loading may wait behind other users of nftables; it has a process of its own and holds nobody up. */
const LOAD_TIMEOUT_MS = 2_000;

/** `Error: syntax error, …`, the word, and carets below it. */
function complaintAt(text: string, mark: string): number | undefined {
  const word = text.lastIndexOf(`\n${mark}\n`);
  if (word < 0 || !/^[ \t]*\^+\n$/.test(text.slice(word + mark.length + 2))) return undefined;
  const start = text.lastIndexOf("\n", word - 1) + 1;
  return text.slice(start, word).includes("Error: syntax error") ? start : undefined;
}

/** nftables through one `nft -i` that is kept open. */
export class NftTool {
  readonly #context: HostContext;
  readonly #session: ToolSession;
  readonly #answerTimeoutMs: number;

  constructor(context: HostContext, answerTimeoutMs: number) {
    this.#context = context;
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#session = new ToolSession(context, { tool: "nft", arguments: ["-i"], complaintAt });
  }

  get starts(): number {
    return this.#session.starts;
  }

  /** One line is one transaction, however many commands are in it. */
  async transact(commands: readonly string[]): Promise<FilterAnswer> {
    const answer = await this.#session.execute(commands.join("; "), this.#answerTimeoutMs);
    if (answer.kind === "lost") return answer;
    const text = answer.text.trim();
    if (text === "") return { kind: "done" };
    if (text.includes("No such file or directory")) return { kind: "no-entry", message: text };
    return { kind: "failed", message: text };
  }

  /** A script of many lines in a process of its own: one transaction, as nft makes of a file. */
  async run(script: string): Promise<void> {
    await runToolOrThrow(this.#context, ["nft", "-f", "-"], { input: script, timeoutMs: LOAD_TIMEOUT_MS });
  }

  /** What nft says of a table (`ip quorate`); undefined when there is none. */
  async list(table: string): Promise<string | undefined> {
    const answer = await this.#session.execute(`list table ${table}`, this.#answerTimeoutMs);
    if (answer.kind === "lost") throw toolFailed("nft", answer.message);
    if (answer.text.includes("No such file or directory")) return undefined;
    if (answer.text.includes("Error:")) throw toolFailed("nft", answer.text);
    return answer.text;
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
