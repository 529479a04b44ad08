import {
  type Ballot,
  type CarriedBallot,
  carryBallot,
  type NodeId,
  type PeersMessage,
} from "@quorate/contracts";
import {
  type Heartbeat,
  type MembershipConfig,
  type MembershipEffect,
  type MembershipInput,
  type MembershipState,
  nextIncarnation,
  startMembership,
  stepMembership,
  timingOf,
} from "../src/index.ts";

/** Several cores on one clock, with a network that a test can cut per direction and ring. */
export const TOKEN_MS = 1000;
export const T = TOKEN_MS * 1000;
export const TICK = T / 20;

export function configOf(
  self: NodeId,
  nodes: readonly NodeId[],
  rings: readonly number[] = [0],
): MembershipConfig {
  return {
    clusterName: "test",
    timing: timingOf(TOKEN_MS),
    peers: nodes.filter((node) => node !== self).map((node) => ({ node, rings })),
  };
}

export function ballotOf(node: NodeId, atUs: number, more: Partial<Ballot> = {}): CarriedBallot {
  return carryBallot({
    node,
    name: { bootId: bootOf(node), atUs },
    changed: false,
    tokenMs: TOKEN_MS,
    term: 1,
    follows: null,
    master: false,
    released: null,
    preVote: null,
    preVoteFor: null,
    view: { term: 0, number: 0, members: [] },
    out: false,
    clean: null,
    stored: { term: 0, version: 1, digest: "a".repeat(64) },
    committed: null,
    able: { ok: true, code: "able", message: "able" },
    amnesic: false,
    leaving: false,
    echoes: [],
    ...more,
  });
}

export function bootOf(node: NodeId, boot = 0): string {
  return (node * 16 + boot).toString(16).padStart(16, "0");
}

export interface Sent {
  from: NodeId;
  ring: number;
  counter: number;
  incarnation: number;
  heartbeat: Heartbeat;
}

interface Host {
  state: MembershipState;
  persisted: number | null;
  counters: Map<number, number>;
  effects: MembershipEffect[];
  frozen: boolean;
  queue: { input: MembershipInput }[];
  alive: boolean;
  nextTickUs: number;
}

export class World {
  nowUs = 10 * T;
  readonly hosts = new Map<NodeId, Host>();
  readonly cuts = new Set<string>();
  readonly wire: Sent[] = [];
  readonly nodes: readonly NodeId[];
  readonly rings: readonly number[];
  readonly ballots: boolean;

  constructor(nodes: readonly NodeId[], rings: readonly number[] = [0], ballots = false) {
    this.nodes = nodes;
    this.rings = rings;
    this.ballots = ballots;
    for (const node of nodes) this.start(node);
  }

  /** Starts, or restarts, the process of a node; `lose` forgets what it persisted. */
  start(node: NodeId, options: { wallClockMs?: number; lose?: boolean; boot?: number } = {}): void {
    const persisted = options.lose === true ? null : (this.hosts.get(node)?.persisted ?? null);
    const wallClockMs = options.wallClockMs ?? this.nowUs / 1000;
    const outcome = startMembership({
      self: node,
      bootId: bootOf(node, options.boot),
      incarnation: nextIncarnation(persisted, wallClockMs),
      config: configOf(node, this.nodes, this.rings),
      nowUs: this.nowUs,
    });
    const host: Host = {
      state: outcome.state,
      persisted,
      counters: new Map(),
      effects: [],
      frozen: false,
      queue: [],
      alive: true,
      nextTickUs: this.nowUs + TICK,
    };
    this.hosts.set(node, host);
    this.#perform(node, host, outcome.effects);
  }

  host(node: NodeId): Host {
    const host = this.hosts.get(node);
    if (host === undefined) throw new Error(`no node ${node}`);
    return host;
  }

  kill(node: NodeId): void {
    this.host(node).alive = false;
  }

  freeze(node: NodeId): void {
    this.host(node).frozen = true;
  }

  /** The timer comes first, then what waited at the socket: as in a real event loop. */
  thaw(node: NodeId): void {
    const host = this.host(node);
    host.frozen = false;
    this.input(node, { kind: "tick" });
    for (const { input } of host.queue.splice(0)) {
      this.input(node, input.kind === "datagram" ? { ...input, receivedAtUs: this.nowUs } : input);
    }
    host.nextTickUs = this.nowUs + TICK;
  }

  cut(from: NodeId, to: NodeId, ring = 0): void {
    this.cuts.add(`${from}>${to}@${ring}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  input(node: NodeId, input: MembershipInput): void {
    const host = this.host(node);
    if (!host.alive) return;
    if (host.frozen) {
      if (input.kind === "datagram") host.queue.push({ input });
      return;
    }
    const outcome = stepMembership(host.state, this.nowUs, input);
    host.state = outcome.state;
    this.#perform(node, host, outcome.effects);
  }

  deliver(to: NodeId, sent: Sent): void {
    this.input(to, {
      kind: "datagram",
      receivedAtUs: this.nowUs,
      envelope: {
        node: sent.from,
        incarnation: sent.incarnation,
        ring: sent.ring,
        counter: sent.counter,
      },
      heartbeat: sent.heartbeat,
    });
  }

  #perform(node: NodeId, host: Host, effects: readonly MembershipEffect[]): void {
    host.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind === "persist") {
        host.persisted = effect.incarnation;
        host.counters.clear();
      }
      if (effect.kind !== "send") continue;
      for (const ring of this.rings) {
        const counter = (host.counters.get(ring) ?? 0) + 1;
        host.counters.set(ring, counter);
        const incarnation = effect.heartbeat.incarnation;
        const sent: Sent = { from: node, ring, counter, incarnation, heartbeat: effect.heartbeat };
        this.wire.push(sent);
        for (const to of this.nodes) {
          if (to === node || this.cuts.has(`${node}>${to}@${ring}`) || !this.hosts.has(to)) continue;
          this.deliver(to, sent);
        }
      }
    }
  }

  run(forUs: number): void {
    const endUs = this.nowUs + forUs;
    while (this.nowUs < endUs) {
      this.nowUs += TICK / 2;
      for (const node of this.nodes) {
        const host = this.host(node);
        if (!host.alive || host.frozen) continue;
        if (this.ballots && this.nowUs % (2 * TICK) === 0) {
          this.input(node, { kind: "ballot", stampUs: this.nowUs, ballot: ballotOf(node, this.nowUs) });
        }
        if (this.nowUs >= host.nextTickUs) {
          host.nextTickUs = this.nowUs + TICK;
          this.input(node, { kind: "tick" });
        }
      }
    }
  }

  seen(by: NodeId, of: NodeId): { state: string; code: string } {
    const peer = this.host(by).state.peers.find((candidate) => candidate.node === of);
    if (peer === undefined) throw new Error(`${by} does not know ${of}`);
    return { state: peer.state, code: peer.reason.code };
  }

  states(by: NodeId): string {
    return this.host(by)
      .state.peers.map((peer) => `${peer.node}:${peer.state}`)
      .join(" ");
  }

  effectsOf<Kind extends MembershipEffect["kind"]>(
    node: NodeId,
    kind: Kind,
  ): Extract<MembershipEffect, { kind: Kind }>[] {
    return this.host(node).effects.filter(
      (effect): effect is Extract<MembershipEffect, { kind: Kind }> => effect.kind === kind,
    );
  }

  lastPeers(node: NodeId): PeersMessage {
    const effect = this.effectsOf(node, "publish-peers").at(-1);
    if (effect === undefined) throw new Error("nothing published");
    return effect.message;
  }
}
