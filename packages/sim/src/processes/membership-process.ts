import { assertNever, type ClusterConfig, type ConfigMessage } from "@quorate/contracts";
import {
  type Envelope,
  type Heartbeat,
  INCARNATION_MAX,
  judgeEnvelope,
  type MembershipEffect,
  type MembershipInput,
  type MembershipState,
  membershipConfigOf,
  nextIncarnation,
  startMembership,
  stepMembership,
} from "@quorate/core-membership";
import { configOf } from "../documents.ts";
import type { Host } from "../host.ts";
import { type Effect, Process } from "../process.ts";

/** Half a millisecond late, as a timer on a busy machine is. */
const TIMER_LATE_US = 800;
const RETRY_TICKS = 50;
const LEAST_WAIT_US = 1000;
const GOODBYES = 3;

export type Datagram = { envelope: Envelope; heartbeat: Heartbeat };

/** services/membership without sockets and bus: what its loop does around the core. */
export class MembershipProcess extends Process {
  state: MembershipState | null = null;
  protected override readonly timerFirst = false;
  private readonly host: Host;
  private config: ClusterConfig | null = null;
  private configText = "";
  private counters = new Map<number, number>();
  private unwritten: number | null = null;
  private ticks = 0;

  constructor(host: Host) {
    super("membership", host.surroundings("membership"));
    this.host = host;
  }

  protected onStart(): void {
    const { host } = this;
    this.configText = host.disk.document.text;
    this.config = configOf(this.configText);
    this.counters = new Map();
    this.unwritten = null;
    this.ticks = 0;
    const incarnation = nextIncarnation(host.disk.incarnation, host.wallClockMs());
    const written = this.write(incarnation);
    const outcome = startMembership({
      self: host.id,
      bootId: host.bootId,
      incarnation: written
        ? incarnation
        : Math.min(INCARNATION_MAX, incarnation + host.random("membership").between(1, 1000)),
      config: membershipConfigOf(this.config, host.id),
      nowUs: host.localUs(),
    });
    this.state = outcome.state;
    host.bus.join(this.name);
    this.carryOut(outcome.effects.filter((effect) => effect.kind !== "persist"));
    this.nextTick();
  }

  protected override onEnd(): void {
    this.state = null;
    this.host.bus.leave(this.name);
  }

  /** Sockets are read before the clock: what had come by then has been given to the core. */
  protected onTimer(): void {
    this.step({ kind: "tick" });
    this.ticks += 1;
    if (this.ticks % RETRY_TICKS === 0 && this.unwritten !== null) this.write(this.unwritten);
    this.nextTick();
  }

  datagram({ envelope, heartbeat }: Datagram): void {
    this.deliver(() => {
      // The door: what the envelope forbids is not even opened.
      if (this.state === null || judgeEnvelope(this.state, envelope) !== null) return;
      this.step({ kind: "datagram", envelope, heartbeat, receivedAtUs: this.host.localUs() });
    });
  }

  ballot(input: Extract<MembershipInput, { kind: "ballot" }>): void {
    this.deliver(() => this.step(input));
  }

  configure({ text }: ConfigMessage): void {
    this.deliver(() => {
      if (text === this.configText) return;
      this.configText = text;
      const tokenMs = this.config?.tokenMs;
      this.config = configOf(text);
      this.step({ kind: "configured", config: membershipConfigOf(this.config, this.host.id) });
      if (tokenMs !== this.config.tokenMs) this.onTimer();
    });
  }

  /** A clean stop. */
  goodbye(): void {
    for (let count = 0; count < GOODBYES; count += 1) this.deliver(() => this.step({ kind: "leave" }));
  }

  private nextTick(): void {
    const { host, state } = this;
    if (state === null) return;
    const { health, waitingBallot, config } = state;
    // A ballot that waits for the send budget came after the tick was agreed on.
    const waitUs = waitingBallot === null ? health.nextTickUs - host.localUs() : config.timing.refillUs;
    const lateUs = host.random("membership").between(0, TIMER_LATE_US);
    this.wakeAt(host.nowUs() + host.clock.realDurationUs(Math.max(LEAST_WAIT_US, waitUs)) + lateUs);
  }

  private step(input: MembershipInput): void {
    if (this.state === null) return;
    const waited = this.state.waitingBallot !== null;
    const outcome = stepMembership(this.state, this.host.localUs(), input);
    this.state = outcome.state;
    if (!waited && outcome.state.waitingBallot !== null) this.nextTick();
    for (const reason of outcome.reasons) this.host.tellReason(this.name, reason);
    this.carryOut(outcome.effects);
  }

  private carryOut(effects: readonly MembershipEffect[]): void {
    if (effects.length > 0) this.perform(effects.map((effect) => this.effectOf(effect)));
  }

  private effectOf(effect: MembershipEffect): Effect {
    const { host } = this;
    switch (effect.kind) {
      case "persist":
        return {
          name: "persist",
          costUs: () => host.disk.writeCostUs(),
          run: () => {
            this.write(effect.incarnation);
            this.counters = new Map();
          },
        };
      case "send":
        return { name: "send", run: () => this.send(effect.heartbeat) };
      case "publish-heard":
        return { name: "heard", run: () => host.bus.publish(this.name, "heard", effect.message) };
      case "publish-peers":
        return { name: "peers", run: () => host.bus.publish(this.name, "peers", effect.message) };
      case "peer-changed":
      case "link-changed":
        return { name: "event", run: () => {} };
      case "break-route":
        return { name: "break-route", run: () => host.world.routes.breakBetween(host.id, effect.node) };
      default:
        return assertNever(effect);
    }
  }

  /** Sealed once per ring, for every peer on it. */
  private send(heartbeat: Heartbeat): void {
    const { config, host } = this;
    if (config === null) return;
    for (const { ring } of config.rings) {
      const counter = (this.counters.get(ring) ?? 0) + 1;
      this.counters.set(ring, counter);
      const envelope: Envelope = { node: host.id, incarnation: heartbeat.incarnation, ring, counter };
      host.world.network.send(host, { envelope, heartbeat }, config);
    }
  }

  private write(incarnation: number): boolean {
    const { disk } = this.host;
    this.unwritten = disk.isFull ? incarnation : null;
    if (!disk.isFull) disk.incarnation = incarnation;
    return !disk.isFull;
  }
}
