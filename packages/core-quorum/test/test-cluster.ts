import type {
  Ballot,
  ClusterConfig,
  ConfigRef,
  EvaluatorState,
  NodeId,
  Reason,
  ReportMessage,
} from "@quorate/contracts";
import { initialState, type QuorumInput, type QuorumState, startQuorum, stepQuorum } from "../src/index.ts";

type Input = QuorumInput extends infer One
  ? One extends { nowUs: number }
    ? Omit<One, "nowUs" | "drainedUs">
    : never
  : never;

export function makeConfig(
  nodes: readonly { id: NodeId; prio: number; votes?: number }[],
  version = 1,
  tokenMs = 1000,
): ClusterConfig {
  const totalVotes = nodes.reduce((sum, node) => sum + (node.votes ?? 1), 0);
  return {
    clusterName: "test",
    configVersion: version,
    tokenMs,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes,
    quorumVotes: Math.floor(totalVotes / 2) + 1,
    ihttpdPorts: [],
    nodes: nodes.map(({ id, prio, votes }) => ({
      id,
      prio,
      votes: votes ?? 1,
      addresses: [`10.0.0.${id}`],
      replication: true,
    })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 5407,
    notHonoured: [],
  };
}

export function refOf(config: ClusterConfig, term: number): ConfigRef {
  return { term, version: config.configVersion, digest: config.configVersion.toString(16).padStart(64, "0") };
}

type Member = {
  id: NodeId;
  boot: number;
  durable: EvaluatorState;
  core: QuorumState | null;
  wakeAtUs: number;
  ballots: Ballot[];
  able: boolean;
  inability: string;
  closed: { term: number; generation: number } | null;
  report: Pick<ReportMessage, "term" | "generation">;
  deafTo: Set<NodeId>;
  /** How long its disk takes to write a state down. */
  diskMs: number;
  busyUntilUs: number;
};

const DELAY_US = 1000;

/** Real cores on a perfect network of 1 ms, one clock, an actuator that obeys at once; single-stepped in ms. */
export class TestCluster {
  nowUs = 10_000_000;
  readonly reasons: { node: NodeId; atUs: number; reason: Reason }[] = [];
  readonly members = new Map<NodeId, Member>();
  config: ClusterConfig;
  /** Whether a ballot is lost on its way. */
  loses: (from: NodeId, to: NodeId) => boolean = () => false;
  private readonly mail: { atUs: number; to: NodeId; ballot: Ballot }[] = [];

  constructor(nodes: readonly { id: NodeId; prio: number; votes?: number }[]) {
    this.config = makeConfig(nodes);
    for (const { id } of nodes) {
      this.members.set(id, {
        id,
        boot: 1,
        durable: initialState(this.config, refOf(this.config, 0), id),
        core: null,
        wakeAtUs: 0,
        ballots: [],
        able: true,
        inability: "NO_CARRIER",
        closed: null,
        report: { term: 0, generation: 0 },
        deafTo: new Set(),
        diskMs: 0,
        busyUntilUs: 0,
      });
    }
  }

  member(id: NodeId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no node ${id}`);
    return member;
  }

  core(id: NodeId): QuorumState {
    const { core } = this.member(id);
    if (core === null) throw new Error(`node ${id} is down`);
    return core;
  }

  start(...ids: NodeId[]): void {
    for (const id of ids.length > 0 ? ids : this.members.keys()) {
      const member = this.member(id);
      const bootId = (id * 1000 + member.boot).toString(16).padStart(16, "0");
      member.core = startQuorum(member.durable, { nowUs: this.nowUs, bootId, seed: id });
      this.give(id, { kind: "tick" });
    }
  }

  kill(id: NodeId): void {
    this.member(id).core = null;
  }

  reboot(id: NodeId): void {
    const member = this.member(id);
    member.core = null;
    member.boot += 1;
    member.closed = null;
    member.report = { term: 0, generation: 0 };
  }

  give(id: NodeId, input: Input): Reason | null {
    const member = this.member(id);
    if (member.core === null) return null;
    const result = stepQuorum(member.core, {
      ...input,
      nowUs: this.nowUs,
      drainedUs: this.nowUs,
    });
    member.core = result.state;
    member.wakeAtUs = result.wakeAtUs;
    for (const reason of result.reasons) this.reasons.push({ node: id, atUs: this.nowUs, reason });
    for (const effect of result.effects) {
      if (effect.kind === "persist") {
        member.durable = effect.state;
        member.busyUntilUs = this.nowUs + member.diskMs * 1000;
      }
      if (effect.kind === "ballot") {
        member.ballots.push(effect.ballot);
        for (const to of this.members.keys())
          if (to !== id && !this.loses(id, to))
            this.mail.push({ atUs: this.leavesAtUs(member) + DELAY_US, to, ballot: effect.ballot });
      }
      if (effect.kind === "grant") {
        member.report = effect.grant;
        if (effect.grant.close)
          member.closed = { term: effect.grant.term, generation: effect.grant.generation };
      }
    }
    return result.refusal;
  }

  /** Lets `ms` pass. */
  run(ms: number): void {
    const endUs = this.nowUs + ms * 1000;
    while (this.nowUs < endUs) {
      this.nowUs += 1000;
      for (const letter of this.mail.splice(0)) {
        if (letter.atUs > this.nowUs || this.isBusy(this.member(letter.to))) this.mail.push(letter);
        else if (!this.member(letter.to).deafTo.has(letter.ballot.node)) {
          this.give(letter.to, { kind: "heard", ballot: letter.ballot, receivedAtUs: this.nowUs });
        }
      }
      for (const member of this.members.values()) {
        if (member.core === null || this.isBusy(member)) continue;
        if (this.nowUs % 50_000 === 0) this.observe(member);
        if (this.nowUs >= member.wakeAtUs) this.give(member.id, { kind: "tick" });
      }
    }
  }

  /** Runs until `condition` holds; returns how many ms that took, or throws after `limitMs`. */
  runUntil(condition: () => boolean, limitMs: number): number {
    const startUs = this.nowUs;
    while (!condition()) {
      if (this.nowUs - startUs >= limitMs * 1000)
        throw new Error(`not reached in ${limitMs} ms:\n${this.tail()}`);
      this.run(1);
    }
    return (this.nowUs - startUs) / 1000;
  }

  masters(): NodeId[] {
    return [...this.members.values()]
      .filter(
        ({ core }) =>
          core !== null &&
          core.wonTerm !== null &&
          core.closing === null &&
          this.nowUs < core.masterLeaseEndUs,
      )
      .map(({ id }) => id);
  }

  /** Hands `config` to a node as config-distributor would, from `from` under its term. */
  store(id: NodeId, from: NodeId, config: ClusterConfig): void {
    const { term } = this.core(from).durable;
    this.give(id, { kind: "stored", ref: refOf(config, term), from, config });
  }

  codes(id: NodeId): string[] {
    return this.reasons.filter(({ node }) => node === id).map(({ reason }) => reason.code);
  }

  tail(): string {
    return this.reasons
      .slice(-20)
      .map(({ node, atUs, reason }) => `${atUs / 1000} node ${node} ${reason.code} ${reason.message}`)
      .join("\n");
  }

  private isBusy(member: Member): boolean {
    return this.nowUs < member.busyUntilUs;
  }

  private leavesAtUs(member: Member): number {
    return Math.max(this.nowUs, member.busyUntilUs);
  }

  private observe(member: Member): void {
    const peers = [...this.members.values()]
      .filter(({ id }) => id !== member.id)
      .map(({ id, core, deafTo }) => {
        const hears = core !== null && !member.deafTo.has(id);
        const heard = core !== null && !deafTo.has(member.id);
        const state =
          hears && heard ? ("joined" as const) : hears ? ("one-way" as const) : ("failed" as const);
        const before = member.core?.peerStates.get(id);
        return { node: id, state, sinceUs: before?.state === state ? before.sinceUs : this.nowUs };
      });
    const patience = member.core?.patience ?? 1;
    this.give(member.id, { kind: "peers", stampUs: this.nowUs, peers, patience });
    this.give(member.id, {
      kind: "report",
      report: {
        stampUs: this.nowUs,
        term: member.report.term,
        generation: member.report.generation,
        gate: "shut",
        shutConfirmed: member.closed,
        able: {
          ok: member.able,
          code: member.able ? "ABLE" : member.inability,
          message: member.able ? "" : "It cannot serve.",
        },
        cleanUnderTerm: member.report.term,
        address: "absent",
        service: "none",
        problems: [],
        guarantees: [],
      },
    });
  }
}
