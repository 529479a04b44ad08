/** What libvirt says of the guests on each host, as it happens: a `virsh event` in every host with power. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { killGroup } from "../command.ts";
import type { Lab } from "../lab.ts";
import { Listeners } from "./listeners.ts";

const AGAIN_MS = 250;

export type LibvirtEvent = {
  host: number;
  guest: string;
  /** As libvirt words it: `Started Booted`, `Suspended Paused`, … */
  what: string;
  /** When virsh heard it, wall clock. */
  atMs: number;
};

/** `2026-01-02 03:04:05.678+0000: event 'lifecycle' for domain 'vm1': Started Booted` */
const LINE = /^(\S+) (\S+)\+0000: event 'lifecycle' for domain '?([^':]+)'?: (.+)$/;

export class LibvirtWatch extends Listeners<LibvirtEvent> {
  readonly #lab: Lab;
  readonly #children = new Map<number, ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;

  private constructor(lab: Lab) {
    super();
    this.#lab = lab;
  }

  static start(lab: Lab): LibvirtWatch {
    const watch = new LibvirtWatch(lab);
    for (const { id } of lab.record().hosts) watch.#follow(id);
    return watch;
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const child of this.#children.values()) killGroup(child.pid);
  }

  /** It ends with the host's power, or with libvirtd's connection, and is begun again until both are there. */
  #follow(id: number): void {
    if (this.#isStopped) return;
    // virsh keeps what it writes to a pipe until it has a page full.
    const virsh = ["virsh", "-c", "qemu:///system", "event", "--event", "lifecycle", "--loop", "--timestamp"];
    let child: ChildProcess;
    try {
      child = this.#lab.spawn(id, ["stdbuf", "-oL", ...virsh]);
    } catch {
      return this.#again(id);
    }
    this.#children.set(id, child);
    child.on("error", () => {});
    child.once("close", () => this.#again(id));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = parseLibvirtEvent(id, line);
      if (event !== null) this.tell(event);
    });
  }

  #again(id: number): void {
    if (this.#isStopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#follow(id);
    }, AGAIN_MS);
    this.#timers.add(timer);
  }
}

export function parseLibvirtEvent(host: number, line: string): LibvirtEvent | null {
  const [, day, time, guest, what] = LINE.exec(line) ?? [];
  if (day === undefined || time === undefined || guest === undefined || what === undefined) return null;
  return { host, guest, what, atMs: Date.parse(`${day}T${time}Z`) };
}

/** The guest's processors run from then on. */
export function isRunningEvent({ what }: LibvirtEvent): boolean {
  return /^(Started|Resumed)\b/.test(what);
}

/** They stand still. */
export function isStoppedEvent({ what }: LibvirtEvent): boolean {
  return /^(Suspended|Stopped|Crashed)\b/.test(what);
}
