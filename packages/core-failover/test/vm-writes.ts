import { type Host, openGate } from "./vm-model.ts";
import type { VmWorld } from "./vm-world.ts";

/** What a slow network or array may hold back: less than what a start waits. */
const HELD_BACK_US = 450_000;

/** Each guest of a host writes: it waits in a socket while the gate is shut, and some of it in the network and the array. */
export function writeAll(world: VmWorld, host: Host): void {
  for (const [vm, copy] of host.copies) {
    if (copy.state !== "running" && copy.state !== "migrating") continue;
    const waiting = host.sockets.get(vm) ?? [];
    if (waiting.length < 4) host.sockets.set(vm, [...waiting, copy.execution]);
  }
  for (const [vm, waiting] of [...host.sockets]) {
    if (openGate(host, vm, world.nowUs)?.storage !== true && !world.ungated.has(vm)) continue;
    host.sockets.delete(vm);
    for (const execution of waiting) {
      const heldUs = world.random() < 0.2 ? world.random() * HELD_BACK_US : world.random() * 3_000;
      world.at(heldUs, () => arrive(world, host, vm, execution));
    }
  }
}

/** A write of an execution that a newer one has overtaken destroys data. */
function arrive(world: VmWorld, host: Host, vm: string, execution: number): void {
  const current = world.disks.get(vm) ?? 0;
  if (execution === current) return;
  world.violations.push(
    `INV-3: a write of execution ${execution} of ${vm}@${host.node} arrives after ${current} began`,
  );
}
