import { describe, expect, it } from "vitest";
import { type Hypervisor, machineNumber, type MigrationTarget, prepareDefinition } from "../src/index.ts";

/** A host with an own hypervisor, and what a test may do to it from outside. */
export interface HypervisorWorld {
  readonly hypervisor: Hypervisor;
  /** Another driver of the same host, as after a restart of our process. */
  another(): Hypervisor;
  /** A definition of libvirt's own, started with the host. */
  keep(name: string, xml: string): Promise<void>;
  /** The guest's process ends by itself. */
  endGuest(name: string): Promise<void>;
  /** Libvirtd answers nobody until `resumeDaemon`. */
  hangDaemon(): void;
  resumeDaemon(): void;
  /** A disk whose storage does not answer. */
  unreachableDisk: { xml: string; source: string };
  /** Another host, and where it takes machines. */
  readonly target: MigrationTarget;
  there(): Hypervisor;
}

const uuidOf = (index: number) => `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;

export function definitionOf(name: string, index: number, disk = ""): string {
  return `<domain type='qemu'><name>${name}</name><uuid>${uuidOf(index)}</uuid><memory unit='MiB'>32</memory>
<vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os><features><acpi/></features>
<devices>${disk}<interface type='bridge'><source bridge='vmbr0'/><model type='virtio'/></interface></devices></domain>`;
}

function prepared(name: string, index: number, disk = ""): string {
  return prepareDefinition(definitionOf(name, index, disk), { number: machineNumber(uuidOf(index)) });
}

async function refusal(act: Promise<unknown>): Promise<string> {
  try {
    await act;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "done";
}

/** What every hypervisor promises; the fake is trusted because it passes the same. */
export function hypervisorSuite(world: () => HypervisorWorld): void {
  const states = async () => {
    const seen = await world().hypervisor.inspect();
    return seen.map(({ name, state }) => `${name} ${state}`);
  };

  describe("machines", () => {
    it("are started, paused, resumed and destroyed, each seen at once and by another driver too", async () => {
      const { hypervisor } = world();
      await hypervisor.start("a", prepared("a", 1));
      expect(await states()).toEqual(["a running"]);
      await hypervisor.pause("a");
      expect(await states()).toEqual(["a paused"]);
      expect(await world().another().inspect()).toEqual([{ name: "a", state: "paused" }]);
      await hypervisor.resume("a");
      expect(await states()).toEqual(["a running"]);
      await hypervisor.destroy("a");
      expect(await states()).toEqual([]);
      expect(await refusal(hypervisor.destroy("a"))).toBe("done");
    });

    it("are told apart by name and by UUID", async () => {
      const { hypervisor } = world();
      await hypervisor.start("a", prepared("a", 1));
      expect(await refusal(hypervisor.start("a", prepared("a", 2)))).toBe("MACHINE_EXISTS");
      expect(await refusal(hypervisor.start("b", prepared("b", 1)))).toBe("MACHINE_EXISTS");
      expect(await states()).toEqual(["a running"]);
      await hypervisor.destroy("a");
    });

    it("that are not there are neither paused nor resumed", async () => {
      const { hypervisor } = world();
      expect(await refusal(hypervisor.pause("nobody"))).toBe("MACHINE_UNKNOWN");
      expect(await refusal(hypervisor.resume("nobody"))).toBe("MACHINE_UNKNOWN");
      expect(await refusal(hypervisor.shutDown("nobody", 100))).toBe("done");
      expect(await refusal(hypervisor.cancelMigration("nobody"))).toBe("done");
    });

    it("that do not answer a shutdown are ended after the grace", async () => {
      const { hypervisor } = world();
      await hypervisor.start("deaf", prepared("deaf", 3));
      await hypervisor.shutDown("deaf", 300);
      expect(await states()).toEqual([]);
    });

    it("are not started from what is no definition, nor without their storage", async () => {
      const { hypervisor, unreachableDisk } = world();
      expect(await refusal(hypervisor.start("a", "<domain><name>a</name>"))).toBe("DEFINITION_BROKEN");
      const without = hypervisor.start("a", prepared("a", 1, unreachableDisk.xml));
      expect(await refusal(without)).toBe("STORAGE_UNREACHABLE");
      expect(await states()).toEqual([]);
    });
  });

  describe("machines on the move", () => {
    it("are gone here, and wait there for a word; once resumed they are like any other", async () => {
      const { hypervisor, there, target } = world();
      const other = there();
      const seen = async () => (await other.inspect()).map(({ name, state }) => `${name} ${state}`);
      await hypervisor.start("a", prepared("a", 1));
      await hypervisor.migrate("a", target);
      expect(await hypervisor.inspect()).toEqual([]);
      expect(await seen()).toEqual(["a incoming-complete"]);
      // Another life of our process there finds the same.
      expect(await there().inspect()).toEqual([{ name: "a", state: "incoming-complete" }]);
      await other.resume("a");
      expect(await seen()).toEqual(["a running"]);
      await other.pause("a");
      expect(await seen()).toEqual(["a paused"]);
      expect(await there().inspect()).toEqual([{ name: "a", state: "paused" }]);
      await other.destroy("a");
    });

    it("run on where they were when the other host does not take them", async () => {
      const { hypervisor, there, target } = world();
      await there().start("a", prepared("a", 1));
      await hypervisor.start("a", prepared("a", 1));
      expect(await refusal(hypervisor.migrate("a", target))).toBe("MIGRATION_REFUSED");
      const nowhere = { ...target, address: "127.0.0.9" };
      expect(await refusal(hypervisor.migrate("a", nowhere))).toBe("MIGRATION_REFUSED");
      expect(await states()).toEqual(["a running"]);
      await there().destroy("a");
    });
  });

  it("tells of every change, a guest's own end included", async () => {
    const { hypervisor, endGuest } = world();
    let wake: () => void = () => {};
    let told = 0;
    const listener = world().another();
    listener.onChange(() => {
      told += 1;
      wake();
    });
    const until = async (done: () => Promise<boolean>) => {
      for (;;) {
        const before = told;
        if (await done()) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (told > before) resolve();
        });
      }
    };
    // It tells that it listens; what happens from then on is told too.
    await until(async () => told > 0);
    await hypervisor.start("a", prepared("a", 1));
    await until(async () => (await states()).length === 1 && told > 1);
    await endGuest("a");
    await until(async () => (await states()).length === 0);
    await listener.close();
  });

  it("knows what libvirt keeps, and takes its autostart away", async () => {
    const { hypervisor, keep } = world();
    await keep("kept", definitionOf("kept", 9));
    const find = async () => (await hypervisor.definitions()).find(({ name }) => name === "kept");
    expect(await find()).toMatchObject({ autostart: true, persistent: true });
    expect((await find())?.xml).toContain(uuidOf(9));
    await hypervisor.disableAutostart("kept");
    expect((await find())?.autostart).toBe(false);
  });

  it("knows what runs and is kept nowhere, too", async () => {
    const { hypervisor } = world();
    await hypervisor.start("fleeting", prepared("fleeting", 8));
    const known = (await hypervisor.definitions()).find(({ name }) => name === "fleeting");
    expect(known).toMatchObject({ persistent: false, autostart: false });
    expect(known?.xml).toContain(uuidOf(8));
    await hypervisor.destroy("fleeting");
    expect((await hypervisor.definitions()).some(({ name }) => name === "fleeting")).toBe(false);
  });

  it("says how much room there is", async () => {
    const { memoryMib, vcpus } = await world().hypervisor.capacity();
    expect(memoryMib).toBeGreaterThan(100);
    expect(vcpus).toBeGreaterThan(0);
  });

  it("says that libvirt hangs, and goes on when it answers again", async () => {
    const { hypervisor, hangDaemon, resumeDaemon } = world();
    hangDaemon();
    expect(await refusal(hypervisor.inspect())).toBe("HYPERVISOR_DOWN");
    expect(await refusal(hypervisor.pause("a"))).toBe("HYPERVISOR_DOWN");
    resumeDaemon();
    expect(await states()).toEqual([]);
  });
}
