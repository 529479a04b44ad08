import { compareViews, type NodeId, type View } from "@quorate/contracts";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

/** A break of the network that is longer than this, in tokens, was noticed by everybody. */
const LONG_BREAK = 1.3;
/** How much of a token at the least lies between the end of such a break and the return. */
const LEAST_WAIT = 0.9;

/**
 * INV-7 at the door: how a node comes back. Looks at disks, gates and wires at the instant in which a master writes
 * the view down that has it again.
 */
export class Returns {
  private readonly world: World;
  private readonly views = new Map<string, View>();
  /** Boots of nodes that some view has named. */
  private readonly boots = new Set<string>();

  constructor(world: World) {
    this.world = world;
  }

  /** Whether a master has ever taken this boot of the node in. */
  isAdmitted(host: Host): boolean {
    return this.boots.has(`${host.id} ${host.bootId}`);
  }

  /** A view that nobody has seen before is on the disk of `host`. */
  noteView(host: Host, view: View, isMaster: boolean): void {
    for (const { node, bootId } of view.members) this.boots.add(`${node} ${bootId}`);
    this.views.set(`${view.term}.${view.number}`, view);
    const before = this.views.get(`${view.term}.${view.number - 1}`);
    if (before === undefined || !isMaster) return;
    for (const { node, bootId } of view.members) {
      if (node === host.id || before.members.some((member) => member.node === node)) continue;
      const back = this.world.hosts.get(node);
      // Whoever has gone again meanwhile holds nothing.
      if (back?.up !== true || back.bootId !== bootId) continue;
      const wrong = this.objectionTo(back, host.id, before, view);
      if (wrong !== null)
        this.world.checker.violate(
          "INV-7",
          `node ${node} is back in view ${view.term}.${view.number} of node ${host.id} ${wrong}`,
        );
    }
  }

  private objectionTo(back: Host, master: NodeId, before: View, view: View): string | null {
    const { world } = this;
    const state = back.disk.evaluator;
    if (state === null || state.amnesic || compareViews(state.view, view) >= 0) return null;
    if (!state.out || compareViews(state.view, before) < 0) return "and has not adopted that it was removed";
    if (state.term < view.term) return `and has learnt of no term after ${state.term}`;
    if (back.vm.open) return "while its gates are open";
    const vm = this.copyOfAnothers(back);
    if (vm !== null) return `with a copy of ${vm}, which runs elsewhere`;
    // A datagram that is seconds late tells of a way that is not there any more.
    if (!world.network.isPrompt) return null;
    const { fromUs, toUs } = world.routes.lastBreak(back.id, master);
    if (world.network.heldUpUntilUs > fromUs) return null;
    const sinceUs = world.nowUs - toUs;
    if (toUs - fromUs < LONG_BREAK * world.tokenUs || sinceUs >= LEAST_WAIT * world.tokenUs) return null;
    return `${Math.round(sinceUs / 1000)} ms after the two could reach each other again`;
  }

  /** A machine of which it has a copy though another host runs it; a leftover that runs on in the dark is not meant. */
  private copyOfAnothers(back: Host): string | null {
    for (const vm of back.vmKernel?.copies.keys() ?? []) {
      for (const other of this.world.hosts.values())
        if (other !== back && other.vm.open && other.vmKernel?.copies.get(vm)?.state === "running") return vm;
    }
    return null;
  }
}
