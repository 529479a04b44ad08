import type { NodeId } from "@quorate/contracts";
import type { VmStep } from "../src/index.ts";
import { type Host, isOnlyLooking, openGate } from "./vm-model.ts";
import { TOKEN_US } from "./vm-oracle.ts";
import type { VmWorld } from "./vm-world.ts";

/** INV-4 and INV-7 are promises of the decision: judged when it is made, against the world as it is. */
export function judgeOrder(world: VmWorld, host: Host, step: VmStep): void {
  if (step.kind !== "start-copy" && step.kind !== "resume-copy" && step.kind !== "receive-copy") return;
  const { vm } = step;
  if (step.kind === "start-copy") world.counts.starts += 1;
  if (step.kind === "resume-copy") world.counts.resumes += 1;
  world.say(`  ${host.node} ${step.kind} ${vm}`);
  const seat = world.oracle.seat(host.node);
  if (
    host.vms.adopted.term < seat.term &&
    world.nowUs < seat.leaseEndUs &&
    host.vms.adopted.term < (host.vms.grant?.term ?? 0)
  ) {
    world.violations.push(`INV-7: ${step.kind} ${vm}@${host.node} under term ${host.vms.adopted.term}`);
  }
  for (const other of world.hosts) {
    if (other === host || !other.copies.has(vm)) continue;
    // A lease fences what the gates hold, and nothing else.
    if (world.oracle.isFenced(other.node) && !world.ungated.has(vm)) continue;
    if (step.kind === "receive-copy" && step.from === other.node) continue;
    const state = other.copies.get(vm)?.state ?? "";
    if (step.kind === "resume-copy" && (state === "incoming" || state === "incoming-complete")) continue;
    // A host that lost its power and is back under another boot has none of these.
    if (world.oracle.seat(other.node).up) {
      world.violations.push(`INV-4: ${step.kind} ${vm}@${host.node} while ${vm}@${other.node} is ${state}`);
    }
  }
}

/** INV-3: one open gate for each machine, who only looks apart, and none that outlives its lease. */
export function checkGates(world: VmWorld): void {
  const vms = new Set(world.hosts.flatMap((host) => [...host.gates.keys()]));
  for (const vm of vms) {
    const open = world.hosts.filter((host) => {
      const gate = openGate(host, vm, world.nowUs);
      return gate !== undefined && (gate.network || gate.storage);
    });
    const acting = open.filter((host) => !isOnlyLooking(host, vm, world.nowUs));
    if (acting.length > 1) {
      world.violations.push(`INV-3: ${vm} is open on ${acting.map(({ node }) => node).join(" and ")}`);
    }
    for (const host of open) {
      if (world.nowUs > world.oracle.seat(host.node).lastGrantUs + 1.02 * TOKEN_US) {
        world.violations.push(`gate of ${vm}@${host.node} outlives the lease`);
      }
    }
  }
}

/** Where the machine runs with its network open. */
export function runningAt(world: VmWorld, vm: string): NodeId[] {
  return world.hosts
    .filter(
      (host) => host.copies.get(vm)?.state === "running" && openGate(host, vm, world.nowUs)?.network === true,
    )
    .map(({ node }) => node);
}
