import type { ClusterIp } from "@quorate/contracts";
import type { FakeKernel } from "../fake/fake-kernel.ts";
import type { FakeTables } from "../gate/fake-gate.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import { interfaceMissing } from "../tools/run-tool.ts";
import type { Announcer, ForeignClaim, ProbeResult } from "./announcer.ts";

/**
 * Announces to a fake kernel's link. Probes answer at once, from the kernel's foreign holders: a simulator that wants
 * them to take time wraps them. With `tables`, a shut gate keeps announcements back.
 */
export function createFakeAnnouncer(kernel: FakeKernel, tables?: FakeTables): Announcer {
  return new FakeAnnouncerDriver(kernel, tables);
}

class FakeAnnouncerDriver implements Announcer {
  readonly #kernel: FakeKernel;
  readonly #tables: FakeTables | undefined;
  readonly #listeners = new Set<(claim: ForeignClaim) => void>();
  #watched: readonly ClusterIp[] = [];
  #stop: (() => void) | undefined;

  constructor(kernel: FakeKernel, tables: FakeTables | undefined) {
    this.#kernel = kernel;
    this.#tables = tables;
  }

  async announce(ip: ClusterIp): Promise<void> {
    this.#checkDevice(ip);
    if (this.#tables?.passes(ip.address) ?? true)
      this.#kernel.announce(ip.device, normaliseAddress(ip.address));
  }

  async probe(ip: ClusterIp, _waitUs: number): Promise<ProbeResult> {
    this.#checkDevice(ip);
    const mac = this.#kernel.foreignHolders.get(normaliseAddress(ip.address));
    return mac === undefined ? { foreign: false } : { foreign: true, address: ip.address, mac };
  }

  async watch(ips: readonly ClusterIp[]): Promise<void> {
    this.#watched = [...ips];
    this.#stop ??= this.#kernel.listenToClaims((address, mac) => {
      const ip = this.#watched.find((watched) => normaliseAddress(watched.address) === address);
      if (ip === undefined || this.#kernel.carrier(ip.device) === undefined) return;
      for (const listener of [...this.#listeners]) listener({ address: ip.address, mac });
    });
  }

  listen(listener: (claim: ForeignClaim) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stop?.();
    this.#stop = undefined;
  }

  #checkDevice(ip: ClusterIp): void {
    if (this.#kernel.carrier(ip.device) === undefined) throw interfaceMissing(ip.device);
  }
}
