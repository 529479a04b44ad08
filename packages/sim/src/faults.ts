import type { NodeId } from "@quorate/contracts";
import { amnesicState } from "@quorate/core-quorum";
import { type Host, type InputKind, rebootHost } from "./host.ts";
import type { Random } from "./random.ts";

/** What a fault may touch. */
export type Faultable = {
  readonly random: Random;
  readonly tokenUs: number;
  readonly nowUs: number;
  readonly hosts: ReadonlyMap<NodeId, Host>;
  /** Directions that carry nothing: "from>to". */
  readonly cuts: Set<string>;
  lossRate: number;
  startLater(host: Host, delayUs: number): void;
  give(host: Host, input: InputKind): void;
  configOf(host: Host): Parameters<typeof amnesicState>[0];
};

/** Each fault by name; those that should be frequent stand in `FAULT_MIX` more than once. */
export const FAULTS = {
  crash: (world, host) => crash(world, host),
  "double-crash": (world, host) => {
    crash(world, host);
    world.startLater(host, world.random.between(1000, world.tokenUs));
  },
  reboot: (world, host) => {
    rebootHost(host, world.random.between(0, 10 ** 12));
    world.startLater(host, world.random.between(100_000, world.tokenUs * 4));
  },
  pause: (world, host) => {
    host.pausedUntilUs = world.nowUs + world.random.between(world.tokenUs / 50, world.tokenUs * 3);
  },
  cut: (world, host) => {
    for (const other of world.hosts.keys()) cut(world, host.id, other);
  },
  "one-way": (world, host) => {
    const other = world.random.pick([...world.hosts.keys()]);
    if (other !== host.id) world.cuts.add(`${host.id}>${other}`);
  },
  partition: (world, host) => {
    for (const left of world.hosts.keys()) {
      for (const right of world.hosts.keys()) if (left <= host.id && right > host.id) cut(world, left, right);
    }
  },
  loss: (world) => {
    world.lossRate = world.random.pick([0, 0.01, 0.1, 0.3, 0.5]);
  },
  join: (world) => world.cuts.clear(),
  move: (world, host) =>
    world.give(host, { kind: "move", target: world.random.pick([...world.hosts.keys()]) }),
  unable: (_world, host) => {
    host.able = !host.able;
  },
  drain: (world, host) => world.give(host, { kind: "drain" }),
  amnesia: (world, host) => {
    // At most one node has lost its state at a time: with more, no quorum may be left to re-admit them.
    if ([...world.hosts.values()].some(({ durable }) => durable.amnesic)) return;
    host.durable = amnesicState(world.configOf(host), { ...host.durable.stored, term: 0 }, host.id);
    crash(world, host);
  },
} satisfies Record<string, (world: Faultable, host: Host) => void>;

export type FaultName = keyof typeof FAULTS;

export const FAULT_MIX: readonly FaultName[] = ["crash", "pause", ...(Object.keys(FAULTS) as FaultName[])];

/** Ends the process; it comes back, most often within half a token. */
export function crash(world: Faultable, host: Host): void {
  if (host.process === null) return;
  host.process = null;
  host.life += 1;
  host.pausedUntilUs = 0;
  const longUs = world.random.chance(0.7) ? world.tokenUs / 2 : world.tokenUs * 4;
  world.startLater(host, world.random.between(20_000, longUs));
}

function cut(world: Faultable, left: NodeId, right: NodeId): void {
  if (left === right) return;
  world.cuts.add(`${left}>${right}`);
  world.cuts.add(`${right}>${left}`);
}

/** Ends every fault: the network carries, every process runs. */
export function heal(world: Faultable): void {
  world.cuts.clear();
  world.lossRate = 0;
  for (const host of world.hosts.values()) {
    host.able = true;
    host.pausedUntilUs = Math.min(host.pausedUntilUs, world.nowUs);
    // An order to stop that a stopped process has not read yet would be one fault more.
    host.inbox = host.inbox.filter(({ kind }) => kind !== "drain");
    // A drained process has stopped: its supervisor starts it anew.
    if (host.process?.leaving === true) crash(world, host);
    if (host.process === null) world.startLater(host, 100_000);
  }
}
