import type { NodeId } from "@quorate/contracts";
import { runningAt } from "./vm-invariants.ts";
import { mulberry, recordOf } from "./vm-model.ts";
import { VmWorld } from "./vm-world.ts";

const VMS = ["a", "b", "c"];
const FAULT_US = 25_000_000;

/** One random schedule: half a minute of faults, then everything is healed and must converge. */
export function runSchedule(seed: number, calmUs = 100_000_000): VmWorld {
  const world = new VmWorld(seed);
  const random = mulberry(seed ^ 0x5bd1e995);
  const pick = (): NodeId => 1 + Math.floor(random() * 3);
  world.run(1_000_000);
  VMS.forEach((vm, index) => world.define(1 + index, recordOf(vm, { prio: index })));
  world.run(1_000_000 + random() * 2_000_000);
  world.lossShare = random() < 0.5 ? 0 : random() * 0.3;
  world.failShare = random() < 0.5 ? 0 : random() * 0.15;
  world.slowShare = random() < 0.5 ? 0 : random() * 0.1;
  const endUs = world.nowUs + FAULT_US;
  while (world.nowUs < endUs && world.violations.length === 0) {
    fault(world, random, pick);
    // Narrow windows come from faults close to one another.
    world.run(random() < 0.5 ? random() * 300_000 : random() * 3_000_000);
  }
  world.lossShare = 0;
  world.failShare = 0;
  world.slowShare = 0;
  world.cut([]);
  for (const node of [1, 2, 3]) {
    world.powerOn(node);
    world.setStorage(node, false);
  }
  const calmEndUs = world.nowUs + calmUs;
  while (world.nowUs < calmEndUs && world.violations.length === 0 && !hasConverged(world))
    world.run(1_000_000);
  return world;
}

const UNGATED = "u";

/**
 * A machine that no gate holds, and operators who vouch for hosts that are off: rounds of a death, the word, the return,
 * and then silence of the host that has the machine, whose processes stand still; often it was defined otherwise before.
 */
export function runProofSchedule(seed: number): VmWorld {
  const world = new VmWorld(seed);
  const random = mulberry(seed ^ 0x2545f491);
  world.run(1_000_000);
  world.define(1 + Math.floor(random() * 3), recordOf(UNGATED, { gated: false }));
  world.define(1, recordOf("a"));
  world.run(2_000_000);
  for (let round = 0; round < 5 && world.violations.length === 0; round += 1) {
    const victim = whereIs(world, UNGATED) ?? 1 + Math.floor(random() * 3);
    world.powerOff(victim);
    world.run(1_000_000 + random() * 3_000_000);
    world.confirmOff(victim);
    world.run(random() * 4_000_000);
    world.confirmOff(victim);
    world.run(random() * 3_000_000);
    world.powerOn(victim);
    world.run(3_000_000 + random() * 4_000_000);
    const at = whereIs(world, UNGATED);
    const silent = at ?? 1;
    // Its next start would be held by the gates; what runs is not.
    const redefined = at !== undefined && random() < 0.5;
    if (redefined) world.define(silent, recordOf(UNGATED));
    world.pause(silent, 3_000_000 + random() * 3_000_000);
    world.cut([silent]);
    world.run(2_000_000 + random() * 4_000_000);
    world.cut([]);
    world.run(3_000_000);
    if (redefined) world.define(whereIs(world, UNGATED) ?? silent, recordOf(UNGATED, { gated: false }));
    // Until the replicas have it.
    world.run(2_000_000);
  }
  const calmEndUs = world.nowUs + 100_000_000;
  while (world.nowUs < calmEndUs && world.violations.length === 0 && !hasConverged(world))
    world.run(1_000_000);
  return world;
}

const WATCHDOG_US = 5_000_000;
/** A token more than three watchdogs, each a second late, and the fence. */
const RESET_US = 1_000_000 + 3 * (WATCHDOG_US + 1_000_000);

/**
 * The same machine on hosts with watchdogs and without a word from anybody: rounds in which the host that has it falls
 * silent, its processes crashing and standing still as they like, for shorter and longer than its watchdog takes; or
 * loses its watchdog a while before. In every third world one host has none.
 */
export function runWatchdogSchedule(seed: number): VmWorld {
  const world = new VmWorld(seed, (node) => (node === 3 && seed % 3 === 0 ? null : WATCHDOG_US));
  const random = mulberry(seed ^ 0x1b873593);
  world.run(1_000_000);
  world.define(1 + Math.floor(random() * 2), recordOf(UNGATED, { gated: false }));
  world.define(1, recordOf("a"));
  world.run(3_000_000);
  for (let round = 0; round < 4 && world.violations.length === 0; round += 1) {
    world.failShare = random() < 0.5 ? 0 : random() * 0.1;
    const at = whereIs(world, UNGATED) ?? 1 + Math.floor(random() * 3);
    if (random() < 0.3) world.move(UNGATED, 1 + (at % 3));
    world.run(random() * 1_000_000);
    const kind = random();
    if (kind < 0.2) {
      world.loseWatchdog(at);
      // Until it is noticed, and what runs there is taken away: a host that falls silent sooner is one fault too many.
      world.run(WATCHDOG_US + 1_000_000);
    }
    world.lateFeeder = kind > 0.7 ? at : null;
    world.run(kind > 0.7 ? WATCHDOG_US / 5 : 0);
    world.cut([at]);
    if (kind > 0.7) crashLate(world, at);
    else crashAtRandom(world, at, random);
    world.run(random() < 0.6 ? RESET_US + 2_000_000 : random() * 3_000_000);
    if (world.hosts.some(({ node, copies }) => node !== at && copies.has(UNGATED)))
      world.counts.takeOvers += 1;
    world.lateFeeder = null;
    world.host(at).isWatchdogDead = false;
    world.cut([]);
    world.failShare = 0;
    world.run(6_000_000);
  }
  const calmEndUs = world.nowUs + 100_000_000;
  while (world.nowUs < calmEndUs && world.violations.length === 0 && !hasConverged(world))
    world.run(1_000_000);
  return world;
}

function crashAtRandom(world: VmWorld, at: NodeId, random: () => number): void {
  const faults = 1 + Math.floor(random() * 8);
  for (let each = 0; each < faults && world.violations.length === 0; each += 1) {
    const kind = random();
    if (kind < 0.4) world.crash(at);
    else if (kind < 0.6) world.pause(at, random() * 2 * WATCHDOG_US);
    else if (kind < 0.7) world.endCopy(at, UNGATED);
    world.run((random() * WATCHDOG_US) / 2);
  }
}

/** The last that was decided under the lease feeds as late as it can, and the end of its process as late again. */
function crashLate(world: VmWorld, at: NodeId): void {
  const host = world.host(at);
  const fedUntil = () => host.watchdog?.untilUs ?? 0;
  const first = fedUntil();
  for (let step = 0; step < 2000 && host.watchdog !== null && fedUntil() === first; step += 1)
    world.run(10_000);
  world.run(Math.max(0, fedUntil() - world.nowUs - 20_000));
  if (host.watchdog !== null) world.crash(at);
}

function whereIs(world: VmWorld, vm: string): NodeId | undefined {
  return world.hosts.find((host) => host.copies.has(vm))?.node;
}

export function hasConverged(world: VmWorld): boolean {
  const vms = world.ungated.size > 0 ? ["a", UNGATED] : VMS;
  return vms.every((vm) => runningAt(world, vm).length === 1);
}

function fault(world: VmWorld, random: () => number, pick: () => NodeId): void {
  const node = pick();
  const vm = VMS[Math.floor(random() * VMS.length)] ?? "a";
  const kind = Math.floor(random() * 13);
  if (kind === 0 || kind === 1) world.cut([node]);
  else if (kind === 2 || kind === 3) world.cut([]);
  else if (kind === 4) world.powerOff(node);
  else if (kind === 5) for (const each of [1, 2, 3]) world.powerOn(each);
  else if (kind === 6) world.pause(node, random() * 4_000_000);
  else if (kind === 7) world.crash(node);
  else if (kind === 8) world.endCopy(node, vm);
  else if (kind === 9 || kind === 10 || kind === 11) world.move(vm, node);
  else world.setStorage(node, random() < 0.4);
}
