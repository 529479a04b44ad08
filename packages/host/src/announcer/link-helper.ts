import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { HostContext } from "../tools/host-context.ts";
import { toolCommand, toolEnvironment, toolFailed, toolMissing } from "../tools/run-tool.ts";
import { LINK_HELPER_SOURCE } from "./link-helper-source.ts";

export interface LinkHelperEvents {
  claim(device: string, address: string, mac: string): void;
  /** The device can't be watched now. */
  lost(device: string): void;
  /** The process ended; what it watched is forgotten. */
  ended(): void;
}

interface Pending {
  resolve(outcome: "ok" | "held"): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

const ANSWER_TIMEOUT_MS = 1_000;
const COMMANDS_AT_ONCE = 256;

/** The kept-open helper process; started by the first command, and again by the next one after it ended. */
export class LinkHelper {
  readonly #context: HostContext;
  readonly #events: LinkHelperEvents;
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #sequence = 0;

  constructor(context: HostContext, events: LinkHelperEvents) {
    this.#context = context;
    this.#events = events;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Sends one command; `held` means that a shut gate kept the frame. Throws as `Announcer` says. */
  command(verb: "announce" | "ask" | "watch", words: readonly string[]): Promise<"ok" | "held"> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= COMMANDS_AT_ONCE) {
        reject(toolFailed("perl", "too many announcements are under way"));
        return;
      }
      const child = this.#child ?? this.#start();
      this.#sequence += 1;
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        this.#abandon(
          child,
          toolFailed("perl", `did not answer within ${ANSWER_TIMEOUT_MS} ms and was killed`),
        );
      }, ANSWER_TIMEOUT_MS);
      this.#pending.set(this.#sequence, { resolve, reject, timer });
      child.stdin.write(`${[verb, this.#sequence, ...words].join(" ")}\n`);
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGKILL");
    await gone;
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const [file, rest] = toolCommand(this.#context, ["perl", "-e", LINK_HELPER_SOURCE]);
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "ignore"], env: toolEnvironment() });
    this.#child = child;
    child.stdin.on("error", () => {});
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (child === this.#child) this.#receive(line);
    });
    child.once("error", (error: NodeJS.ErrnoException) =>
      this.#abandon(
        child,
        error.code === "ENOENT" ? toolMissing(file, error) : toolFailed("perl", error.message),
      ),
    );
    child.once("close", (exitCode) =>
      this.#abandon(
        child,
        exitCode === 127
          ? toolMissing("perl")
          : toolFailed("perl", `ended (exit ${exitCode ?? "by a signal"})`),
      ),
    );
    return child;
  }

  #receive(line: string): void {
    const [word = "", first = "", ...rest] = line.split(" ");
    switch (word) {
      case "claim":
        this.#events.claim(first, rest[0] ?? "", rest[1] ?? "");
        return;
      case "lost":
        this.#events.lost(first);
        return;
      case "ok":
      case "held":
        this.#settle(Number(first))?.resolve(word);
        return;
      default:
        this.#settle(Number(first))?.reject(toolFailed("perl", rest.join(" ")));
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #abandon(child: unknown, error: unknown): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error);
    this.#events.ended();
  }
}
