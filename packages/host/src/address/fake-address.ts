import type { ClusterIp } from "@quorate/contracts";
import type { FakeKernel } from "../fake/fake-kernel.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import { interfaceMissing } from "../tools/run-tool.ts";
import type { Address, AddressInspection } from "./address.ts";

/** Cluster addresses on a fake kernel. It holds an address on one device at most. */
export function createFakeAddress(kernel: FakeKernel): Address {
  return new FakeAddressDriver(kernel);
}

class FakeAddressDriver implements Address {
  readonly #kernel: FakeKernel;

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel;
  }

  async prepare(ip: ClusterIp): Promise<void> {
    if (this.#kernel.carrier(ip.device) === undefined) throw interfaceMissing(ip.device);
  }

  async add(ip: ClusterIp, validSeconds: number): Promise<void> {
    if (this.#kernel.carrier(ip.device) === undefined) throw interfaceMissing(ip.device);
    const key = normaliseAddress(ip.address);
    const before = this.#kernel.address(key);
    if (before !== undefined && (before.device !== ip.device || before.prefixLength !== ip.prefixLength)) {
      this.#kernel.deleteAddress(key);
    }
    const validUntilUs = this.#kernel.nowUs() + Math.max(1, Math.ceil(validSeconds)) * 1_000_000;
    this.#kernel.putAddress(key, { device: ip.device, prefixLength: ip.prefixLength, validUntilUs });
  }

  refresh(ip: ClusterIp, validSeconds: number): Promise<void> {
    return this.add(ip, validSeconds);
  }

  async remove(ip: ClusterIp): Promise<void> {
    this.#kernel.deleteAddress(normaliseAddress(ip.address));
  }

  async inspect(ip: ClusterIp): Promise<AddressInspection> {
    const found = this.#kernel.address(normaliseAddress(ip.address));
    if (found === undefined) return { present: false, devices: [], validSeconds: null };
    const right = found.device === ip.device && found.prefixLength === ip.prefixLength;
    const leftUs = found.validUntilUs - this.#kernel.nowUs();
    const forever = !Number.isFinite(found.validUntilUs);
    return {
      present: right,
      devices: [found.device],
      validSeconds: !right || forever ? null : Math.ceil(leftUs / 1_000_000),
    };
  }

  async close(): Promise<void> {}
}
