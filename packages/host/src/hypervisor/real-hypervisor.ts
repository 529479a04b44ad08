import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { DomainEvents } from "./domain-events.ts";
import { domainJobsCommand, parseDomainJobs, parseDomainStates } from "./domain-states.ts";
import type { HostCapacity, Hypervisor, KnownDomain, MigrationTarget, SeenMachine } from "./hypervisor.ts";
import { Moves } from "./moves.ts";
import { virsh } from "./virsh.ts";

export interface RealHypervisorOptions {
  readonly uri: string;
  /** How long one command may take; starts, stops and moves have limits of their own. Default 10 s. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** One domain whose QEMU hangs may keep libvirt from telling its jobs. */
const JOBS_TIMEOUT_MS = 3_000;
const START_TIMEOUT_MS = 60_000;
/** Libvirt itself gives up on a process that does not die after 15 s (SIGTERM, then SIGKILL). */
const DESTROY_TIMEOUT_MS = 40_000;
const MIGRATE_TIMEOUT_MS = 3_600_000;

/** Libvirt by its own command line, one process for each command (20 to 35 ms) and one for its events. */
export function createRealHypervisor(context: HostContext, options: RealHypervisorOptions): Hypervisor {
  return new RealHypervisor(context, options);
}

class RealHypervisor implements Hypervisor {
  readonly #context: HostContext;
  readonly #uri: string;
  readonly #timeoutMs: number;
  readonly #events: DomainEvents;
  readonly #moves = new Moves();

  constructor(context: HostContext, { uri, timeoutMs }: RealHypervisorOptions) {
    this.#context = context;
    this.#uri = uri;
    this.#timeoutMs = timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#events = new DomainEvents(context, uri);
  }

  async inspect(): Promise<SeenMachine[]> {
    const seen = parseDomainStates((await this.#virsh(["domstats", "--state", "--list-active"])) ?? "");
    return this.#moves.judge(seen, async (domains) =>
      parseDomainJobs((await this.#virsh([domainJobsCommand(domains)], JOBS_TIMEOUT_MS)) ?? ""),
    );
  }

  async definitions(): Promise<KnownDomain[]> {
    const list = async (...kinds: string[]) =>
      namesIn(await this.#virsh(["list", "--all", ...kinds, "--name"]));
    const [all, kept, starting] = await Promise.all([list(), list("--persistent"), list("--autostart")]);
    const definitions = [];
    for (const name of all) {
      const xml = await this.#virsh(["dumpxml", "--inactive", "--security-info", name]);
      const [persistent, autostart] = [kept.includes(name), starting.includes(name)];
      if (xml !== null) definitions.push({ name, xml, autostart, persistent });
    }
    return definitions;
  }

  async disableAutostart(name: string): Promise<void> {
    await this.#virsh(["autostart", "--disable", name]);
  }

  async capacity(): Promise<HostCapacity> {
    const text = (await this.#virsh(["nodeinfo"])) ?? "";
    const vcpus = Number(/^CPU\(s\):\s+(\d+)/m.exec(text)?.[1]);
    const memoryKib = Number(/^Memory size:\s+(\d+)/m.exec(text)?.[1]);
    if (vcpus > 0 && memoryKib > 0) return { vcpus, memoryMib: Math.floor(memoryKib / 1024) };
    throw new QuorateError(
      "TOOL_FAILED",
      "virsh nodeinfo does not say how much memory and how many processors this host has.",
      "Run it by hand to see what it says.",
    );
  }

  async start(name: string, xml: string): Promise<void> {
    const began = await withFile(xml, (path) => this.#virsh(["create", path], START_TIMEOUT_MS));
    if (began !== null) return;
    throw new QuorateError(
      "TOOL_FAILED",
      `Libvirt lost ${name} while it started.`,
      "It is tried again by itself.",
    );
  }

  async pause(name: string): Promise<void> {
    this.#mustExist(name, await this.#virsh(["suspend", name]));
  }

  async resume(name: string): Promise<void> {
    try {
      this.#mustExist(name, await this.#virsh(["resume", name]));
    } catch (error) {
      if (!(error instanceof QuorateError) || !/already running/i.test(error.message)) throw error;
    }
    // Libvirt forgets how it came here, or it would pass for untouched once it is paused again.
    if (this.#moves.settle(name)) await this.#virsh(["domjobinfo", name, "--completed"]);
  }

  async destroy(name: string): Promise<void> {
    await this.#virsh(["destroy", name], DESTROY_TIMEOUT_MS);
    this.#moves.settle(name);
  }

  async shutDown(name: string, graceMs: number): Promise<void> {
    if ((await this.#virsh(["shutdown", name])) === null) return;
    if (!(await this.#endsWithin(name, graceMs))) await this.destroy(name);
  }

  async migrate(name: string, { address, port }: MigrationTarget): Promise<void> {
    const host = address.includes(":") ? `[${address}]` : address;
    // --suspend: the target waits for its word. --unsafe: of few kinds of storage libvirt knows that they are shared;
    // that they are is for the caller to know.
    const flags = ["--live", "--p2p", "--suspend", "--abort-on-error", "--unsafe"];
    const command = ["migrate", ...flags, name, `qemu+tcp://${host}:${port}/system`, `tcp://${host}`];
    try {
      await this.#moves.carry(name, async () => {
        this.#mustExist(name, await this.#virsh(command, MIGRATE_TIMEOUT_MS));
      });
    } catch (error) {
      if (!(error instanceof QuorateError) || error.code === "HYPERVISOR_DOWN") throw error;
      throw new QuorateError("MIGRATION_REFUSED", error.message, "It runs on where it was; try again.", {
        cause: error,
      });
    }
  }

  async cancelMigration(name: string): Promise<void> {
    try {
      await this.#virsh(["domjobabort", name]);
    } catch (error) {
      // Nothing was under way.
      if (!(error instanceof QuorateError) || !/no job is active/i.test(error.message)) throw error;
    }
  }

  onChange(callback: () => void): void {
    this.#events.listen(callback);
  }

  close(): Promise<void> {
    this.#events.close();
    return Promise.resolve();
  }

  /** Waits for the event, not for the clock. */
  async #endsWithin(name: string, graceMs: number): Promise<boolean> {
    const isGone = async () => !(await this.inspect()).some((each) => each.name === name);
    return new Promise<boolean>((resolve, reject) => {
      const finish = (gone: boolean) => {
        clearTimeout(timer);
        unlisten();
        resolve(gone);
      };
      const look = async () => {
        if (await isGone()) finish(true);
      };
      const timer = setTimeout(() => finish(false), graceMs);
      const unlisten = this.#events.listen(() => void look().catch(reject));
      void look().catch(reject);
    });
  }

  #mustExist(name: string, output: string | null): void {
    if (output !== null) return;
    throw new QuorateError(
      "MACHINE_UNKNOWN",
      `Libvirt has no running domain ${name}.`,
      "It is looked at anew.",
    );
  }

  #virsh(command: readonly string[], timeoutMs = this.#timeoutMs): Promise<string | null> {
    return virsh(this.#context, { uri: this.#uri, timeoutMs }, command);
  }
}

/** virsh opens what it reads by name, and a pipe of ours has none. */
async function withFile<Result>(text: string, act: (path: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "quorate-machine-"));
  try {
    const path = join(folder, "definition.xml");
    await writeFile(path, text, { mode: 0o600 });
    return await act(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function namesIn(text: string | null): string[] {
  return (text ?? "").split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
}
