/**
 * A small deterministic world around the real quorum core: drifting clocks, a lossy network, processes that
 * crash and stop anywhere, hosts that reboot, gates that the kernel shuts by itself. The checker looks at
 * the gates and at what was said, never at what a core believes. protocol.md names the invariants.
 */
import type {
  Ballot,
  ClusterConfig,
  ConfigRef,
  EvaluatorState,
  GrantMessage,
  NodeId,
  QuorumMessage,
} from "@quorate/contracts";
import { compareConfigRefs } from "@quorate/contracts";
import {
  initialState,
  type QuorumEffect,
  type QuorumInput,
  type QuorumState,
  startQuorum,
  stepQuorum,
  timingOf,
} from "@quorate/core-quorum";
import { EventQueue } from "./event-queue.ts";
import { Random } from "./random.ts";

type InputKind = QuorumInput extends infer Input
  ? Input extends { nowUs: number }
    ? Omit<Input, "nowUs" | "drainedUs">
    : never
  : never;

type Event =
  | { kind: "deliver"; node: NodeId; input: InputKind; boot: number }
  | { kind: "wake"; node: NodeId; life: number; atLocalUs: number }
  | { kind: "effects"; node: NodeId; life: number; effects: QuorumEffect[] }
  | { kind: "grant"; node: NodeId; grant: GrantMessage; boot: number }
  | { kind: "observe"; node: NodeId; boot: number }
  | { kind: "datagram"; to: NodeId; ballot: Ballot }
  | { kind: "start"; node: NodeId; boot: number }
  | { kind: "fault" }
  | { kind: "heal" };

type Host = {
  id: NodeId;
  boot: number;
  up: boolean;
  /** local = real * rate + offset */
  rate: number;
  offsetUs: number;
  durable: EvaluatorState;
  process: QuorumState | null;
  /** Counts the process's lives, so that what an earlier one scheduled is void. */
  life: number;
  pausedUntilUs: number;
  inbox: InputKind[];
  lastWakeUs: number;
  gate: { endLocalUs: number; term: number };
  closed: { term: number; generation: number };
  lastGrant: GrantMessage | null;
  shutConfirmed: { term: number; generation: number } | null;
  nodeGateEndLocalUs: number;
  heardUs: Map<NodeId, number>;
  heardBy: Map<NodeId, number>;
  joinedSinceUs: Map<NodeId, number | null>;
  able: boolean;
  document: ConfigRef;
  quorum: QuorumMessage | null;
};

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

export type Violation = { invariant: string; atUs: number; message: string };

export class QuorumWorld {
  readonly violations: Violation[] = [];
  readonly trace: string[] = [];
  readonly faults = new Map<string, number>();
  elections = 0;
  private readonly random: Random;
  private readonly queue = new EventQueue<Event>();
  private readonly hosts = new Map<NodeId, Host>();
  private readonly cuts = new Set<string>();
  private readonly masters = new Map<number, NodeId>();
  private readonly views = new Map<string, string>();
  private readonly documents = new Map<string, ClusterConfig>();
  private readonly contents = new Map<string, string>();
  private committed: ConfigRef | null = null;
  private lossRate = 0.01;
  private nowUs = 0;
  private faulty = true;
  private readonly options: WorldOptions;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    const ids = Array.from({ length: options.nodes }, (_, index) => index + 1);
    const config = makeConfig(
      options.tokenMs,
      1,
      ids.map((id) => ({ id, prio: 100 - id })),
    );
    const ref: ConfigRef = { term: 0, version: 1, digest: digestOf(1, config) };
    this.documents.set(ref.digest, config);
    for (const id of ids) {
      this.hosts.set(id, {
        id,
        boot: 1,
        up: true,
        // Any two rates differ by at most rho = 1 %.
        rate: 1 + (this.random.next() - 0.5) / 100,
        offsetUs: this.random.between(0, 10 ** 12),
        durable: initialState(config, ref, id),
        process: null,
        life: 0,
        pausedUntilUs: 0,
        inbox: [],
        lastWakeUs: Number.POSITIVE_INFINITY,
        gate: { endLocalUs: 0, term: 0 },
        closed: { term: 0, generation: 0 },
        lastGrant: null,
        shutConfirmed: null,
        nodeGateEndLocalUs: 0,
        heardUs: new Map(),
        heardBy: new Map(),
        joinedSinceUs: new Map(),
        able: true,
        document: ref,
        quorum: null,
      });
      this.queue.push(this.random.between(0, 200_000), { kind: "start", node: id, boot: 1 });
      this.queue.push(this.random.between(0, 20_000), { kind: "observe", node: id, boot: 1 });
    }
    this.queue.push(this.random.between(0, options.faultEveryUs * 2), { kind: "fault" });
    this.queue.push(options.faultUs, { kind: "heal" });
  }

  run(): void {
    const endUs = this.options.faultUs + this.options.healUs;
    for (;;) {
      const event = this.queue.pop();
      if (event === undefined || event.atUs > endUs) break;
      this.nowUs = event.atUs;
      this.handle(event.payload);
      this.checkGates();
      if (this.violations.length > 0) return;
    }
    this.nowUs = endUs;
    this.checkLiveness();
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
        this.observe(event.node, event.boot);
        break;
      case "datagram":
        this.receive(event.to, event.ballot);
        break;
      case "fault":
        this.injectFault();
        break;
      case "heal":
        this.heal();
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
    const drainedUs = host.inbox.length > 0 ? host.pausedUntilUs * 0 : nowUs;
    const result = stepQuorum(host.process, { ...input, nowUs, drainedUs } as QuorumInput);
    host.process = result.state;
    for (const reason of result.reasons) this.log(`node ${host.id} ${reason.code}: ${reason.message}`);
    if (result.state.wonTerm !== null && result.state.wonTerm !== termBefore)
      this.noteWin(host, result.state.wonTerm);
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
        this.crash(host);
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
        this.noteView(effect.state);
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
        this.checkFences(host, effect.message);
        this.noteCommitted(effect.message);
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
    if (echo?.received != null && echo.received.ageUs < this.options.tokenMs * 1000)
      host.heardBy.set(ballot.node, this.nowUs);
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: to,
      boot: host.boot,
      input: { kind: "heard", ballot, receivedAtUs },
    });
  }

  /** Membership's and the actuator's regular word, as far as the quorum core sees it. */
  private observe(id: NodeId, boot: number): void {
    const host = this.host(id);
    if (!host.up || host.boot !== boot) return;
    this.queue.push(this.nowUs + (this.options.tokenMs * 1000) / 20, { kind: "observe", node: id, boot });
    const stampUs = this.localUs(host);
    const tokenUs = this.options.tokenMs * 1000;
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

  /** A model of config-distributor: re-stamp, make mastership stick, fetch from the leader. */
  private distribute(host: Host, message: QuorumMessage): void {
    if (message.role === "master") {
      const { stored, committed, term } = message;
      if (stored.term < term) this.store(host, { ...stored, term }, host.id);
      else if (committed !== null && compareConfigRefs(committed, stored) === 0) {
        const config = this.documents.get(stored.digest);
        if (config === undefined) return;
        const best = config.nodes.toSorted((a, b) => b.prio - a.prio || a.id - b.id)[0];
        const own = config.nodes.find((node) => node.id === host.id);
        const swap = best !== undefined && own !== undefined && best.id !== host.id;
        if (!swap && message.readmit.length === 0) return;
        const nodes = config.nodes.map((node) =>
          swap && node.id === host.id
            ? { ...node, prio: best.prio }
            : swap && node.id === best.id
              ? { ...node, prio: own.prio }
              : node,
        );
        this.propose(host, term, { ...config, nodes, configVersion: stored.version + 1 });
      }
      return;
    }
    if (message.leader === null) return;
    const leader = this.host(message.leader);
    if (!leader.up || this.cuts.has(`${leader.id}>${host.id}`) || this.cuts.has(`${host.id}>${leader.id}`))
      return;
    if (leader.document.term === message.term && compareConfigRefs(leader.document, host.document) > 0)
      this.store(host, leader.document, leader.id);
    else if (compareConfigRefs(host.document, message.stored) > 0)
      this.store(host, host.document, message.leader);
  }

  private propose(host: Host, term: number, config: ClusterConfig): void {
    const digest = digestOf(term * 1_000_000 + config.configVersion, config);
    this.documents.set(digest, config);
    this.store(host, { term, version: config.configVersion, digest }, host.id);
  }

  private store(host: Host, ref: ConfigRef, from: NodeId): void {
    const config = this.documents.get(ref.digest);
    if (config === undefined) return;
    const key = `${ref.term}/${ref.version}`;
    const known = this.contents.get(key);
    if (known !== undefined && known !== ref.digest) this.violate("INV-5", `two documents under ${key}`);
    this.contents.set(key, ref.digest);
    host.document = ref;
    this.queue.push(this.nowUs + this.localDelayUs(), {
      kind: "deliver",
      node: host.id,
      boot: host.boot,
      input: { kind: "stored", ref, from, config },
    });
  }

  private noteCommitted(message: QuorumMessage): void {
    if (message.role !== "master" || message.committed === null) return;
    const before = this.committed;
    if (before === null || compareConfigRefs(message.committed, before) > 0)
      this.committed = message.committed;
    if (before !== null && message.term > before.term && message.committed.version < before.version) {
      this.violate(
        "INV-5",
        `version ${before.version} was committed, the master of term ${message.term} has ${message.committed.version}`,
      );
    }
  }

  private noteWin(host: Host, term: number): void {
    this.elections += 1;
    const known = this.masters.get(term);
    if (known !== undefined && known !== host.id)
      this.violate("INV-2", `term ${term} has masters ${known} and ${host.id}`);
    this.masters.set(term, host.id);
  }

  private noteView(state: EvaluatorState): void {
    const { view } = state;
    if (view.term === 0) return;
    const key = `${view.term}.${view.number}`;
    const content = JSON.stringify(view.members);
    const known = this.views.get(key);
    if (known !== undefined && known !== content)
      this.violate("INV-5", `view ${key} has two contents: ${known} and ${content}`);
    this.views.set(key, content);
  }

  private checkGates(): void {
    const open = [...this.hosts.values()].filter(
      (host) => host.up && this.localUs(host) < host.gate.endLocalUs,
    );
    if (open.length > 1)
      this.violate(
        "INV-1",
        `gates open on ${open.map((host) => `${host.id} (term ${host.gate.term})`).join(" and ")}`,
      );
  }

  private checkFences(master: Host, message: QuorumMessage): void {
    // A message that was held back for so long is dropped by everybody on the node.
    const stale = this.localUs(master) - message.stampUs > timingOf(this.options.tokenMs).staleUs;
    if (message.role !== "master" || stale) return;
    for (const fence of message.fences) {
      if (fence.verdict !== "yes") continue;
      const host = this.host(fence.node);
      if (host.up && this.localUs(host) < host.nodeGateEndLocalUs) {
        this.violate(
          "INV-3",
          `master ${master.id} takes node ${fence.node} for fenced, whose gates are open`,
        );
      }
    }
  }

  private checkLiveness(): void {
    const open = [...this.hosts.values()].filter(
      (host) => host.up && this.localUs(host) < host.gate.endLocalUs,
    );
    if (open.length !== 1) this.violate("liveness", `after healing ${open.length} nodes hold the address`);
    const outside = [...this.hosts.values()].filter((host) => host.quorum?.role === "suspended");
    if (outside.length > 0)
      this.violate(
        "liveness",
        `after healing suspended: ${outside.map((host) => `${host.id} (${host.quorum?.reason.code})`).join(", ")}`,
      );
    const versions = new Set(
      [...this.hosts.values()].map((host) => `${host.durable.stored.term}/${host.durable.stored.version}`),
    );
    if (versions.size > 1)
      this.violate("liveness", `after healing configurations differ: ${[...versions].join(" ")}`);
  }

  private injectFault(): void {
    if (!this.faulty) return;
    this.queue.push(this.nowUs + this.random.between(1, this.options.faultEveryUs * 2), { kind: "fault" });
    const host = this.random.pick([...this.hosts.values()]);
    const tokenUs = this.options.tokenMs * 1000;
    const kind = this.random.pick([
      "crash",
      "crash",
      "reboot",
      "pause",
      "pause",
      "cut",
      "one-way",
      "partition",
      "loss",
      "join",
      "move",
      "unable",
      "amnesia",
      "drain",
      "double-crash",
    ] as const);
    this.countFault(kind);
    this.log(`fault: ${kind} (node ${host.id})`);
    switch (kind) {
      case "crash":
        this.crash(host);
        break;
      case "double-crash":
        this.crash(host);
        this.queue.push(this.nowUs + this.random.between(1000, tokenUs), {
          kind: "start",
          node: host.id,
          boot: host.boot,
        });
        break;
      case "reboot":
        this.reboot(host);
        break;
      case "pause":
        host.pausedUntilUs = this.nowUs + this.random.between(tokenUs / 50, tokenUs * 3);
        break;
      case "cut":
        for (const other of this.hosts.keys()) this.cut(host.id, other, true);
        break;
      case "one-way": {
        const other = this.random.pick([...this.hosts.keys()]);
        this.cut(host.id, other, false);
        break;
      }
      case "partition":
        for (const left of this.hosts.keys())
          for (const right of this.hosts.keys())
            if (left <= host.id && right > host.id) this.cut(left, right, true);
        break;
      case "loss":
        this.lossRate = this.random.pick([0, 0.01, 0.1, 0.3, 0.5]);
        break;
      case "join":
        this.cuts.clear();
        break;
      case "move": {
        const target = this.random.pick([...this.hosts.keys()]);
        this.queue.push(this.nowUs, {
          kind: "deliver",
          node: host.id,
          boot: host.boot,
          input: { kind: "move", target },
        });
        break;
      }
      case "unable":
        host.able = !host.able;
        break;
      case "drain":
        this.queue.push(this.nowUs, {
          kind: "deliver",
          node: host.id,
          boot: host.boot,
          input: { kind: "drain" },
        });
        this.queue.push(this.nowUs + this.random.between(1000, tokenUs * 2), {
          kind: "deliver",
          node: host.id,
          boot: -1,
          input: { kind: "tick" },
        });
        break;
      case "amnesia":
        // At most one node has lost its state at a time: with more, no quorum may be left to re-admit them.
        if ([...this.hosts.values()].some((other) => other.durable.amnesic)) break;
        host.durable = {
          ...host.durable,
          bootId: null,
          term: 0,
          follows: null,
          overTerm: 0,
          successor: null,
          view: { term: 0, number: 0, members: [] },
          out: true,
          amnesic: true,
          amnesicSinceVersion: null,
          stored: { ...host.durable.stored, term: 0 },
          jointWith: [],
        };
        this.crash(host);
        break;
    }
  }

  private cut(left: NodeId, right: NodeId, both: boolean): void {
    if (left === right) return;
    this.cuts.add(`${left}>${right}`);
    if (both) this.cuts.add(`${right}>${left}`);
  }

  private crash(host: Host): void {
    if (host.process === null) return;
    host.process = null;
    host.life += 1;
    host.pausedUntilUs = 0;
    const tokenUs = this.options.tokenMs * 1000;
    const away = this.random.chance(0.7)
      ? this.random.between(20_000, tokenUs / 2)
      : this.random.between(20_000, tokenUs * 4);
    this.queue.push(this.nowUs + away, { kind: "start", node: host.id, boot: host.boot });
  }

  private reboot(host: Host): void {
    if (!host.up) return;
    host.up = false;
    host.process = null;
    host.life += 1;
    host.boot += 1;
    host.pausedUntilUs = 0;
    host.gate = { endLocalUs: 0, term: 0 };
    host.nodeGateEndLocalUs = 0;
    host.closed = { term: 0, generation: 0 };
    host.shutConfirmed = null;
    host.lastGrant = null;
    host.quorum = null;
    host.heardUs.clear();
    host.heardBy.clear();
    host.joinedSinceUs.clear();
    host.offsetUs = this.random.between(0, 10 ** 12);
    const downUs = this.random.between(100_000, this.options.tokenMs * 4000);
    const { boot } = host;
    this.queue.push(this.nowUs + downUs, { kind: "start", node: host.id, boot });
    this.queue.push(this.nowUs + downUs, { kind: "observe", node: host.id, boot });
    // The start event needs the host up at that moment.
    host.up = true;
  }

  private heal(): void {
    this.faulty = false;
    this.log("healed");
    this.cuts.clear();
    this.lossRate = 0;
    for (const host of this.hosts.values()) {
      host.able = true;
      host.pausedUntilUs = Math.min(host.pausedUntilUs, this.nowUs);
      // A drained process has stopped: its supervisor starts it anew.
      if (host.process?.leaving === true) this.crash(host);
      if (host.process === null)
        this.queue.push(this.nowUs + 100_000, { kind: "start", node: host.id, boot: host.boot });
    }
  }

  private countFault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  private violate(invariant: string, message: string): void {
    this.violations.push({ invariant, atUs: this.nowUs, message });
    this.log(`VIOLATION ${invariant}: ${message}`);
  }

  private log(line: string): void {
    if (this.trace.length < 20_000) this.trace.push(`${(this.nowUs / 1e6).toFixed(6)} ${line}`);
  }
}

function bootIdOf(host: Host): string {
  return (host.id * 1_000_000 + host.boot).toString(16).padStart(16, "0");
}

function digestOf(salt: number, config: ClusterConfig): string {
  let hash = 0xcbf29ce484222325n;
  for (const char of `${salt}${JSON.stringify(config.nodes)}`)
    hash = ((hash ^ BigInt(char.codePointAt(0) ?? 0)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(64, "0");
}

/** A configuration of `nodes`, one vote each, everything else as by default. */
export function makeConfig(
  tokenMs: number,
  version: number,
  nodes: readonly { id: NodeId; prio: number }[],
): ClusterConfig {
  return {
    clusterName: "sim",
    configVersion: version,
    tokenMs,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: nodes.length,
    quorumVotes: Math.floor(nodes.length / 2) + 1,
    ihttpdPorts: [1500],
    nodes: nodes.map((node) => ({ ...node, addresses: [`10.0.0.${node.id}`], replication: true, votes: 1 })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 5407,
    notHonoured: [],
  };
}
