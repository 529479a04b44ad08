import type { HostContext } from "../tools/host-context.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import type { Gate, GateVip } from "./gate.ts";
import type { FilterAnswer, FilterReading, KernelFilter } from "./kernel-filter.ts";
import { LeaseGate, type LeaseGateOptions } from "./lease-gate.ts";
import { checkVips } from "./nft-ruleset.ts";

export interface FakeGateOptions extends LeaseGateOptions {
  /** The tables, which outlive the gate that wrote them; give the same ones to play a restarted process. */
  readonly tables?: FakeTables;
  /** Runs before every transaction reaches the kernel: the place for delays. */
  beforeTransaction?(): Promise<void> | void;
}

/** The kernel's side of a fake gate. `passes` is what a simulator's network asks for every frame. */
export class FakeTables {
  readonly #nowUs: () => number;
  #held: readonly string[] | undefined;
  /** Both count in the kernel's time: the element is dead at that instant. */
  readonly #permits = new Map<number, number>();
  readonly #leases = new Map<string, number>();

  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
  }

  /** Whether frames from and to the address pass now. Without tables, or for an address not held, everything does. */
  passes(address: string): boolean {
    const key = normaliseAddress(address);
    if (this.#held === undefined || !this.#held.includes(key)) return true;
    return this.remainingUs(address) > 0;
  }

  remainingUs(address: string): number {
    return Math.max(0, (this.#leases.get(normaliseAddress(address)) ?? 0) - this.#nowUs());
  }

  /** What `nft flush ruleset` by somebody else does. */
  flushRuleset(): void {
    this.#held = undefined;
    this.#permits.clear();
    this.#leases.clear();
  }

  get held(): readonly string[] | undefined {
    return this.#held;
  }

  hold(addresses: readonly string[]): void {
    this.#held = addresses.map(normaliseAddress).sort();
  }

  addPermit(number: number, timeoutMs: number): boolean {
    if (this.#permitLives(number)) return false;
    this.#permits.set(number, this.#nowUs() + timeoutMs * 1_000);
    return true;
  }

  takePermit(number: number): boolean {
    if (!this.#permitLives(number)) return false;
    this.#permits.delete(number);
    return true;
  }

  open(addresses: readonly string[], timeoutMs: number): void {
    this.#leases.clear();
    for (const address of addresses) {
      this.#leases.set(normaliseAddress(address), this.#nowUs() + timeoutMs * 1_000);
    }
  }

  shut(): void {
    this.#leases.clear();
    this.#permits.clear();
  }

  #permitLives(number: number): boolean {
    for (const [key, untilUs] of [...this.#permits]) if (untilUs <= this.#nowUs()) this.#permits.delete(key);
    return this.#permits.has(number);
  }
}

class FakeFilter implements KernelFilter {
  readonly #tables: FakeTables;
  readonly #beforeTransaction: () => Promise<void> | void;
  #vips: readonly GateVip[] = [];
  readonly toolStarts = 1;

  constructor(tables: FakeTables, beforeTransaction: () => Promise<void> | void) {
    this.#tables = tables;
    this.#beforeTransaction = beforeTransaction;
  }

  async load(vips: readonly GateVip[]): Promise<void> {
    checkVips(vips);
    await this.#beforeTransaction();
    this.#vips = vips;
    this.#tables.hold(vips.map((vip) => vip.address));
  }

  async permit(number: number, timeoutMs: number): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#tables.held === undefined) return NO_ENTRY;
    if (!this.#tables.addPermit(number, timeoutMs)) return { kind: "failed", message: "File exists" };
    return { kind: "done" };
  }

  async commit(number: number, vips: readonly GateVip[], timeoutMs: number): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#tables.held === undefined || !this.#tables.takePermit(number)) return NO_ENTRY;
    this.#tables.open(
      vips.map((vip) => vip.address),
      timeoutMs,
    );
    return { kind: "done" };
  }

  async shut(): Promise<FilterAnswer> {
    await this.#beforeTransaction();
    if (this.#tables.held === undefined) return NO_ENTRY;
    this.#tables.shut();
    return { kind: "done" };
  }

  async read(): Promise<FilterReading> {
    await this.#beforeTransaction();
    const held = this.#tables.held;
    const wanted = this.#vips.map((vip) => normaliseAddress(vip.address)).sort();
    const differences: string[] = [];
    if (held === undefined) differences.push("table ip quorate is missing");
    else if (held.join() !== wanted.join()) {
      differences.push("table ip quorate does not hold exactly the cluster addresses");
    }
    const open = this.#vips
      .map((vip) => ({ address: vip.address, remainingUs: this.#tables.remainingUs(vip.address) }))
      .filter((element) => element.remainingUs > 0)
      .sort((a, b) => (a.address < b.address ? -1 : 1));
    return { differences, open, holdsRawFrames: held !== undefined };
  }

  async unload(): Promise<void> {
    await this.#beforeTransaction();
    this.#tables.flushRuleset();
  }

  async close(): Promise<void> {}
}

const NO_ENTRY: FilterAnswer = { kind: "no-entry", message: "No such file or directory" };

/** The gate without a kernel: the same permit rule over tables in memory and the context's clock. */
export function createFakeGate(context: HostContext, options: FakeGateOptions = {}): Gate {
  const tables = options.tables ?? new FakeTables(() => context.nowUs());
  return new LeaseGate(
    context,
    new FakeFilter(tables, options.beforeTransaction ?? ((): void => {})),
    options,
  );
}
