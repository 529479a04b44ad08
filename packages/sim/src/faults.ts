import { assertNever, compareConfigRefs, type NodeId } from "@quorate/contracts";
import { configOf, firstDocument } from "./documents.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";
import { type FaultAction, type NodeRef, PROCESS_NAMES, type ProcessName } from "./schedule.ts";
import { hasMajority } from "./settling.ts";
import { applyMachineFault, healMachines } from "./vm-faults.ts";
import type { World } from "./world.ts";

const REBOOT_AT_HEAL_US = 100_000;
const RESTART_AT_HEAL_US = 250_000;

/** Does one action. False when it had nothing to strike, or would have left no majority. */
export function applyFault(world: World, action: FaultAction): boolean {
  switch (action.kind) {
    case "crash":
      return onProcesses(world, action, (host, process) => {
        process.kill();
        host.startLater(process.name, action.downUs);
      });
    case "pause":
      return onProcesses(world, action, (_host, process) => process.pause(action.forUs));
    case "slow":
      return onProcesses(world, action, (_host, process) => process.setSlow(action.eachUs, action.forUs));
    case "trap":
      return onHost(world, action.node, (host) =>
        host.process(action.process).setTrap(action.point, action.strike, action.forUs),
      );
    case "power-cut":
      return onHost(world, action.node, (host) => {
        host.powerOff();
        world.at(world.nowUs + action.downUs, () => host.powerOn());
      });
    case "suspend-host":
      return onHost(world, action.node, (host) => suspend(world, host, action.forUs));
    case "cut":
      return cut(world, action);
    case "switch-down":
      return cutPairs(world, allPairs(world), action.forUs);
    case "partition": {
      const side = action.side.map((ref) => resolve(world, ref)?.id);
      const across = allPairs(world).filter(({ from, to }) => side.includes(from) !== side.includes(to));
      return cutPairs(world, across, action.forUs);
    }
    case "loss":
      return onPart(world, action.node, (id) => {
        add(world.network.lossBy, id, action.rate);
        world.at(world.nowUs + action.forUs, () => add(world.network.lossBy, id, -action.rate));
      });
    case "network-delay":
      return onPart(world, action.node, (id) => {
        add(world.network.delayBy, id, action.upToUs);
        world.at(world.nowUs + action.forUs, () => add(world.network.delayBy, id, -action.upToUs));
      });
    case "replay":
      return onHost(world, action.from, (host) => world.network.replay(host.id, action.count));
    case "bus-loss":
      return onHost(world, action.node, (host) => host.bus.lose(action.downUs));
    case "bus-slow":
      return lasting(world, action.node, action.forUs, (host, on) => {
        host.busSlowUpToUs = on ? action.upToUs : 0;
      });
    case "disk-full":
      return lasting(world, action.node, action.forUs, (host, on) => {
        host.disk.isFull = on;
      });
    case "disk-slow":
      return lasting(world, action.node, action.forUs, (host, on) => {
        host.disk.slowUpToUs = on ? action.upToUs : 0;
      });
    case "lose-state":
      return loseState(world, action);
    case "kernel-slow":
      return lasting(world, action.node, action.forUs, (host, on) => {
        host.kernelSlowUpToUs = on ? action.upToUs : 0;
      });
    case "flush-ruleset":
      return onHost(world, action.node, (host) => host.kernel.flushRuleset());
    case "remove-address":
      return onHost(world, action.node, (host) => {
        if (host.kernel.removeAddress()) host.addressChanged("removed");
      });
    case "foreign-claim":
      if (world.nowUs >= world.foreignUntilUs) world.foreignSinceUs = world.nowUs;
      world.foreignUntilUs = Math.max(world.foreignUntilUs, world.nowUs + action.forUs);
      world.announced(null);
      return true;
    case "no-carrier":
      return lasting(world, action.node, action.forUs, (host, on) => setCarrier(world, host, !on));
    case "service-crash":
      return onHost(world, action.node, (host) => {
        if (host.kernel.service !== "running") return;
        host.kernel.service = "failed";
        host.actuator.told({ kind: "changed", what: "service" });
      });
    case "service-broken":
      return lasting(world, action.node, action.forUs, (host, on) => {
        host.serviceBroken = on;
      });
    case "wall-step":
      return onHost(world, action.node, (host) => {
        host.wallStepMs += action.byMs;
      });
    case "move": {
      const target = resolve(world, action.target);
      if (target === null) return false;
      world.operator.move(target.id);
      return true;
    }
    case "drain":
      return onHost(world, action.node, (host) => world.operator.drain(host, action.downUs));
    case "vm-end":
    case "vm-move":
    case "storage-gone":
      return applyMachineFault(world, action, (ref) => resolve(world, ref));
    case "set-prio":
      return onHost(world, action.node, (host) => {
        const via = anyUp(world, null);
        if (via !== null) world.operator.setPrio(via, host.id, action.prio);
      });
    case "set-votes":
      return onHost(world, action.node, (host) => {
        const via = anyUp(world, null);
        if (via !== null) world.operator.setVotes(via, host.id, action.votes);
      });
    case "add-node": {
      const via = anyUp(world, null);
      if (via === null || world.hosts.has(action.node)) return false;
      world.operator.addNode(via, action.node, action.prio);
      return true;
    }
    case "expect":
      return expect(world, action);
    case "remove-node":
      return onHost(world, action.node, (host) => {
        const via = anyUp(world, host);
        if (via !== null && listedNodes(world).length > 3) world.operator.removeNode(via, host);
      });
    default:
      return assertNever(action);
  }
}

/** Ends every fault: the network carries, every host that is on the list is up and every process runs. */
export function healFaults(world: World): void {
  world.network.healAll();
  world.foreignUntilUs = 0;
  healMachines(world);
  const listed = listedNodes(world);
  for (const host of world.hosts.values()) {
    host.disk.isFull = false;
    host.disk.slowUpToUs = 0;
    host.kernelSlowUpToUs = 0;
    host.busSlowUpToUs = 0;
    host.serviceBroken = false;
    if (!host.kernel.carrier) setCarrier(world, host, true);
    if (!listed.includes(host.id)) continue;
    if (!host.up) {
      world.at(world.nowUs + REBOOT_AT_HEAL_US, () => host.powerOn());
      continue;
    }
    for (const process of host.processes) process.thaw();
    // A drained evaluator has stopped for good: its supervisor starts it anew.
    if (!world.operator.breakOffDrain(host) && host.evaluator.state?.leaving === true) host.evaluator.kill();
    for (const process of host.processes)
      if (!process.running) host.startLater(process.name, RESTART_AT_HEAL_US);
  }
}

/** The node that a reference means now; null when there is none. */
export function resolve(world: World, ref: NodeRef): Host | null {
  if (typeof ref === "number") return world.hosts.get(ref) ?? null;
  const bound = world.bindings.get(ref);
  if (bound !== undefined) return world.hosts.get(bound) ?? null;
  const hosts = [...world.hosts.values()];
  const holder = hosts.find((host) => host.answers)?.id ?? world.lastHolder;
  const found = ref.startsWith("master")
    ? (world.hosts.get(holder) ?? null)
    : (hosts.find((host) => host.up && host.id !== holder) ?? null);
  if (found !== null) world.bindings.set(ref, found.id);
  return found;
}

/** Says nothing of a cluster that has changed since the story was made. */
function expect(world: World, { holder, members }: Extract<FaultAction, { kind: "expect" }>): boolean {
  const wanted = resolve(world, holder);
  if (wanted === null) return false;
  const holders = [...world.hosts.values()].filter((host) => host.answers).map(({ id }) => id);
  const inView = wanted.disk.evaluator?.view.members.map(({ node }) => node) ?? [];
  const absent = members.flatMap((ref) => resolve(world, ref)?.id ?? []).filter((id) => !inView.includes(id));
  const what =
    holders.join() !== `${wanted.id}`
      ? `node ${wanted.id} should hold the address by now; it is held by ${holders.join(" and ") || "nobody"}`
      : absent.length > 0
        ? `node ${absent.join(" and ")} should be in the view of node ${wanted.id}`
        : null;
  if (what !== null) world.checker.violate("LIVENESS", what);
  return true;
}

function onHost(world: World, ref: NodeRef, act: (host: Host) => void): boolean {
  const host = resolve(world, ref);
  if (host === null || !host.up) return false;
  act(host);
  return true;
}

function onProcesses(
  world: World,
  target: { node: NodeRef; process: ProcessName | "all" },
  act: (host: Host, process: Process) => void,
): boolean {
  return onHost(world, target.node, (host) => {
    const names = target.process === "all" ? PROCESS_NAMES : [target.process];
    for (const name of names) act(host, host.process(name));
  });
}

function lasting(world: World, ref: NodeRef, forUs: number, set: (host: Host, on: boolean) => void): boolean {
  return onHost(world, ref, (host) => {
    set(host, true);
    world.at(world.nowUs + forUs, () => set(host, false));
  });
}

/** Of one node, or of everybody (named 0). */
function onPart(world: World, ref: NodeRef | undefined, act: (id: NodeId) => void): boolean {
  const id = ref === undefined ? 0 : (resolve(world, ref)?.id ?? null);
  if (id === null) return false;
  act(id);
  return true;
}

function add(amounts: Map<NodeId, number>, id: NodeId, amount: number): void {
  amounts.set(id, Math.max(0, (amounts.get(id) ?? 0) + amount));
}

type Pair = { from: NodeId; to: NodeId; ring: number };

function rings(world: World): number[] {
  return Array.from({ length: world.cluster.rings }, (_, ring) => ring);
}

function allPairs(world: World): Pair[] {
  const ids = [...world.hosts.keys()];
  return ids.flatMap((from) =>
    ids.filter((to) => to !== from).flatMap((to) => rings(world).map((ring) => ({ from, to, ring }))),
  );
}

function cut(world: World, action: Extract<FaultAction, { kind: "cut" }>): boolean {
  const node = resolve(world, action.node)?.id;
  if (node === undefined) return false;
  const peers =
    action.peers === "all"
      ? [...world.hosts.keys()]
      : action.peers.flatMap((ref) => resolve(world, ref)?.id ?? []);
  const pairs: Pair[] = [];
  for (const peer of peers) {
    if (peer === node) continue;
    for (const ring of action.rings ?? rings(world)) {
      if (action.direction !== "in") pairs.push({ from: node, to: peer, ring });
      if (action.direction !== "out") pairs.push({ from: peer, to: node, ring });
    }
  }
  return cutPairs(world, pairs, action.forUs);
}

function cutPairs(world: World, pairs: readonly Pair[], forUs: number): boolean {
  if (pairs.length === 0) return false;
  for (const { from, to, ring } of pairs) world.network.cut(from, to, ring, 1);
  world.at(world.nowUs + forUs, () => {
    for (const { from, to, ring } of pairs) world.network.cut(from, to, ring, -1);
  });
  return true;
}

function setCarrier(world: World, host: Host, carrier: boolean): void {
  host.kernel.carrier = carrier;
  world.routes.look();
  world.checker.noteAnswering(host);
  host.actuator.told({ kind: "changed", what: "link", device: "vmbr0" });
}

/** Nothing of the host runs, its kernel included, and CLOCK_MONOTONIC does not see it. */
function suspend(world: World, host: Host, forUs: number): void {
  const { boot } = host;
  host.suspendedUntilUs = world.nowUs + forUs;
  for (const process of host.processes) process.pause(forUs);
  host.clock.standStill(forUs);
  world.at(world.nowUs + forUs, () => {
    if (host.boot !== boot) return;
    host.suspendedForUs += forUs;
    world.checker.noteAnswering(host);
  });
}

function loseState(world: World, action: Extract<FaultAction, { kind: "lose-state" }>): boolean {
  const host = resolve(world, action.node);
  if (host === null || !host.up) return false;
  // Enough nodes must remember: at most one has lost its state at a time, and the others are a majority.
  const isSpared =
    [...world.hosts.values()].some((each) => lacksState(world, each)) || !hasMajority(world, host.id);
  if (action.what !== "incarnation" && isSpared) return false;
  const readers: ProcessName[] =
    action.what === "incarnation"
      ? ["membership"]
      : action.what === "evaluator"
        ? ["evaluator"]
        : ["distributor", "evaluator"];
  for (const name of readers) {
    host.process(name).kill();
    host.startLater(name, action.downUs);
  }
  if (action.what === "incarnation") host.disk.incarnation = null;
  else if (action.what === "evaluator") host.disk.evaluator = null;
  else host.disk.document = firstDocument(host.firstText);
  return true;
}

function lacksState(world: World, host: Host): boolean {
  const { evaluator, document } = host.disk;
  return (
    evaluator === null ||
    evaluator.amnesic ||
    compareConfigRefs(document.ref, evaluator.stored) < 0 ||
    (document.text === host.firstText && document.ref.term === 0 && world.nowUs > 5 * world.tokenUs)
  );
}

function anyUp(world: World, except: Host | null): Host | null {
  return (
    [...world.hosts.values()].find((host) => host !== except && host.up && host.distributor.running) ?? null
  );
}

/** Everybody on the newest list. */
function listedNodes(world: World): NodeId[] {
  const newest = [...world.hosts.values()]
    .map((host) => host.disk.document)
    .reduce((best, document) => (compareConfigRefs(document.ref, best.ref) > 0 ? document : best));
  return configOf(newest.text).nodes.map((node) => node.id);
}
