/** What a fake host's kernel holds of one link. */
interface FakeDevice {
  carrier: boolean;
}

/** An address on a fake device. */
export interface FakeAddress {
  readonly device: string;
  readonly prefixLength: number;
  readonly validUntilUs: number;
}

export type FakeKernelEvent =
  | {
      readonly kind: "address";
      readonly change: "added" | "removed";
      readonly device: string;
      readonly address: string;
    }
  | {
      readonly kind: "link";
      readonly change: "changed" | "removed";
      readonly device: string;
      readonly carrier: boolean;
    };

/**
 * One host's kernel for the fakes: devices, addresses with a life time, and the network's foreign holders. Time is an
 * argument (`nowUs`), so a simulator decides when an element has run out; nothing here waits.
 */
export class FakeKernel {
  readonly nowUs: () => number;
  readonly #devices = new Map<string, FakeDevice>();
  readonly #addresses = new Map<string, FakeAddress>();
  readonly #listeners = new Set<(event: FakeKernelEvent) => void>();
  readonly #claimListeners = new Set<(address: string, mac: string) => void>();
  readonly #announcementListeners = new Set<(device: string, address: string) => void>();
  /** Other machines that answer for an address: address to MAC. */
  readonly foreignHolders = new Map<string, string>();

  constructor(nowUs: () => number) {
    this.nowUs = nowUs;
  }

  /** Another machine says, unasked, that the address is its own. */
  claim(address: string, mac: string): void {
    for (const listener of [...this.#claimListeners]) listener(address, mac);
  }

  listenToClaims(listener: (address: string, mac: string) => void): () => void {
    this.#claimListeners.add(listener);
    return () => this.#claimListeners.delete(listener);
  }

  /** This host says to the link that the address is its own; a simulator's network listens. */
  announce(device: string, address: string): void {
    for (const listener of [...this.#announcementListeners]) listener(device, address);
  }

  listenToAnnouncements(listener: (device: string, address: string) => void): () => void {
    this.#announcementListeners.add(listener);
    return () => this.#announcementListeners.delete(listener);
  }

  listen(listener: (event: FakeKernelEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setDevice(device: string, carrier: boolean): void {
    this.#devices.set(device, { carrier });
    this.#emit({ kind: "link", change: "changed", device, carrier });
  }

  removeDevice(device: string): void {
    if (!this.#devices.delete(device)) return;
    for (const [address, where] of [...this.#addresses]) {
      if (where.device === device) this.deleteAddress(address);
    }
    this.#emit({ kind: "link", change: "removed", device, carrier: false });
  }

  carrier(device: string): boolean | undefined {
    return this.#devices.get(device)?.carrier;
  }

  address(address: string): FakeAddress | undefined {
    const found = this.#addresses.get(address);
    if (found !== undefined && found.validUntilUs <= this.nowUs()) {
      this.deleteAddress(address);
      return undefined;
    }
    return found;
  }

  putAddress(address: string, where: FakeAddress): void {
    const before = this.address(address);
    this.#addresses.set(address, where);
    if (before === undefined) this.#emit({ kind: "address", change: "added", device: where.device, address });
  }

  deleteAddress(address: string): void {
    const before = this.#addresses.get(address);
    if (before === undefined) return;
    this.#addresses.delete(address);
    this.#emit({ kind: "address", change: "removed", device: before.device, address });
  }

  #emit(event: FakeKernelEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
