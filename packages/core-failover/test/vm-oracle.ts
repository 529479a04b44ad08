import type { NodeId } from "@quorate/contracts";

export const TOKEN_US = 1_000_000;

interface Seat {
  up: boolean;
  boot: number;
  /** The boot that is a member; 0 when none is. */
  member: number;
  lastGrantUs: number;
  lastSeenUs: number;
  leaseEndUs: number;
  term: number;
  view: { term: number; number: number };
  out: boolean;
  /** `sinceUs`: when the verdict fell. */
  fence: { atUs: number; fenced: boolean; sinceUs?: number } | null;
  cleanSinceUs: number | null;
}

/**
 * What core-quorum does, as a model that sees everything: one master, leases, views, fences, all in true time. It
 * keeps the rules that machines rest on: no lease outlives its fence, who was removed learns it before it comes back,
 * and comes back only clean under the present term and view.
 */
export class Oracle {
  readonly seats = new Map<NodeId, Seat>();
  term = 1;
  master: NodeId | null = null;
  masterLeaseEndUs = 0;
  viewNumber = 1;
  readonly #random: () => number;
  #electAtUs = 0;
  #masterBoot = 0;

  constructor(nodes: readonly NodeId[], random: () => number) {
    this.#random = random;
    for (const node of nodes) {
      this.seats.set(node, {
        up: true,
        boot: 1,
        member: 1,
        lastGrantUs: 0,
        lastSeenUs: 0,
        leaseEndUs: 0,
        term: 1,
        view: { term: 1, number: 1 },
        out: false,
        fence: null,
        cleanSinceUs: null,
      });
    }
  }

  seat(node: NodeId): Seat {
    const seat = this.seats.get(node);
    if (seat === undefined) throw new Error(`no node ${node}`);
    return seat;
  }

  get nodes(): NodeId[] {
    return [...this.seats.keys()];
  }

  isFenced(node: NodeId): boolean {
    return this.seat(node).fence?.fenced === true;
  }

  tick(
    nowUs: number,
    connected: (one: NodeId, other: NodeId) => boolean,
    clean: (node: NodeId) => number | null,
  ) {
    const reach = (from: NodeId) =>
      this.nodes.filter((node) => node === from || (this.seat(from).up && connected(from, node)));
    const { master } = this;
    const rebooted = master !== null && this.seat(master).boot !== this.#masterBoot;
    if (
      master === null ||
      rebooted ||
      !this.seat(master).up ||
      reach(master).length * 2 <= this.nodes.length
    ) {
      return this.#elect(nowUs, reach);
    }
    if (nowUs >= this.masterLeaseEndUs && this.masterLeaseEndUs > 0) {
      // It lapsed: over for good.
      this.master = null;
      return;
    }
    const heard = reach(master);
    this.masterLeaseEndUs = nowUs + 0.99 * TOKEN_US;
    const before = this.viewNumber;
    for (const node of this.nodes) this.#judge(node, nowUs, heard.includes(node), clean(node));
    for (const node of heard) {
      const seat = this.seat(node);
      seat.term = this.term;
      seat.view = { term: this.term, number: this.viewNumber };
      seat.out = seat.member !== seat.boot;
      if (this.viewNumber !== before && seat.out) seat.cleanSinceUs = null;
      if (seat.out) seat.leaseEndUs = 0;
      else {
        seat.leaseEndUs = nowUs + 0.99 * TOKEN_US;
        seat.lastGrantUs = nowUs;
      }
    }
  }

  #judge(node: NodeId, nowUs: number, heard: boolean, clean: number | null): void {
    const seat = this.seat(node);
    if (heard) seat.lastSeenUs = nowUs;
    if (seat.member !== 0 && ((heard && seat.member !== seat.boot) || nowUs - seat.lastSeenUs >= TOKEN_US)) {
      seat.member = 0;
      this.viewNumber += 1;
      seat.fence = { atUs: seat.lastGrantUs + 1.02 * TOKEN_US, fenced: false };
      seat.cleanSinceUs = null;
    }
    if (seat.member !== 0) return;
    if (seat.fence !== null && nowUs >= seat.fence.atUs) seat.fence.fenced = true;
    const isClean = heard && seat.out && seat.term === this.term && clean === this.term;
    if (!isClean) seat.cleanSinceUs = null;
    else {
      if (seat.fence !== null) seat.fence.fenced = true;
      seat.cleanSinceUs ??= nowUs;
    }
    if (seat.fence?.fenced === true) seat.fence.sinceUs ??= nowUs;
    if (seat.cleanSinceUs !== null && nowUs - seat.cleanSinceUs >= TOKEN_US / 2) {
      seat.member = seat.boot;
      seat.fence = null;
      seat.out = false;
      this.viewNumber += 1;
    }
  }

  #elect(nowUs: number, reach: (from: NodeId) => NodeId[]): void {
    if (this.master !== null) {
      this.master = null;
      this.#electAtUs = this.masterLeaseEndUs + 0.02 * TOKEN_US + this.#random() * 0.4 * TOKEN_US;
    }
    if (nowUs < Math.max(this.#electAtUs, this.masterLeaseEndUs + 0.02 * TOKEN_US)) return;
    const able = this.nodes.filter(
      (node) => this.seat(node).up && reach(node).length * 2 > this.nodes.length,
    );
    const winner = able[Math.floor(this.#random() * able.length)];
    if (winner === undefined) return;
    this.term += 1;
    this.master = winner;
    this.#masterBoot = this.seat(winner).boot;
    this.viewNumber = 1;
    this.seat(winner).term = this.term;
    this.seat(winner).view = { term: this.term, number: 1 };
    this.masterLeaseEndUs = nowUs + 0.99 * TOKEN_US;
    for (const node of this.nodes) {
      const seat = this.seat(node);
      seat.lastSeenUs = nowUs;
      seat.cleanSinceUs = null;
      // A new master has its own adopters report again.
      if (seat.member === 0)
        seat.fence = { atUs: Math.max(nowUs + 100_000, seat.lastGrantUs + 1.02 * TOKEN_US), fenced: false };
    }
  }
}
