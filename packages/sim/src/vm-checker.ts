import type { NodeId } from "@quorate/contracts";
import type { VmStatement, VmStep } from "@quorate/core-failover";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

/**
 * INV-3, INV-4 and INV-7 for machines, judged by kernels, hypervisors, leases and the storage, never by what a core
 * believes. (The storage itself judges late writes.)
 */
export class VmChecker {
  private readonly world: World;
  /** Placements that some master has begun to give to a host. */
  private readonly given = new Set<string>();
  /** Hosts that took an order for a machine to come by a live move, and none since to run it. */
  private readonly expected = new Set<string>();

  constructor(world: World) {
    this.world = world;
  }

  /** INV-3, whenever a gate was opened or a copy begins to act: an overlap begins at one of these. */
  noteActing(host: Host, vm: string): void {
    if (!this.mayAct(host, vm)) return;
    for (const other of this.world.hosts.values()) {
      if (other === host || !this.mayAct(other, vm)) continue;
      this.world.checker.violate("INV-3", `the gates of ${vm} are open on nodes ${other.id} and ${host.id}`);
    }
  }

  /**
   * Whether the machine could reach the network or change its storage from here, or is about to: not where nothing but
   * its storage is open for a live move to come.
   */
  private mayAct({ id, up, vmKernel: kernel }: Host, vm: string): boolean {
    if (!up || kernel === null) return false;
    const state = kernel.copies.get(vm)?.state;
    const onlyLooks =
      state === undefined
        ? this.expected.has(`${vm} ${id}`)
        : state === "incoming" || state === "incoming-complete";
    return kernel.isOpen(vm, "network") || (kernel.isOpen(vm, "storage") && !onlyLooks);
  }

  /** INV-3: whose gate opens has a lease. */
  noteOpened(host: Host, vm: string): void {
    this.noteActing(host, vm);
    const overdueUs = host.localUs() - host.vm.grantedUntilUs;
    if (overdueUs > 0)
      this.world.checker.violate(
        "INV-3",
        `the gate of ${vm} on node ${host.id} opens ${overdueUs} us after its lease`,
      );
  }

  /** INV-4, when a master decides: every other host has no copy, or its lease is over. */
  noteStatement(master: Host, statement: VmStatement): void {
    for (const order of statement.orders) {
      if (order.kind !== "run" && order.kind !== "incoming") continue;
      const { term, number } = order.placement;
      const key = `${order.vm} ${term}.${number} ${statement.to}`;
      if (this.given.has(key)) continue;
      this.given.add(key);
      const but: NodeId[] = order.kind === "incoming" ? [statement.to, order.from] : [statement.to];
      for (const other of this.world.hosts.values()) {
        const copy = other.up && !but.includes(other.id) ? other.vmKernel?.copies.get(order.vm) : undefined;
        if (copy === undefined || !other.vm.open) continue;
        this.world.checker.violate(
          "INV-4",
          `node ${master.id}, master of term ${statement.term}, gives ${order.vm} to node ${statement.to}` +
            ` while node ${other.id} has a copy (${copy.state}) and a lease`,
        );
      }
    }
  }

  /** What a host took a word of. */
  noteTaken(host: Host, { orders }: VmStatement): void {
    for (const { vm, kind } of orders) {
      if (kind === "incoming") this.expected.add(`${vm} ${host.id}`);
      if (kind === "run") this.expected.delete(`${vm} ${host.id}`);
    }
  }

  /** INV-7, when a host decides to start or resume: under a lease, on what it learnt since that lease began. */
  noteStep(host: Host, step: VmStep, known: { adopted: { term: number }; learntAtUs: number }): void {
    if (step.kind !== "start-copy" && step.kind !== "resume-copy") return;
    this.world.struck(`vm-${step.kind}`);
    const { checker } = this.world;
    const what = `node ${host.id}: ${step.kind} ${step.vm}`;
    if (!host.vm.open) checker.violate("INV-7", `${what} without a lease`);
    if (known.learntAtUs < host.vm.openedAtUs)
      checker.violate("INV-7", `${what}, having learnt nothing since its return`);
    if (known.adopted.term < host.vm.openedInTerm)
      checker.violate(
        "INV-7",
        `${what} under term ${known.adopted.term}, having returned in term ${host.vm.openedInTerm}`,
      );
  }

  /** Machines that should run and do not, in words. */
  missing(): string[] {
    return this.world.vmNames.flatMap((vm) => {
      const at = [...this.world.hosts.values()].filter(
        (host) =>
          host.up &&
          host.vmKernel?.copies.get(vm)?.state === "running" &&
          host.vmKernel.isOpen(vm, "network"),
      );
      return at.length === 1 ? [] : [`${vm} runs on ${at.length} nodes`];
    });
  }
}
