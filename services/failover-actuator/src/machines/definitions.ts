import { type NodeId, QuorateError } from "@quorate/contracts";
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

  constructor(store: RecordStore, ask: AskForDefinition) {
    this.#store = store;
    this.#ask = ask;
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

  /** Takes a new one in, durably. Throws QuorateError DEFINITION_BROKEN or DISK_FULL. */
  async add(xml: string): Promise<KnownDefinition> {
    readDefinition(xml, "the definition");
    return this.#remember(await this.#store.writeDefinition(xml), xml);
  }

  #remember(digest: string, xml: string): KnownDefinition {
    const known = { digest, xml, meaning: readDefinition(xml, `definition ${digest.slice(0, 12)}`) };
    this.#known.set(digest, known);
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

export function gatedMachine(vm: string, { uuid, nics }: MachineDefinition): GatedMachine {
  return { vm, number: machineNumber(uuid), nicCount: nics.filter(({ gated }) => gated).length };
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
