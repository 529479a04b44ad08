import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { HostContext } from "../tools/host-context.ts";
import { toolCommand, toolEnvironment } from "../tools/run-tool.ts";

const RESTART_FIRST_MS = 500;
const RESTART_MOST_MS = 10_000;
/** virsh is connected before it has asked for events, and says nothing when it has. */
const SUBSCRIBED_MS = 1000;

/** `virsh event`, kept open. Calls back for every lifecycle event, and when the stream is there, lost, or back. */
export class DomainEvents {
  readonly #context: HostContext;
  readonly #uri: string;
  readonly #listeners = new Set<() => void>();
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #subscribed: NodeJS.Timeout | undefined;
  #waitMs = RESTART_FIRST_MS;
  #closed = false;

  constructor(context: HostContext, uri: string) {
    this.#context = context;
    this.#uri = uri;
  }

  /** The stream begins with the first listener. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#child === undefined && this.#timer === undefined) this.#spawn();
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#subscribed);
    this.#child?.kill("SIGKILL");
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #spawn(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    // virsh buffers what it writes to a pipe, and would not notice our end before the next event.
    // Its first line says that it is connected: what happened before was told to nobody.
    const virsh = ["virsh", "-c", this.#uri, "echo listening; event --event lifecycle --loop"];
    const [file, rest] = toolCommand(this.#context, [
      "setpriv",
      "--pdeathsig",
      "KILL",
      "stdbuf",
      "-oL",
      ...virsh,
    ]);
    const child = spawn(file, rest, { stdio: ["ignore", "pipe", "ignore"], env: toolEnvironment() });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", () => {
      this.#waitMs = RESTART_FIRST_MS;
      this.#subscribed ??= setTimeout(() => this.#tell(), SUBSCRIBED_MS);
      this.#tell();
    });
    let ended = false;
    const again = () => {
      if (ended || this.#closed) return;
      ended = true;
      clearTimeout(this.#subscribed);
      this.#subscribed = undefined;
      this.#timer = setTimeout(() => this.#spawn(), this.#waitMs);
      this.#waitMs = Math.min(RESTART_MOST_MS, this.#waitMs * 2);
      this.#tell();
    };
    child.once("error", again);
    child.once("close", again);
  }
}
