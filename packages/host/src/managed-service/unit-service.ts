import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { runTool } from "../tools/run-tool.ts";
import type { ManagedService, ServiceState } from "./managed-service.ts";
import { parseStat, type ProcessIdentity } from "./process-table.ts";
import { ProcessWatch } from "./process-watch.ts";
import { readFile } from "node:fs/promises";

export interface UnitServiceOptions {
  readonly unit: string;
}

const KILL_LIMIT_MS = 10_000;

/** A systemd unit. systemd keeps it alive over our own crashes; it must not be enabled, or every node would run it. */
export function createUnitService(context: HostContext, options: UnitServiceOptions): ManagedService {
  return new UnitService(context, options.unit);
}

class UnitService implements ManagedService {
  readonly #context: HostContext;
  readonly #unit: string;
  readonly #listeners = new Set<() => void>();
  readonly #watch: ProcessWatch;

  constructor(context: HostContext, unit: string) {
    this.#context = context;
    this.#unit = unit;
    this.#watch = new ProcessWatch(() => {
      for (const listener of [...this.#listeners]) listener();
    });
  }

  async start(): Promise<void> {
    // A unit that failed too often in a short time is refused otherwise; how often to try is the caller's to decide.
    await this.#systemctl(["reset-failed", this.#unit], 5_000, true);
    await this.#systemctl(["start", "--no-block", this.#unit], 5_000);
  }

  async stop(graceUs: number): Promise<void> {
    this.#watch.watch(undefined);
    await this.#systemctl(["stop", "--no-block", this.#unit], 5_000);
    const endUs = this.#context.nowUs() + graceUs;
    let killed = false;
    for (;;) {
      const properties = await this.#properties();
      if (["inactive", "failed"].includes(properties.get("ActiveState") ?? "")) return;
      const nowUs = this.#context.nowUs();
      if (nowUs >= endUs && !killed) {
        killed = true;
        await this.#systemctl(["kill", "--signal=SIGKILL", this.#unit], 5_000, true);
      }
      if (nowUs >= endUs + KILL_LIMIT_MS * 1_000) throw this.#failed("it does not stop, not even by SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async inspect(): Promise<ServiceState> {
    const state = unitState(await this.#properties());
    this.#watch.watch(state.kind === "running" ? await identify(state.pid) : undefined);
    return state;
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#watch.watch(undefined);
  }

  async #properties(): Promise<ReadonlyMap<string, string>> {
    const names = "--property=LoadState,ActiveState,SubState,MainPID,Result";
    return parseProperties(await this.#systemctl(["show", names, this.#unit], 5_000));
  }

  async #systemctl(words: readonly string[], timeoutMs: number, forgiving = false): Promise<string> {
    const result = await runTool(this.#context, ["systemctl", ...words], { timeoutMs });
    if (result.exitCode === 0 || forgiving) return result.output;
    const text = (result.errorOutput || result.output).trim();
    if (/not been booted with systemd|Failed to connect to bus/.test(text)) {
      throw new QuorateError(
        "TOOL_MISSING",
        "This host does not run systemd, and the managed service is a unit of it.",
        "Give managed_service { command: … } instead of unit, or boot with systemd.",
      );
    }
    throw this.#failed(text);
  }

  #failed(words: string): QuorateError {
    return new QuorateError(
      "SERVICE_FAILED",
      `The unit ${this.#unit}: ${words}`,
      `See: systemctl status ${this.#unit}; journalctl -u ${this.#unit}`,
    );
  }
}

/** `systemctl show`'s lines of NAME=VALUE. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) properties.set(line.slice(0, at), line.slice(at + 1));
  }
  return properties;
}

export function unitState(properties: ReadonlyMap<string, string>): ServiceState {
  const active = properties.get("ActiveState") ?? "";
  const load = properties.get("LoadState") ?? "";
  if (load !== "loaded") return { kind: "failed", message: `the unit cannot be loaded (${load})` };
  switch (active) {
    case "active":
    case "activating":
    case "reloading":
    case "deactivating": {
      const pid = Number(properties.get("MainPID") ?? "0");
      return { kind: "running", pid: pid > 0 ? pid : null };
    }
    case "failed":
      return { kind: "failed", message: `the unit failed (${properties.get("Result") ?? "?"})` };
    default:
      return { kind: "stopped" };
  }
}

async function identify(pid: number | null): Promise<ProcessIdentity | undefined> {
  if (pid === null) return undefined;
  return parseStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}
