/**
 * A small deterministic world around the real quorum core: drifting clocks, a lossy network, processes that
 * crash and stop anywhere, hosts that reboot, gates that the kernel shuts by itself. The checker looks at
 * the gates and at what was said, never at what a core believes. protocol.md names the invariants.
 */
import {
  type Ballot,
  type ClusterConfig,
  type ConfigRef,
  type GrantMessage,
  type NodeId,
  type QuorumMessage,
} from "@quorate/contracts";
import { initialState, type QuorumEffect, startQuorum, stepQuorum, timingOf } from "@quorate/core-quorum";
import { Checker, type Violation } from "./checker.ts";
import { digestOf, makeConfig } from "./documents.ts";
import { nextDocument } from "./distributor-model.ts";
import { EventQueue } from "./event-queue.ts";
import { crash, FAULT_MIX, FAULTS, type Faultable, heal } from "./faults.ts";
import { bootIdOf, type Host, type InputKind, newHost } from "./host.ts";
import { Random } from "./random.ts";

type Event =
  | { kind: "deliver"; node: NodeId; input: InputKind; boot: number }
  | { kind: "wake"; node: NodeId; life: number; atLocalUs: number }
  | { kind: "effects"; node: NodeId; life: number; effects: QuorumEffect[] }
  | { kind: "grant"; node: NodeId; grant: GrantMessage; boot: number }
  | { kind: "observe"; node: NodeId }
  | { kind: "datagram"; to: NodeId; ballot: Ballot }
  | { kind: "start"; node: NodeId; boot: number }
  | { kind: "fault" }
  | { kind: "heal" };

export type WorldOptions = {
  seed: number;
  nodes: number;
  tokenMs: number;
  /** Faults happen for this long; then everything is healed. */
  faultUs: number;
  /** And it must have converged within this time more. */
  healUs: number;
  /** Mean time between faults. */
  faultEveryUs: number;
};

const TRACE_LIMIT = 20_000;

export class QuorumWorld implements Faultable {
  readonly trace: string[] = [];
  readonly faults = new Map<string, number>();
  readonly random: Random;
  readonly hosts = new Map<NodeId, Host>();
  readonly cuts = new Set<string>();
  readonly tokenUs: number;
  lossRate = 0.01;
  nowUs = 0;
  private readonly queue = new EventQueue<Event>();
  private readonly documents = new Map<string, ClusterConfig>();
  private readonly checker: Checker;
  private faulty = true;
  private readonly options: WorldOptions;

  constructor(options: WorldOptions) {
    this.options = options;
    this.tokenUs = options.tokenMs * 1000;
    this.random = new Random(options.seed);
    this.checker = new Checker({
      tokenMs: options.tokenMs,
      hosts: () => [...this.hosts.values()],
      localUs: (host) => this.localUs(host),
      nowUs: () => this.nowUs,
    });
    const ids = Array.from({ length: options.nodes }, (_, index) => index + 1);
    const config = makeConfig(
      options.tokenMs,
      1,
      ids.map((id) => ({ id, prio: 100 - id })),
    );
    const ref: ConfigRef = { term: 0, version: 1, digest: digestOf(1, config) };
    this.documents.set(ref.digest, config);
    for (const id of ids) {
      // Any two rates differ by at most rho = 1 %.
      const clock = {
        rate: 1 + (this.random.next() - 0.5) / 100,
        offsetUs: this.random.between(0, 10 ** 12),
      };
      const host = newHost(id, clock, initialState(config, ref, id));
      this.hosts.set(id, host);
      this.startLater(host, this.random.between(0, 200_000));
      this.queue.push(this.random.between(0, 20_000), { kind: "observe", node: id });
    }
    this.queue.push(this.random.between(0, options.faultEveryUs * 2), { kind: "fault" });
    this.queue.push(options.faultUs, { kind: "heal" });
  }

  get violations(): readonly Violation[] {
    return this.checker.violations;
  }

  get elections(): number {
    return this.checker.elections;
  }

  startLater(host: Host, delayUs: number): void {
    this.queue.push(this.nowUs + delayUs, { kind: "start", node: host.id, boot: host.boot });
  }

  give(host: Host, input: InputKind): void {
    this.queue.push(this.nowUs, { kind: "deliver", node: host.id, boot: host.boot, input });
  }

  configOf(host: Host): ClusterConfig {
    const config = this.documents.get(host.durable.stored.digest);
    if (config === undefined) throw new Error(`node ${host.id} stores a document that nobody made`);
    return config;
  }

  run(): void {
    const endUs = this.options.faultUs + this.options.healUs;
    for (;;) {
      const event = this.queue.pop();
      if (event === undefined || event.atUs > endUs) break;
      this.nowUs = event.atUs;
      this.handle(event.payload);
      this.checker.checkGates();
      if (this.violations.length > 0) break;
    }
    if (this.violations.length > 0) {
      this.noteViolations();
      return;
    }
    this.nowUs = endUs;
    this.checker.checkLiveness();
    this.noteViolations();
  }

  private handle(event: Event): void {
    switch (event.kind) {
      case "start":
        this.startProcess(event.node, event.boot);
        break;
      case "deliver":
        this.deliver(event.node, event.boot, event.input);
        break;
      case "wake":
        this.wake(event.node, event.life, event.atLocalUs);
        break;
      case "effects":
        this.applyEffects(event.node, event.life, event.effects);
        break;
      case "grant":
        this.actOnGrant(event.node, event.boot, event.grant);
        break;
      case "observe":
        this.observe(event.node);
        break;
      case "datagram":
        this.receive(event.to, event.ballot);
        break;
      case "fault":
        this.injectFault();
        break;
      case "heal":
        this.faulty = false;
        this.log("healed");
        heal(this);
        break;
    }
  }

  private host(id: NodeId): Host {
    const host = this.hosts.get(id);
    if (host === undefined) throw new Error(`no host ${id}`);
    return host;
  }

  private localUs(host: Host): number {
    return Math.floor(this.nowUs * host.rate) + host.offsetUs;
  }

  private realDelayUs(host: Host, localUs: number): number {
    return Math.max(0, Math.ceil(localUs / host.rate));
  }

  private startProcess(id: NodeId, boot: number): void {
    const host = this.host(id);
    if (!host.up || host.boot !== boot || host.process !== null) return;
    host.life += 1;
    host.inbox = [];
    host.process = startQuorum(host.durable, {
      nowUs: this.localUs(host),
      bootId: bootIdOf(host),
      seed: this.random.between(1, 2 ** 31),
    });
    host.lastWakeUs = Number.POSITIVE_INFINITY;
    this.log(`node ${id} evaluator starts (boot ${boot})`);
    this.step(host, { kind: "tick" });
  }

  private deliver(id: NodeId, boot: number, input: InputKind): void {
    const host = this.host(id);
    if (host.process === null || host.boot !== boot) return;
    if (this.nowUs < host.pausedUntilUs) {
      if (host.inbox.length < 1000) host.inbox.push(input);
      return;
    }
    this.step(host, input);
  }

  private wake(id: NodeId, life: number, atLocalUs: number): void {
    const host = this.host(id);
    if (host.life !== life || host.process === null || host.lastWakeUs !== atLocalUs) return;
    if (this.nowUs < host.pausedUntilUs) {
      this.queue.push(host.pausedUntilUs, { kind: "wake", node: id, life, atLocalUs });
      return;
    }
    host.lastWakeUs = Number.POSITIVE_INFINITY;
    const waiting = host.inbox.splice(0);
    for (const input of waiting) if (host.process !== null && host.life === life) this.step(host, input);
    if (host.process !== null && host.life === life) this.step(host, { kind: "tick" });
  }

  private step(host: Host, input: InputKind): void {
    if (host.process === null) return;
    const nowUs = this.localUs(host);
    const termBefore = host.process.wonTerm;
    // With messages still waiting nothing is known to have been read.
    const drainedUs = host.inbox.length > 0 ? 0 : nowUs;
    const result = stepQuorum(host.process, { ...input, nowUs, drainedUs });
    host.process = result.state;
    for (const reason of result.reasons) this.log(`node ${host.id} ${reason.code}: ${reason.message}`);
    if (result.state.wonTerm !== null && result.state.wonTerm !== termBefore)
      this.checker.noteWin(host, result.state.wonTerm);
    const atLocalUs = Math.max(nowUs + 100, result.wakeAtUs);
    if (atLocalUs < host.lastWakeUs) {
      host.lastWakeUs = atLocalUs;
      this.queue.push(this.nowUs + this.realDelayUs(host, atLocalUs - nowUs), {
        kind: "wake",
        node: host.id,
        life: host.life,
        atLocalUs,
      });
    }
    this.applyEffects(host.id, host.life, result.effects);
  }

  /** Effects happen one by one; between any two the process may stop or die. */
  private applyEffects(id: NodeId, life: number, effects: QuorumEffect[]): void {
    const host = this.host(id);
    for (const [index, effect] of effects.entries()) {
      if (host.life !== life || host.process === null) return;
      if (this.faulty && this.random.chance(0.0005)) {
        this.countFault("crash between effects");
        crash(this, host);
        return;
      }
      if (this.faulty && this.random.chance(0.0005)) {
        this.countFault("pause between effects");
        host.pausedUntilUs = this.nowUs + this.random.between(1000, this.options.tokenMs * 3000);
        this.queue.push(host.pausedUntilUs, {
          kind: "effects",
          node: id,
          life,
          effects: effects.slice(index),
        });
        return;
      }
      this.applyEffect(host, effect);
    }
  }

  private applyEffect(host: Host, effect: QuorumEffect): void {
    switch (effect.kind) {
      case "persist":
        host.durable = effect.state;
        this.checker.noteView(effect.state);
        break;
      case "ballot":
        this.send(host, effect.ballot);
        break;
      case "grant":
        this.queue.push(this.nowUs + this.localDelayUs(), {
          kind: "grant",
          node: host.id,
          grant: effect.grant,
          boot: host.boot,
        });
        break;
      case "quorum":
        host.quorum = effect.message;
        this.checker.checkFences(host, effect.message);
        this.checker.noteCommitted(effect.message);
        this.distribute(host, effect.message);
        break;
    }
  }

  private localDelayUs(): number {
    return this.faulty && this.random.chance(0.002)
      ? this.random.between(1000, this.options.tokenMs * 2000)
      : this.random.between(200, 1500);
  }

  private send(host: Host, ballot: Ballot): void {
    const copies = JSON.stringify(ballot);
    for (const other of this.hosts.values()) {
      if (
        other.id === host.id ||
        this.cuts.has(`${host.id}>${other.id}`) ||
        this.random.chance(this.lossRate)
      )
        continue;
      const late = this.faulty && this.random.chance(0.003);
      const delayUs = late
        ? this.random.between(5000, this.options.tokenMs * 3000)
        : this.random.between(200, 2500);
      this.queue.push(this.nowUs + delayUs, {
        kind: "datagram",
        to: other.id,
        ballot: JSON.parse(copies) as Ballot,
      });
      if (this.faulty && this.random.chance(0.005)) {
        this.queue.push(this.nowUs + this.random.between(500, this.options.tokenMs * 4000), {
          kind: "datagram",
          to: other.id,
          ballot: JSON.parse(copies) as Ballot,
        });
      }
    }
  }

  private receive(to: NodeId, ballot: Ballot): void {
    const host = this.host(to);
    if (!host.up) return;
    const receivedAtUs = this.localUs(host);
    host.heardUs.set(ballot.node, this.nowUs);
    const echo = ballot.echoes.find((entry) => entry.node === to);
    if (echo?.received != null && echo.received.ageUs < this.tokenUs)
      host.heardBy.set(ballot.node, this.nowUs);
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: to,
      boot: host.boot,
      input: { kind: "heard", ballot, receivedAtUs },
    });
  }

  /** Membership's and the actuator's regular word, as far as the quorum core sees it. */
  private observe(id: NodeId): void {
    const host = this.host(id);
    const { boot } = host;
    this.queue.push(this.nowUs + this.tokenUs / 20, { kind: "observe", node: id });
    const stampUs = this.localUs(host);
    const tokenUs = this.tokenUs;
    const peers = [...this.hosts.keys()]
      .filter((other) => other !== id)
      .map((other) => {
        const hears = this.nowUs - (host.heardUs.get(other) ?? Number.NEGATIVE_INFINITY) < tokenUs;
        const heard = this.nowUs - (host.heardBy.get(other) ?? Number.NEGATIVE_INFINITY) < tokenUs;
        const joined = hears && heard;
        const since = host.joinedSinceUs.get(other) ?? null;
        if (joined !== (since !== null)) host.joinedSinceUs.set(other, joined ? stampUs : null);
        return {
          node: other,
          state: joined ? ("joined" as const) : hears ? ("one-way" as const) : ("failed" as const),
          sinceUs: (joined ? host.joinedSinceUs.get(other) : null) ?? stampUs,
        };
      });
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: id,
      boot,
      input: { kind: "peers", stampUs, peers },
    });
    const gateOpen = stampUs < host.gate.endLocalUs;
    const grant = host.lastGrant;
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: id,
      boot,
      input: {
        kind: "report",
        report: {
          stampUs,
          term: grant?.term ?? 0,
          generation: grant?.generation ?? 0,
          gate: gateOpen ? "open" : "shut",
          shutConfirmed: host.shutConfirmed,
          able: { ok: host.able, code: host.able ? "ABLE" : "NO_CARRIER", message: "" },
          cleanUnderTerm: grant !== null && stampUs >= host.nodeGateEndLocalUs ? grant.term : null,
          address: "unknown",
          service: "none",
          problems: [],
          guarantees: [],
        },
      },
    });
    if (host.quorum !== null) this.distribute(host, host.quorum);
  }

  /** The actuator and the kernel: a gate opens only for a grant, never after a close of its generation. */
  private actOnGrant(id: NodeId, boot: number, grant: GrantMessage): void {
    const host = this.host(id);
    if (!host.up || host.boot !== boot) return;
    const nowUs = this.localUs(host);
    if (nowUs - grant.stampUs > timingOf(this.options.tokenMs).staleUs) return;
    const last = host.lastGrant;
    if (
      last !== null &&
      (grant.term < last.term || (grant.term === last.term && grant.generation < last.generation))
    )
      return;
    host.lastGrant = grant;
    const voided =
      grant.term < host.closed.term ||
      (grant.term === host.closed.term && grant.generation <= host.closed.generation);
    if (grant.close) {
      host.gate.endLocalUs = Math.min(host.gate.endLocalUs, nowUs);
      host.closed = { term: grant.term, generation: grant.generation };
      host.shutConfirmed = { term: grant.term, generation: grant.generation };
    } else if (grant.masterLeaseEndUs > 0 && !voided) {
      host.gate = { endLocalUs: Math.max(host.gate.endLocalUs, grant.masterLeaseEndUs), term: grant.term };
    } else {
      host.gate.endLocalUs = Math.min(host.gate.endLocalUs, nowUs);
    }
    host.nodeGateEndLocalUs =
      grant.nodeLeaseEndUs > 0
        ? Math.max(host.nodeGateEndLocalUs, grant.nodeLeaseEndUs)
        : Math.min(host.nodeGateEndLocalUs, nowUs);
  }

  private distribute(host: Host, message: QuorumMessage): void {
    const leader = message.leader === null ? null : this.host(message.leader);
    const reached =
      leader !== null &&
      !this.cuts.has(`${leader.id}>${host.id}`) &&
      !this.cuts.has(`${host.id}>${leader.id}`);
    const wish = nextDocument(host, message, this.documents, reached ? leader.document : null);
    if (wish === null) return;
    this.documents.set(wish.ref.digest, wish.config);
    this.checker.noteDocument(wish.ref);
    host.document = wish.ref;
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: host.id,
      boot: host.boot,
      input: { kind: "stored", ...wish },
    });
  }

  private injectFault(): void {
    if (!this.faulty) return;
    this.queue.push(this.nowUs + this.random.between(1, this.options.faultEveryUs * 2), { kind: "fault" });
    const host = this.random.pick([...this.hosts.values()]);
    const name = this.random.pick(FAULT_MIX);
    this.countFault(name);
    this.log(`fault: ${name} (node ${host.id})`);
    FAULTS[name](this, host);
  }

  private noteViolations(): void {
    for (const { invariant, message } of this.violations) this.log(`VIOLATION ${invariant}: ${message}`);
  }

  private countFault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  private log(line: string): void {
    if (this.trace.length < TRACE_LIMIT) this.trace.push(`${(this.nowUs / 1e6).toFixed(6)} ${line}`);
  }
}
