import type { QuorateError } from "@quorate/contracts";
import type { HostContext } from "./host-context.ts";
import { toolFailed } from "./run-tool.ts";
import { ToolSession } from "./tool-session.ts";

const ANSWER_TIMEOUT_MS = 1_000;

/** One `ip -batch` kept open (0.1 ms a command instead of a process), shared by the drivers that ask the kernel. */
export interface IpTool {
  /** Carries out one line of `ip`'s own language and returns its JSON, undefined when it says nothing. Throws. */
  command(line: string): Promise<unknown>;
  readonly context: HostContext;
  close(): Promise<void>;
}

export function createIpTool(context: HostContext): IpTool {
  const session = new ToolSession(context, {
    tool: "ip",
    arguments: ["-j", "-force", "-batch", "-"],
    complaintAt(text, mark) {
      const start = text.lastIndexOf(`Object "${mark}" is unknown`);
      const whole = start >= 0 && /^[^\n]*\nCommand failed [^\n]*\n$/.test(text.slice(start));
      return whole ? start : undefined;
    },
  });
  async function attempt(line: string): Promise<{ text: string } | { error: QuorateError }> {
    const answer = await session.execute(line, ANSWER_TIMEOUT_MS);
    if (answer.kind === "lost") return { error: toolFailed("ip", answer.message) };
    const complaint = /^Command failed .*$/m.test(answer.text);
    const words = answer.text.replace(/^Command failed .*$/m, "");
    return complaint ? { error: toolFailed("ip", words) } : { text: answer.text };
  }
  return {
    context,
    async command(line) {
      let result = await attempt(line);
      if ("error" in result) {
        // A long-lived ip remembers the index of a device that has been made anew under its old name.
        await session.close();
        result = await attempt(line);
      }
      if ("error" in result) throw result.error;
      const text = result.text.trim();
      return text === "" ? undefined : JSON.parse(text);
    },
    close: () => session.close(),
  };
}
