import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import { STORAGE_PROBE_USER } from "../hypervisor/machine-number.ts";
import type { HostContext } from "../tools/host-context.ts";
import { toolCommand, toolEnvironment, toolFailed, toolMissing } from "../tools/run-tool.ts";
import type { StorageProbe, StorageSight } from "./storage-probe.ts";
import { STORAGE_PROBE_SOURCE } from "./storage-probe-source.ts";

type Child = ChildProcessByStdio<Writable, Readable, null>;

interface Pending {
  resolve(sight: StorageSight): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

/** By a kept-open process of the probe's own user; started by the first look, and again by the next one after it ended. */
export function createRealStorageProbe(context: HostContext): StorageProbe {
  return new RealStorageProbe(context);
}

class RealStorageProbe implements StorageProbe {
  readonly #context: HostContext;
  readonly #pending = new Map<number, Pending>();
  #child: Child | undefined;
  #sequence = 0;

  constructor(context: HostContext) {
    this.#context = context;
  }

  look({ address, port }: StorageEndpoint, timeoutMs: number): Promise<StorageSight> {
    return new Promise((resolve, reject) => {
      const child = this.#child ?? this.#start();
      this.#sequence += 1;
      const id = this.#sequence;
      const timer = setTimeout(() => {
        // Its connection must not come about when nobody looks any more.
        child.stdin.write(`drop ${id}\n`);
        this.#settle(id)?.resolve({ kind: "silent", message: `no answer within ${timeoutMs} ms` });
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      child.stdin.write(`look ${id} ${address} ${port}\n`);
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGKILL");
    await gone;
  }

  #start(): Child {
    const line = ["perl", "-e", STORAGE_PROBE_SOURCE, String(STORAGE_PROBE_USER)];
    const [file, rest] = toolCommand(this.#context, line);
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "ignore"], env: toolEnvironment() });
    this.#child = child;
    child.stdin.on("error", () => {});
    createInterface({ input: child.stdout }).on("line", (said) => {
      if (child === this.#child) this.#receive(said);
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
          : toolFailed("perl", `the probe ended (exit ${exitCode ?? "by a signal"})`),
      ),
    );
    return child;
  }

  #receive(line: string): void {
    const [word = "", id = "", ...rest] = line.split(" ");
    const pending = this.#settle(Number(id));
    const message = rest.join(" ");
    if (word === "answers") pending?.resolve({ kind: "answers" });
    else if (word === "refused" || word === "silent") pending?.resolve({ kind: word, message });
    else pending?.reject(toolFailed("perl", message));
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #abandon(child: Child, error: unknown): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error);
  }
}
