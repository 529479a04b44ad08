import type { NodeId, Reason } from "@quorate/contracts";
import type { VmId } from "./words.ts";

export interface PlanNode {
  node: NodeId;
  memoryMib: number;
  vcpus: number;
}

export interface PlanVm {
  vm: VmId;
  memoryMib: number;
  vcpus: number;
  /** Higher is placed first; equals by name. */
  prio: number;
  /** Where it is and stays: it only takes room. Null for one that wants a place. */
  at: NodeId | null;
  /** Where it may go; null for everywhere. */
  only: readonly NodeId[] | null;
  /** Where it should not go if there is another place (it failed there lately). */
  avoid: readonly NodeId[];
}

export interface PlanPolicy {
  /** 150 lets machines have one and a half times the host's memory. */
  memoryPercent: number;
  vcpuPercent: number;
  /** Machines on one host at most; null for no limit. */
  maximumPerNode: number | null;
  /** Live moves that a host has part in at a time, from it or to it. */
  liveMovesPerNode: number;
  /** Machines of one group run on one host. */
  together: readonly (readonly VmId[])[];
  /** Machines of one group run on different hosts. */
  apart: readonly (readonly VmId[])[];
  /** Nothing is placed there (drained, in maintenance, blocked by hand). */
  blocked: readonly NodeId[];
}

export const OPEN_POLICY: PlanPolicy = {
  memoryPercent: 100,
  vcpuPercent: 400,
  maximumPerNode: null,
  liveMovesPerNode: 2,
  together: [],
  apart: [],
  blocked: [],
};

export interface Plan {
  /** Machines that had no place, and theirs now. */
  placed: Map<VmId, NodeId>;
  /** Machines that fit nowhere, and why. */
  left: Map<VmId, Reason>;
}

/** So many assignments are tried for one machine that does not fit at once; clusters of a few dozen need fewer. */
const SEARCH_STEPS = 20_000;

/**
 * Places every machine that has no place. By priority, each on the host that is least loaded; one that does not fit
 * gets room by rearranging those placed in this same call, never by moving one that already runs. So no machine is
 * left out for one of lower priority. Within SEARCH_STEPS the result is the best there is, by priority; beyond them
 * a machine may be left out that another arrangement would have held. Deterministic; the order of the input is none.
 */
export function plan(nodes: readonly PlanNode[], vms: readonly PlanVm[], policy: PlanPolicy): Plan {
  const sorted = [...nodes].sort((left, right) => left.node - right.node);
  const room = new Room(sorted, vms, policy);
  const placed = new Map<VmId, NodeId>();
  const left = new Map<VmId, Reason>();
  const accepted: PlanVm[] = [];
  for (const vm of vms.filter(({ at }) => at === null).sort(comparePriority)) {
    const node = room.candidates(vm)[0];
    if (node !== undefined) {
      room.put(vm, node);
      placed.set(vm.vm, node);
      accepted.push(vm);
      continue;
    }
    const reason = room.whyNot(vm);
    for (const other of accepted) room.take(other);
    const wanted = [...accepted, vm];
    const budget = { steps: SEARCH_STEPS };
    if (arrange(room, wanted, 0, budget)) {
      accepted.push(vm);
    } else {
      left.set(vm.vm, reason);
      for (const other of accepted) room.put(other, placed.get(other.vm) ?? 0);
    }
    for (const other of accepted) placed.set(other.vm, room.nodeOf(other.vm) ?? 0);
  }
  return { placed, left };
}

export function comparePriority(left: PlanVm, right: PlanVm): number {
  return right.prio - left.prio || (left.vm < right.vm ? -1 : left.vm > right.vm ? 1 : 0);
}

function arrange(room: Room, wanted: readonly PlanVm[], from: number, budget: { steps: number }): boolean {
  const vm = wanted[from];
  if (vm === undefined) return true;
  for (const node of room.candidates(vm)) {
    budget.steps -= 1;
    if (budget.steps < 0) return false;
    room.put(vm, node);
    if (arrange(room, wanted, from + 1, budget)) return true;
    room.take(vm);
  }
  return false;
}

interface Load {
  node: PlanNode;
  memoryMib: number;
  vcpus: number;
  count: number;
}

class Room {
  readonly #loads = new Map<NodeId, Load>();
  readonly #where = new Map<VmId, NodeId>();
  readonly #policy: PlanPolicy;

  constructor(nodes: readonly PlanNode[], vms: readonly PlanVm[], policy: PlanPolicy) {
    this.#policy = policy;
    for (const node of nodes) this.#loads.set(node.node, { node, memoryMib: 0, vcpus: 0, count: 0 });
    for (const vm of vms) if (vm.at !== null) this.put(vm, vm.at);
  }

  nodeOf(vm: VmId): NodeId | undefined {
    return this.#where.get(vm);
  }

  put(vm: PlanVm, node: NodeId): void {
    this.#where.set(vm.vm, node);
    this.#add(vm, node, 1);
  }

  take(vm: PlanVm): void {
    const node = this.#where.get(vm.vm);
    if (node === undefined) return;
    this.#where.delete(vm.vm);
    this.#add(vm, node, -1);
  }

  #add(vm: PlanVm, node: NodeId, sign: number): void {
    const load = this.#loads.get(node);
    // A machine may run on a host that is no candidate; its room there is nobody's concern.
    if (load === undefined) return;
    load.memoryMib += sign * vm.memoryMib;
    load.vcpus += sign * vm.vcpus;
    load.count += sign;
  }

  /** Where the machine fits now, best first: where it has not failed, then least loaded, then the lowest id. */
  candidates(vm: PlanVm): NodeId[] {
    return [...this.#loads.values()]
      .filter((load) => this.#objection(vm, load) === null)
      .map((load) => ({
        node: load.node.node,
        avoided: vm.avoid.includes(load.node.node) ? 1 : 0,
        share: this.#share(load, vm),
      }))
      .sort(
        (left, right) => left.avoided - right.avoided || left.share - right.share || left.node - right.node,
      )
      .map(({ node }) => node);
  }

  /** How full the host would be by its scarcer resource. */
  #share(load: Load, vm: PlanVm): number {
    const memory = (load.memoryMib + vm.memoryMib) / Math.max(1, load.node.memoryMib);
    const vcpus = (load.vcpus + vm.vcpus) / Math.max(1, load.node.vcpus);
    return Math.max(memory, (vcpus * this.#policy.memoryPercent) / Math.max(1, this.#policy.vcpuPercent));
  }

  #objection(vm: PlanVm, load: Load): string | null {
    const { node } = load.node;
    const policy = this.#policy;
    if (vm.only !== null && !vm.only.includes(node)) return "not allowed there";
    if (policy.blocked.includes(node)) return "drained";
    if (policy.maximumPerNode !== null && load.count >= policy.maximumPerNode) return "full by number";
    if ((load.memoryMib + vm.memoryMib) * 100 > load.node.memoryMib * policy.memoryPercent)
      return "no memory";
    if ((load.vcpus + vm.vcpus) * 100 > load.node.vcpus * policy.vcpuPercent) return "no vCPUs";
    for (const group of policy.together) {
      if (!group.includes(vm.vm)) continue;
      const elsewhere = group.some((other) => {
        const where = other === vm.vm ? undefined : this.#where.get(other);
        return where !== undefined && where !== node;
      });
      if (elsewhere) return "its group is elsewhere";
    }
    for (const group of policy.apart) {
      if (!group.includes(vm.vm)) continue;
      if (group.some((other) => other !== vm.vm && this.#where.get(other) === node)) return "kept apart";
    }
    return null;
  }

  whyNot(vm: PlanVm): Reason {
    const objections = [...this.#loads.values()].map(
      (load) => `node ${load.node.node}: ${this.#objection(vm, load) ?? "fits"}`,
    );
    const message =
      objections.length === 0
        ? `No host may take ${vm.vm} now.`
        : `${vm.vm} fits on no host: ${objections.join(", ")}.`;
    return { code: "VM_NO_ROOM", message, facts: { vm: vm.vm, memoryMib: vm.memoryMib, vcpus: vm.vcpus } };
  }
}
