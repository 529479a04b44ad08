import { EXIT_CODES, type ExitCode, printable, QuorateError } from "@quorate/contracts";
import { type Paint, PLAIN } from "./status-text.ts";

/** Where a command writes to. */
export interface Output {
  write(text: string): void;
  complain(text: string): void;
  /** People look on: colour, and a screen that can be cleared. */
  readonly isTerminal: boolean;
}

export const PROCESS_OUTPUT: Output = {
  write: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
};

/** https://no-color.org: any value but the empty one means no colour. */
export function paintFor(output: Output, environment: NodeJS.ProcessEnv = process.env): Paint {
  if ((environment["NO_COLOR"] ?? "") !== "" || !output.isTerminal) return PLAIN;
  const code = (number: number) => (text: string) => `\u001b[${number}m${text}\u001b[0m`;
  return { good: code(32), bad: code(31), faint: code(2) };
}

export interface ShowOptions {
  json?: boolean | undefined;
  watch?: boolean | undefined;
}

/** What a command shows, both ways, and how it ends. */
export interface Shown {
  json: unknown;
  text: string;
  exit?: ExitCode;
}

const WATCH_EVERY_MS = 1000;

/** Shows once, or again and again until a signal. With --json one line per showing when watching. */
export async function show(
  output: Output,
  options: ShowOptions,
  look: () => Promise<Shown>,
): Promise<ExitCode> {
  for (;;) {
    let shown: Shown;
    try {
      shown = await look();
    } catch (error) {
      // Whoever watches wants to see it come back.
      if (options.watch !== true || !(error instanceof QuorateError)) throw error;
      shown = { json: failureJson(error), text: failureText(error) };
    }
    if (options.json === true) {
      output.write(`${JSON.stringify(shown.json, null, options.watch === true ? 0 : 2)}\n`);
    } else {
      if (options.watch === true && output.isTerminal) output.write("\u001b[H\u001b[2J");
      output.write(shown.text);
    }
    if (options.watch !== true) return shown.exit ?? EXIT_CODES.ok;
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
  }
}

export function failureText(error: QuorateError): string {
  return printable(`quorate: ${error.message}\n  what to do: ${error.hint}\n`);
}

export function failureJson(error: QuorateError): unknown {
  return { error: { code: error.code, message: error.message, hint: error.hint } };
}
