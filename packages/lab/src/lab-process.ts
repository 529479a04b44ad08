/** A program of the lab that looks at something from outside: how it is started, read and ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { QuorateError } from "@quorate/contracts";
import { tryCommand } from "./command.ts";
import type { Lab } from "./lab.ts";
import { LAB_MARK } from "./switch.ts";

export class LabProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #said = "";
  #isStopping = false;
  #failure: string | null = null;

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    child.stdin?.on("error", () => {});
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-2000);
    });
    child.once("error", (error) => {
      this.#failure ??= `${name}: ${error.message}`;
    });
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        if (!this.#isStopping) this.#failure ??= `${name} ended (${code ?? signal}): ${this.#said.trim()}`;
        resolve();
      });
    });
  }

  /** Resolves as soon as `isReady` holds of a line of stdout, or of all that stderr said so far. */
  static async start(
    lab: Lab,
    argv: readonly string[],
    options: { onLine: (line: string) => void; isReady: (said: { line: string; stderr: string }) => boolean },
  ): Promise<LabProcess> {
    const [file = "", ...rest] = argv;
    const child = spawn(file, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], LANG: "C.UTF-8", [LAB_MARK]: lab.place.runDir },
    });
    const started = new LabProcess(child, argv.join(" "));
    await new Promise<void>((resolve, reject) => {
      const look = (line: string) => {
        if (options.isReady({ line, stderr: started.#said })) resolve();
      };
      createInterface({ input: child.stdout }).on("line", (line) => {
        options.onLine(line);
        look(line);
      });
      child.stderr.on("data", () => look(""));
      void started.#ended.then(() =>
        reject(
          new QuorateError("TOOL_FAILED", started.failure ?? "ended", "Is the lab up, and all installed?"),
        ),
      );
    });
    return started;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Why it ended by itself; null while all is well. */
  get failure(): string | null {
    return this.#failure;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#child.stdin?.end();
    this.#child.kill("SIGTERM");
    await this.#ended;
  }
}

/** What watches must not stand still when all cores are busy; without the right to it, it runs as it is. */
export async function realTimePrefix(): Promise<string[]> {
  const prefix = ["chrt", "--fifo", "10"];
  const result = await tryCommand([...prefix, "true"]).catch(() => null);
  return result?.code === 0 ? prefix : [];
}
