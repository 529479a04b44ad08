import { assertNever, type ClusterConfig, type NodeId, type Reason } from "@quorate/contracts";
import {
  type MembershipEffect,
  type MembershipInput,
  type MembershipState,
  membershipConfigOf,
  type Outcome,
  peersMessage,
  startMembership,
  stepMembership,
} from "@quorate/core-membership";
import { InputRecorder, type Logger, monotonicUs } from "@quorate/runtime";
import { DatagramDoor } from "./datagram-door.ts";
import type { IncarnationFile } from "./incarnation-file.ts";
import { RingSet } from "./net/ring-set.ts";
import { QUEUE_DATAGRAMS_MAX, READ_BATCH } from "./net/ring-socket.ts";
import type { ClusterKey } from "./wire/key-file.ts";
import { Sealer } from "./wire/sealer.ts";

/** What the loop cannot do itself: the bus, events and the kernel's sockets of the routes. */
export interface LoopOutput {
  perform(effect: Exclude<MembershipEffect, { kind: "persist" | "send" }>): void;
}

export interface LoopOptions {
  readonly config: ClusterConfig;
  readonly self: NodeId;
  readonly bootId: string;
  readonly key: ClusterKey;
  readonly incarnations: IncarnationFile;
  readonly logger: Logger;
  readonly output: LoopOutput;
  /** Each decision of the core; before its effects are carried out. */
  readonly onReason?: (reason: Reason) => void;
}

/** Ticks between two attempts to write down an incarnation that the disk refused. */
const RETRY_TICKS = 50;

/** Turns of the event loop after which a socket's queue has surely been read once from end to end. */
const TURNS_MAX = Math.ceil(QUEUE_DATAGRAMS_MAX / READ_BATCH);

/** Joins the core to clock, sockets and disk. */
export class MembershipLoop {
  readonly #options: LoopOptions;
  readonly #rings: RingSet;
  readonly #door: DatagramDoor;
  #config: ClusterConfig;
  #state: MembershipState;
  #sealer: Sealer;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #stopped = false;
  #oversized = 0;
  readonly #begin: Outcome;
  readonly #recorder = new InputRecorder<MembershipState, { nowUs: number; input: MembershipInput }>();

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#begin = startMembership({
      self: options.self,
      bootId: options.bootId,
      incarnation: options.incarnations.next(),
      config: membershipConfigOf(options.config, options.self),
      nowUs: monotonicUs(),
    });
    this.#state = this.#begin.state;
    this.#sealer = this.#newSealer(this.#state.incarnation);
    this.#door = new DatagramDoor({
      clusterName: options.config.clusterName,
      key: options.key,
      state: () => this.#state,
      onHeartbeat: (envelope, heartbeat, receivedAtUs) =>
        this.input({ kind: "datagram", envelope, heartbeat, receivedAtUs }),
      onRefusedPeer: (node, code) => this.input({ kind: "refused", node, code }),
    });
    this.#rings = new RingSet(options.config, {
      self: options.self,
      logger: options.logger,
      onDatagram: (datagram, ring, receivedAtUs) => this.#door.take(datagram, ring, receivedAtUs),
      onProblems: () => this.#tellProblems(),
    });
  }

  /** Opens the sockets, says the first heartbeat, and goes on by the clock. */
  async start(): Promise<void> {
    await this.#rings.start();
    this.#perform(this.#begin.effects.filter((effect) => effect.kind !== "persist"));
    this.#arm();
  }

  get state(): MembershipState {
    return this.#state;
  }

  get rings(): RingSet {
    return this.#rings;
  }

  get refused(): number {
    return this.#door.refused;
  }

  /** Whether the newest incarnation is on the disk. */
  get durable(): boolean {
    return this.#options.incarnations.durable;
  }

  /** What the core was given and decided, as far back as it is kept. The key is not among it. */
  recording(): Promise<Uint8Array> {
    return this.#recorder.dump({ service: "membership", node: this.#options.self }, this.#state);
  }

  /** By name; what the door let pass and the core refused is added to the door's own refusals. */
  get counters(): Record<string, number> {
    const counters: Record<string, number> = { ...this.#state.counters, ...this.#rings.counters };
    for (const [name, count] of Object.entries(this.#door.counters)) {
      counters[name] = (counters[name] ?? 0) + count;
    }
    return { ...counters, heartbeats_oversized: this.#oversized };
  }

  peers(): ReturnType<typeof peersMessage> {
    return peersMessage(this.#state, monotonicUs());
  }

  input(input: Exclude<MembershipInput, { kind: "tick" }>): void {
    const waited = this.#state.waitingBallot !== null;
    this.#step(input, monotonicUs());
    if (!waited && this.#state.waitingBallot !== null) this.#arm();
  }

  #step(input: MembershipInput, nowUs: number): void {
    const outcome = this.#recorder.run(this.#state, { nowUs, input }, () =>
      stepMembership(this.#state, nowUs, input),
    );
    this.#state = outcome.state;
    for (const reason of outcome.reasons) this.#log(reason);
    this.#perform(outcome.effects);
  }

  /** Takes a new configuration of the same cluster; what is known of nodes that stay is kept. */
  configure(config: ClusterConfig): void {
    const tokenChanged = config.tokenMs !== this.#config.tokenMs;
    this.#config = config;
    this.#door.retain(new Set(config.nodes.map((node) => node.id)));
    this.input({ kind: "configured", config: membershipConfigOf(config, this.#options.self) });
    this.#rings.configure(config);
    if (tokenChanged) this.#tick(monotonicUs());
  }

  /** Several goodbyes, if the core says that it is one; then nothing more is sent or heard. */
  async leave(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped = true;
    for (let count = 0; count < 3; count += 1) {
      this.input({ kind: "leave" });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#rings.close();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const { health, waitingBallot, config } = this.#state;
    // A ballot that waits for the send budget came after the tick was agreed on.
    const waitUs = waitingBallot === null ? health.nextTickUs - monotonicUs() : config.timing.refillUs;
    this.#timer = setTimeout(
      () => this.#tickWhenDrained(monotonicUs(), 1),
      Math.max(1, Math.ceil(waitUs / 1000)),
    );
  }

  /**
   * A timer fires before the sockets are read, so after a pause of this process a tick of its own accord would
   * find everybody silent. The tick comes after a turn of the loop that left no socket unread, or after so
   * many that what had waited at the beginning must have been read even in a flood.
   */
  #tickWhenDrained(beganUs: number, turn: number): void {
    const turnUs = monotonicUs();
    const before = this.#door.received;
    setImmediate(() => {
      if (this.#stopped) return;
      if (this.#door.received - before < READ_BATCH) this.#tick(turnUs);
      else if (turn >= TURNS_MAX) this.#tick(beganUs);
      else this.#tickWhenDrained(beganUs, turn + 1);
    });
  }

  #tick(readUntilUs: number): void {
    this.#step({ kind: "tick" }, readUntilUs);
    this.#ticks += 1;
    if (this.#ticks % RETRY_TICKS === 0) this.#options.incarnations.retry();
    this.#arm();
  }

  #newSealer(incarnation: number): Sealer {
    const { config, key, self } = this.#options;
    return new Sealer({ clusterName: config.clusterName, key, node: self, incarnation });
  }

  #perform(effects: readonly MembershipEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "persist":
          // Blocks: nothing may be sent under a number that is not written down. Without disk, degraded.
          this.#options.incarnations.write(effect.incarnation);
          this.#sealer = this.#newSealer(effect.incarnation);
          break;
        case "send":
          this.#send(effect);
          break;
        case "publish-heard":
        case "publish-peers":
        case "peer-changed":
        case "link-changed":
        case "break-route":
          this.#options.output.perform(effect);
          break;
        default:
          assertNever(effect);
      }
    }
  }

  #send(effect: Extract<MembershipEffect, { kind: "send" }>): void {
    const datagrams = this.#sealer.seal(effect.heartbeat, this.#rings.rings);
    if (datagrams === null) {
      this.#oversized += 1;
      return;
    }
    for (const [ring, datagram] of datagrams) this.#rings.send(ring, datagram);
  }

  /** A working ring hides the fault of another from the peers' reasons; the log and the metrics name it. */
  #tellProblems(): void {
    const [worst] = this.#rings.problems;
    const deaf = this.#rings.rings.length === 0 && worst !== undefined;
    this.input({
      kind: "own-problem",
      problem: deaf ? { code: worst.code, message: worst.message, facts: { ring: worst.ring } } : null,
    });
  }

  #log(reason: Reason): void {
    this.#options.logger.info({ code: reason.code, facts: reason.facts }, reason.message);
    this.#options.onReason?.(reason);
  }
}
