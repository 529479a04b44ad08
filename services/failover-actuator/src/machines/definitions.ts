import { type NodeId, QuorateError, type VmRecord } from "@quorate/contracts";
import {
  type GatedMachine,
  type MachineDefinition,
  machineNumber,
  readDefinition,
  type StorageEndpoint,
} from "@quorate/host";
import type { RecordStore } from "./record-store.ts";

/** Asks somebody else for a definition; null when he has none, or cannot be reached. */
export type AskForDefinition = (digest: string, node: NodeId | null) => Promise<string | null>;

export interface KnownDefinition {
  readonly digest: string;
  readonly xml: string;
  readonly meaning: MachineDefinition;
}

/** The machines' definitions by digest: on this host's disk, else from whoever has them. */
export class Definitions {
  readonly #store: RecordStore;
  readonly #ask: AskForDefinition;
  readonly #known = new Map<string, KnownDefinition>();
  #sharedMounts: readonly string[] = [];

  constructor(store: RecordStore, ask: AskForDefinition) {
    this.#store = store;
    this.#ask = ask;
  }

  /** What lies below these folders is on every host: what is known is read anew by that. */
  configure(sharedMounts: readonly string[]): void {
    this.#sharedMounts = sharedMounts;
    for (const { digest, xml } of [...this.#known.values()]) this.#remember(digest, xml);
  }

  /** What is known already, without waiting. */
  peek(digest: string): KnownDefinition | undefined {
    return this.#known.get(digest);
  }

  /**
   * Throws QuorateError DEFINITION_MISSING when nobody who can be reached has it, DEFINITION_BROKEN when it cannot be
   * read. `askFirst`: nodes that probably have it.
   */
  async get(digest: string, askFirst: readonly NodeId[]): Promise<KnownDefinition> {
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    const xml = (await this.#store.readDefinition(digest)) ?? (await this.#fetch(digest, askFirst));
    return this.#remember(digest, xml);
  }

  /** What such a definition means here. Throws QuorateError DEFINITION_BROKEN. */
  read(xml: string, name: string): MachineDefinition {
    return readDefinition(xml, name, this.#sharedMounts);
  }

  /** Takes a new one in, durably. Throws QuorateError DEFINITION_BROKEN or DISK_FULL. */
  async add(xml: string): Promise<KnownDefinition> {
    // Read once, before it is kept: every reading takes this process's time.
    const meaning = this.read(xml, "the definition");
    return this.#keep({ digest: await this.#store.writeDefinition(xml), xml, meaning });
  }

  #remember(digest: string, xml: string): KnownDefinition {
    return this.#keep({ digest, xml, meaning: this.read(xml, `definition ${digest.slice(0, 12)}`) });
  }

  #keep(known: KnownDefinition): KnownDefinition {
    this.#known.set(known.digest, known);
    return known;
  }

  async #fetch(digest: string, askFirst: readonly NodeId[]): Promise<string> {
    for (const node of [null, ...askFirst]) {
      const xml = await this.#ask(digest, node);
      if (xml === null) continue;
      // Whoever sent it, its digest vouches for it.
      if ((await this.#store.writeDefinition(xml)) === digest) return xml;
    }
    throw new QuorateError(
      "DEFINITION_MISSING",
      `No node that can be reached has the definition ${digest.slice(0, 12)}.`,
      "Bring back a node that has it, or define the machine again: quorate vm define FILE.",
    );
  }
}

/** Has the gate hold what would be started by this record, and the storages of what was. */
export async function holdRecord(
  { vm, definition, started }: VmRecord,
  holder: {
    hold(vm: string, meaning: MachineDefinition): void;
    holdStorage(meaning: MachineDefinition): void;
  },
  get: (digest: string) => Promise<KnownDefinition>,
): Promise<KnownDefinition> {
  if (started !== null && started !== undefined && started.definition !== definition)
    holder.holdStorage((await get(started.definition)).meaning);
  const known = await get(definition);
  holder.hold(vm, known.meaning);
  return known;
}

export function gatedMachine(vm: string, { uuid, nics }: MachineDefinition): GatedMachine {
  return { vm, number: machineNumber(uuid), nicCount: nics.filter(({ gated }) => gated).length };
}

/** What a machine's record says of its disks and of what holds it, for whoever has to place it. */
export function relocatabilityOf({ disks, obstacles }: MachineDefinition) {
  const isLocal = disks.some(({ kind }) => kind === "local");
  return { storage: isLocal ? ("local" as const) : ("shared" as const), gated: obstacles.length === 0 };
}

export function endpointsOf({ disks }: MachineDefinition): StorageEndpoint[] {
  return disks.flatMap(({ endpoints }) => endpoints);
}

/** The storages that a machine's disks need, by name, sorted. */
export function storagesOf(meaning: MachineDefinition): string[] {
  const names = meaning.disks.flatMap(({ endpoints, kind, source }) =>
    kind === "network" ? endpoints.map(({ address, port }) => `${address}:${port}`) : [source],
  );
  return [...new Set(names)].sort();
}
