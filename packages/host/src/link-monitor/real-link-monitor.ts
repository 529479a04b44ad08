import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { HostContext } from "../tools/host-context.ts";
import { toolCommand, toolEnvironment, toolFailed, toolMissing } from "../tools/run-tool.ts";
import type { LinkEvent, LinkMonitor } from "./link-monitor.ts";
import { parseLinkEvent } from "./parse-link-event.ts";

const RESTART_DELAY_MS = 500;
const START_TIMEOUT_MS = 3_000;
const START_POLL_MS = 5;

/** `ip monitor`, kept open: costs nothing while nothing changes. */
export function createRealLinkMonitor(context: HostContext): LinkMonitor {
  return new RealLinkMonitor(context);
}

class RealLinkMonitor implements LinkMonitor {
  readonly #context: HostContext;
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  #child: ChildProcess | undefined;
  #restartTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(context: HostContext) {
    this.#context = context;
  }

  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    this.#closed = false;
    if (this.#child === undefined) await this.#spawn();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGKILL");
    await gone;
  }

  #emit(event: LinkEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  async #spawn(): Promise<void> {
    // Unlike tools that read from us, this one would not notice our end before the next event.
    const command = ["setpriv", "--pdeathsig", "KILL", "ip", "-o", "monitor", "address", "link"];
    const [file, rest] = toolCommand(this.#context, command);
    const child = spawn(file, rest, { stdio: ["ignore", "pipe", "ignore"], env: toolEnvironment() });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = parseLinkEvent(line);
      if (event !== undefined && child === this.#child) this.#emit(event);
    });
    const failed = new Promise<never>((_, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === "ENOENT" ? toolMissing(file, error) : toolFailed("ip", error.message)),
      );
      child.once("close", (exitCode) =>
        reject(
          exitCode === 127
            ? toolMissing("ip")
            : toolFailed("ip", `monitor ended (exit ${exitCode ?? "by a signal"})`),
        ),
      );
    });
    try {
      await Promise.race([failed, this.#listening(child.pid)]);
    } catch (error) {
      if (this.#child === child) this.#child = undefined;
      child.kill("SIGKILL");
      throw error;
    }
    failed.catch(() => this.#lost(child));
  }

  /** Resolves when the process's netlink socket has joined its groups: from then on the kernel queues events for it. */
  async #listening(pid: number | undefined): Promise<void> {
    const endUs = this.#context.nowUs() + START_TIMEOUT_MS * 1_000;
    while (this.#context.nowUs() < endUs) {
      const table = await readFile(`/proc/${pid ?? 0}/net/netlink`, "utf8").catch(() => "");
      for (const line of table.split("\n")) {
        const [, protocol, portId, groups] = line.trim().split(/\s+/);
        if (protocol === "0" && portId === String(pid) && Number.parseInt(groups ?? "0", 16) !== 0) return;
      }
      await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
    }
    throw toolFailed("ip", `monitor did not start listening within ${START_TIMEOUT_MS} ms`);
  }

  #lost(child: ChildProcess): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#restartLater();
  }

  #restartLater(): void {
    if (this.#closed || this.#child !== undefined) return;
    this.#restartTimer = setTimeout(() => {
      this.#spawn().then(
        () => this.#emit({ kind: "restarted" }),
        () => this.#restartLater(),
      );
    }, RESTART_DELAY_MS);
  }
}
