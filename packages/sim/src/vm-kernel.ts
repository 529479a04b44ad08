import type { NodeId } from "@quorate/contracts";
import type { GateOpening, SeenCopy } from "@quorate/core-failover";
import type { Lineage } from "./vm-storage.ts";

export type GuestCopy = {
  state: SeenCopy["state"];
  lineage: Lineage | null;
  migration: { to: NodeId; cancelled: boolean } | null;
};

export type VmKernelSurroundings = {
  /** The host's own clock: kernel timeouts run by it. */
  localUs(): number;
  /** How late an element is noticed to be over: up to a tick. */
  tickUs(): number;
  /** A gate was opened, or opened for longer. */
  opened(vm: string): void;
};

const SOCKET_LIMIT = 8;

/**
 * One boot of a host, as far as machines are concerned: per machine a gate for its network and one for its storage,
 * the hypervisor's copies, and the sockets to the storage with what is queued in them. It runs on whatever our
 * processes do.
 */
export class VmKernel {
  readonly copies = new Map<string, GuestCopy>();
  /** Copy commands under way, for who must not look in between. */
  pending = 0;
  private readonly gates = new Map<string, { network: boolean; storage: boolean; untilUs: number }>();
  private readonly permits = new Map<number, number>();
  /** Bytes in sockets: they leave when the gate is open, whatever became of their writer. */
  private readonly sockets = new Map<string, Lineage[]>();
  private readonly around: VmKernelSurroundings;

  constructor(around: VmKernelSurroundings) {
    this.around = around;
  }

  isOpen(vm: string, part: "network" | "storage"): boolean {
    const gate = this.gates.get(vm);
    return gate !== undefined && gate[part] && this.around.localUs() < gate.untilUs;
  }

  permit(number: number, timeoutUs: number): void {
    this.permits.set(number, this.around.localUs() + timeoutUs + this.around.tickUs());
  }

  /** One transaction: fails as a whole when the permit is over. Everything not named shuts with it. */
  commit(number: number, open: readonly GateOpening[], timeoutUs: number): boolean {
    const untilUs = this.permits.get(number);
    if (untilUs === undefined || this.around.localUs() >= untilUs) return false;
    this.permits.delete(number);
    this.gates.clear();
    const endUs = this.around.localUs() + timeoutUs + this.around.tickUs();
    for (const { vm, network, storage } of open) {
      this.gates.set(vm, { network, storage, untilUs: endUs });
      this.around.opened(vm);
    }
    return true;
  }

  shut(vms: readonly string[]): void {
    for (const vm of vms) this.gates.delete(vm);
    this.permits.clear();
  }

  readGates(): (GateOpening & { remainingUs: number })[] {
    const nowUs = this.around.localUs();
    return [...this.gates]
      .filter(([, gate]) => gate.untilUs > nowUs)
      .map(([vm, { network, storage, untilUs }]) => ({ vm, network, storage, remainingUs: untilUs - nowUs }));
  }

  /** A guest writes: the bytes wait in the socket while nothing passes. */
  queue(vm: string, lineage: Lineage): void {
    const waiting = this.sockets.get(vm) ?? [];
    if (waiting.length < SOCKET_LIMIT) waiting.push(lineage);
    this.sockets.set(vm, waiting);
  }

  /** What leaves the host now. */
  flush(vm: string): Lineage[] {
    if (!this.isOpen(vm, "storage")) return [];
    const waiting = this.sockets.get(vm) ?? [];
    this.sockets.delete(vm);
    return waiting;
  }

  get machines(): string[] {
    return [...new Set([...this.copies.keys(), ...this.sockets.keys()])].sort();
  }

  /** Every connection of the machine is reset; false while its gate is open, as new ones would come. */
  resetStorage(vm: string): boolean {
    if (this.isOpen(vm, "storage")) return false;
    this.sockets.delete(vm);
    return true;
  }
}
