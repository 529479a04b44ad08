import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A process of a test, whose lines are waited for. */
export class Talker {
  readonly #child: Child;
  readonly #closed: Promise<unknown>;
  readonly #said: string[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(command: readonly string[]) {
    const [file = "", ...rest] = command;
    this.#child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => {});
    this.#closed = new Promise((resolve) => this.#child.once("close", resolve));
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.#said.push(line);
      for (const listener of [...this.#listeners]) listener();
    });
  }

  get said(): readonly string[] {
    return this.#said;
  }

  /** nsenter and setpriv become the program: this is its own. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  order(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The first line that begins so. */
  async hear(start: string): Promise<string> {
    for (;;) {
      const line = this.#said.find((each) => each.startsWith(start));
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.closed();
  }

  /** It has ended, and all that it said is heard. */
  closed(): Promise<unknown> {
    return this.#closed;
  }
}
