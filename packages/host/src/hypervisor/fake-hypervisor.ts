import { QuorateError } from "@quorate/contracts";
import { readDefinition } from "./definition.ts";
import type {
  HostCapacity,
  Hypervisor,
  KnownDomain,
  MachineState,
  MigrationTarget,
  SeenMachine,
} from "./hypervisor.ts";

interface Guest {
  readonly name: string;
  readonly uuid: string;
  readonly xml: string;
  state: MachineState;
  /** Ends when it is asked to. */
  readonly answersShutdown: boolean;
}

/** The machines of one host that does not exist: what libvirtd and its processes would hold. Outlives its drivers. */
export class FakeMachines {
  readonly guests = new Map<string, Guest>();
  readonly kept = new Map<string, { xml: string; autostart: boolean }>();
  readonly listeners = new Set<() => void>();
  /** Libvirtd does not answer. */
  isDown = false;
  /** Disks whose storage does not answer, by their source in the XML. */
  readonly unreachable = new Set<string>();
  /** Other hosts to which machines can be moved, by their address. */
  readonly others = new Map<string, FakeMachines>();
  readonly capacity: HostCapacity = { memoryMib: 8192, vcpus: 8 };

  /** The guest ends by itself. */
  end(name: string): void {
    if (this.guests.delete(name)) this.changed();
  }

  changed(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Proved by the suite that the real one passes. Guests whose name begins with "deaf" do not answer a shutdown. */
export function createFakeHypervisor(machines: FakeMachines): Hypervisor {
  return new FakeHypervisor(machines);
}

class FakeHypervisor implements Hypervisor {
  readonly #machines: FakeMachines;
  readonly #own = new Set<() => void>();

  constructor(machines: FakeMachines) {
    this.#machines = machines;
  }

  async inspect(): Promise<SeenMachine[]> {
    this.#mustAnswer();
    return [...this.#machines.guests.values()]
      .map(({ name, state }) => ({ name, state }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async definitions(): Promise<KnownDomain[]> {
    this.#mustAnswer();
    const { kept, guests } = this.#machines;
    const fleeting = [...guests.values()].filter(({ name }) => !kept.has(name));
    return [
      ...[...kept].map(([name, each]) => ({ name, ...each, persistent: true })),
      ...fleeting.map(({ name, xml }) => ({ name, xml, autostart: false, persistent: false })),
    ];
  }

  async disableAutostart(name: string): Promise<void> {
    this.#mustAnswer();
    const kept = this.#machines.kept.get(name);
    if (kept !== undefined) kept.autostart = false;
  }

  async capacity(): Promise<HostCapacity> {
    this.#mustAnswer();
    return this.#machines.capacity;
  }

  async start(name: string, xml: string): Promise<void> {
    this.#mustAnswer();
    const { uuid, disks } = readDefinition(xml, "the definition");
    const { guests, unreachable } = this.#machines;
    if (guests.has(name) || [...guests.values()].some((guest) => guest.uuid === uuid)) {
      throw new QuorateError("MACHINE_EXISTS", `${name} is already active.`, "Take the other one out.");
    }
    const missing = disks.find(({ source }) => unreachable.has(source));
    if (missing !== undefined) {
      throw new QuorateError(
        "STORAGE_UNREACHABLE",
        `Could not open ${missing.source}.`,
        "Is the storage there?",
      );
    }
    guests.set(name, { name, uuid, xml, state: "running", answersShutdown: !name.startsWith("deaf") });
    this.#machines.changed();
  }

  async pause(name: string): Promise<void> {
    this.#guest(name).state = "paused";
    this.#machines.changed();
  }

  async resume(name: string): Promise<void> {
    this.#guest(name).state = "running";
    this.#machines.changed();
  }

  async destroy(name: string): Promise<void> {
    this.#mustAnswer();
    this.#machines.end(name);
  }

  async shutDown(name: string, graceMs: number): Promise<void> {
    this.#mustAnswer();
    const guest = this.#machines.guests.get(name);
    if (guest === undefined) return;
    if (!guest.answersShutdown) await new Promise((resolve) => setTimeout(resolve, graceMs));
    this.#machines.end(name);
  }

  async migrate(name: string, target: MigrationTarget): Promise<void> {
    const guest = this.#guest(name);
    const there = this.#machines.others.get(target.address);
    if (there === undefined || there.isDown || there.guests.has(name)) {
      throw new QuorateError("MIGRATION_REFUSED", `${target.address} does not take ${name}.`, "It runs on.");
    }
    guest.state = "migrating";
    there.guests.set(name, { ...guest, state: "incoming" });
    there.changed();
    await Promise.resolve();
    there.guests.set(name, { ...guest, state: "incoming-complete" });
    this.#machines.end(name);
    there.changed();
  }

  async cancelMigration(): Promise<void> {
    this.#mustAnswer();
  }

  onChange(callback: () => void): void {
    this.#own.add(callback);
    this.#machines.listeners.add(callback);
    queueMicrotask(callback);
  }

  async close(): Promise<void> {
    for (const callback of this.#own) this.#machines.listeners.delete(callback);
  }

  #mustAnswer(): void {
    if (!this.#machines.isDown) return;
    throw new QuorateError("HYPERVISOR_DOWN", "Libvirt does not answer.", "It is tried again by itself.");
  }

  #guest(name: string): Guest {
    this.#mustAnswer();
    const guest = this.#machines.guests.get(name);
    if (guest !== undefined) return guest;
    throw new QuorateError(
      "MACHINE_UNKNOWN",
      `Libvirt has no running domain ${name}.`,
      "It is looked at anew.",
    );
  }
}
