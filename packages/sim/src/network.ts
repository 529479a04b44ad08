import type { ClusterConfig, NodeId } from "@quorate/contracts";
import type { Host } from "./host.ts";
import type { Datagram } from "./processes/membership-process.ts";
import { Random } from "./random.ts";
import type { Noise } from "./schedule.ts";

const RECORDED = 128;
const DELAY_LEAST_US = 100;
const DELAY_MOST_US = 700;

export type NetworkSurroundings = {
  nowUs(): number;
  at(atUs: number, run: () => void): void;
  hosts(): ReadonlyMap<NodeId, Host>;
  noise(): Noise;
  tokenUs: number;
  noiseSeed: number;
  changed(): void;
  /** Every datagram, as it leaves. */
  sent(datagram: Datagram): void;
};

/** Heartbeats' way: per direction and ring, datagrams come late, twice, in another order, again, or never. */
/** A datagram that takes longer than this, in tokens, was held up. */
const HELD_UP = 0.3;

export class Network {
  /** Added loss and delay by node; 0 is everybody's. */
  readonly lossBy = new Map<NodeId, number>();
  readonly delayBy = new Map<NodeId, number>();
  /** Until then datagrams may arrive that were held up on their way. */
  heldUpUntilUs = 0;
  private readonly cuts = new Map<string, number>();
  private readonly streams = new Map<string, Random>();
  private readonly recorded = new Map<NodeId, Datagram[]>();
  private readonly around: NetworkSurroundings;

  constructor(around: NetworkSurroundings) {
    this.around = around;
  }

  /** Cuts add up; each has to be taken back. */
  cut(from: NodeId, to: NodeId, ring: number, by: 1 | -1): void {
    const key = linkKey(from, to, ring);
    const count = (this.cuts.get(key) ?? 0) + by;
    if (count > 0) this.cuts.set(key, count);
    else this.cuts.delete(key);
    this.around.changed();
  }

  healAll(): void {
    this.cuts.clear();
    this.lossBy.clear();
    this.delayBy.clear();
    this.around.changed();
  }

  carries(from: NodeId, to: NodeId, ring: number): boolean {
    const hosts = this.around.hosts();
    const plugged = (node: NodeId) => ring !== 0 || hosts.get(node)?.kernel.carrier !== false;
    return !this.cuts.has(linkKey(from, to, ring)) && plugged(from) && plugged(to);
  }

  /** Whether what arrives was sent just before. */
  get isPrompt(): boolean {
    const { late, duplicate, replay } = this.around.noise();
    return late + duplicate + replay === 0 && this.delayBy.values().every((delayUs) => delayUs === 0);
  }

  /** Whether something that needs both directions gets through on any ring. */
  connects(left: NodeId, right: NodeId, rings: number): boolean {
    for (let ring = 0; ring < rings; ring += 1)
      if (this.carries(left, right, ring) && this.carries(right, left, ring)) return true;
    return false;
  }

  send(from: Host, datagram: Datagram, config: ClusterConfig): void {
    this.around.sent(datagram);
    this.record(from.id, datagram);
    const multicast = config.transport === "udp";
    const { loss, replay } = this.around.noise();
    if (multicast && this.stream(`out ${from.id}`).chance(loss + this.lossOf(from.id))) return;
    for (const host of this.around.hosts().values()) {
      if (host.id === from.id) continue;
      if (!multicast && !config.nodes.some((node) => node.id === host.id)) continue;
      this.carry(from.id, host, datagram, !multicast);
    }
    if (replay > 0 && this.stream(`replay ${from.id}`).chance(replay)) this.replay(from.id, 1);
  }

  /** Datagrams that were sent once come again. */
  replay(from: NodeId, count: number): void {
    const recorded = this.recorded.get(from) ?? [];
    const random = this.stream(`replay ${from}`);
    for (let index = 0; index < count && recorded.length > 0; index += 1) {
      const datagram = random.pick(recorded);
      for (const host of this.around.hosts().values())
        if (host.id !== from) this.carry(from, host, datagram, false);
    }
  }

  private carry(from: NodeId, to: Host, datagram: Datagram, losesOwn: boolean): void {
    const { ring } = datagram.envelope;
    if (!to.up || !this.carries(from, to.id, ring)) return;
    const random = this.stream(linkKey(from, to.id, ring));
    const { loss, late, duplicate } = this.around.noise();
    const lossRate = (losesOwn ? loss + this.lossOf(from) : 0) + (this.lossBy.get(to.id) ?? 0);
    // As many draws whatever happens, so that one fault less leaves the rest of the noise alone.
    const fates = [random.next(), random.next(), random.next(), random.next()] as const;
    if (fates[0] < lossRate) return;
    this.arrive(to, datagram, this.delayUs(random, from, to.id, fates[1] < late));
    if (fates[2] < duplicate) this.arrive(to, datagram, this.delayUs(random, from, to.id, fates[3] < 0.5));
  }

  private arrive(to: Host, datagram: Datagram, delayUs: number): void {
    if (delayUs > HELD_UP * this.around.tokenUs)
      this.heldUpUntilUs = Math.max(this.heldUpUntilUs, this.around.nowUs() + delayUs);
    this.around.at(this.around.nowUs() + delayUs, () => to.membership.datagram(datagram));
  }

  private delayUs(random: Random, from: NodeId, to: NodeId, isLate: boolean): number {
    const usualUs = random.between(DELAY_LEAST_US, DELAY_MOST_US);
    const extraUs = (this.delayBy.get(0) ?? 0) + (this.delayBy.get(from) ?? 0) + (this.delayBy.get(to) ?? 0);
    const lateUs = isLate ? random.between(0, 3 * this.around.tokenUs) : 0;
    return usualUs + lateUs + (extraUs > 0 ? random.between(0, extraUs) : 0);
  }

  private lossOf(node: NodeId): number {
    return (this.lossBy.get(0) ?? 0) + (this.lossBy.get(node) ?? 0);
  }

  private stream(key: string): Random {
    let random = this.streams.get(key);
    if (random === undefined) {
      random = Random.forked(this.around.noiseSeed, `link ${key}`);
      this.streams.set(key, random);
    }
    return random;
  }

  private record(from: NodeId, datagram: Datagram): void {
    let recorded = this.recorded.get(from);
    if (recorded === undefined) {
      recorded = [];
      this.recorded.set(from, recorded);
    }
    // The newest replace random older ones, so that some stay for long.
    if (recorded.length < RECORDED) recorded.push(datagram);
    else recorded[this.stream(`record ${from}`).between(0, RECORDED - 1)] = datagram;
  }
}

function linkKey(from: NodeId, to: NodeId, ring: number): string {
  return `${from}>${to}@${ring}`;
}
