import type { NodeId } from "@quorate/contracts";
import {
  type CopyReport,
  createRelocatorState,
  type Judgement,
  OPEN_POLICY,
  type PlacementName,
  type RelocatorConfig,
  type RelocatorInput,
  type RelocatorState,
  stepRelocator,
  type VmOrder,
  type VmRecord,
  type VmReport,
  type VmStatement,
} from "../src/index.ts";
import { recordOf } from "./vm-model.ts";

export const TOKEN_US = 1_000_000;
export const SETTLE_US = 300_000;
export const START_US = 500_000_000;

/** The master, node 1 of three, and hosts that answer when they are told to. */
export class Desk {
  nowUs = START_US;
  state: RelocatorState;
  statements = new Map<NodeId, VmStatement>();
  effects: string[] = [];
  /** Of power devices. */
  asked: { node: NodeId; attempt: number }[] = [];
  codes: string[] = [];
  messages: string[] = [];
  hosts = new Map<NodeId, { copies: CopyReport[]; records: VmRecord[]; change: Partial<VmReport> }>();
  fences: Judgement["fences"] = [];
  members: NodeId[] = [1, 2, 3];
  disarmed = false;
  term = 2;
  #sequence = 0;

  constructor(change: Partial<RelocatorConfig> = {}) {
    this.state = createRelocatorState({
      node: 1,
      nodes: [1, 2, 3],
      tokenUs: TOKEN_US,
      storageSettleUs: SETTLE_US,
      bootGraceUs: 0,
      bootedAtUs: 0,
      devices: [],
      devicesKey: "",
      policy: OPEN_POLICY,
      ...change,
    });
    for (const node of [1, 2, 3]) this.hosts.set(node, { copies: [], records: [], change: {} });
  }

  /** The host is a member again. */
  back(node: NodeId): void {
    this.members = [...this.members, node].sort((left, right) => left - right);
    this.fences = this.fences.filter((fence) => fence.node !== node);
  }

  input(input: RelocatorInput): void {
    const result = stepRelocator(this.state, input, this.nowUs);
    this.state = result.state;
    this.codes.push(...result.reasons.map(({ code }) => code));
    this.messages.push(...result.reasons.map(({ message }) => message));
    for (const effect of result.effects) {
      this.effects.push(effect.kind);
      if (effect.kind === "power-off") this.asked.push({ node: effect.node, attempt: effect.attempt });
      if (effect.kind === "statement") this.statements.set(effect.statement.to, effect.statement);
    }
  }

  judge(): void {
    this.input({
      kind: "judgement",
      judgement: {
        stampUs: this.nowUs,
        term: this.term,
        master: true,
        masterLeaseEndUs: this.nowUs + 990_000,
        view: { term: this.term, number: 4 - this.members.length },
        members: this.members,
        fences: this.fences,
        disarmed: this.disarmed,
      },
    });
  }

  /** The host says what it has, having adopted the newest statement to it. */
  answer(node: NodeId): void {
    const host = this.hosts.get(node);
    const statement = this.statements.get(node);
    if (host === undefined) return;
    this.#sequence += 1;
    const adopted =
      statement === undefined ? { term: 0, number: 0 } : { term: statement.term, number: statement.number };
    this.input({
      kind: "report",
      report: {
        node,
        incarnation: 1,
        sequence: this.#sequence,
        adopted,
        view: statement?.view ?? { term: 0, number: 0 },
        copies: host.copies,
        records: host.records,
        failures: [],
        memoryMib: 1000,
        vcpus: 4,
        storageGone: [],
        ...host.change,
      },
    });
  }

  /** Time goes on, these hosts answering. */
  go(nodes: NodeId[], us = 1_000_000): void {
    const endUs = this.nowUs + us;
    while (this.nowUs < endUs) {
      this.nowUs += 100_000;
      this.judge();
      for (const node of nodes) this.answer(node);
    }
  }

  replica(records: { node: NodeId; record: VmRecord }[] | null = []): void {
    this.judge();
    this.input({ kind: "replica", records });
  }

  orderTo(node: NodeId): VmOrder | undefined {
    return this.statements.get(node)?.orders.find(({ vm }) => vm === "a");
  }

  runsAt(): NodeId[] {
    return [1, 2, 3].filter((node) => this.orderTo(node)?.kind === "run");
  }

  blockedFor(): string | undefined {
    return this.state.blocked["a"]?.code;
  }

  fence(node: NodeId, verdict: "yes" | "pending" = "yes"): void {
    this.members = this.members.filter((member) => member !== node);
    const atUs = verdict === "yes" ? this.nowUs : null;
    this.fences = [...this.fences.filter((fence) => fence.node !== node), { node, verdict, atUs }];
  }
}

export const OLD: PlacementName = { term: 1, number: 5 };

export function record(change: Partial<VmRecord> = {}): VmRecord {
  return { ...recordOf("a"), placement: OLD, revision: 1, released: null, ...change };
}

export function copy(change: Partial<CopyReport> = {}): CopyReport {
  return { vm: "a", state: "running", placement: OLD, confirmed: true, wasOut: false, ...change };
}

/** Node 2 has run the machine since the last master's time. */
export function standing(change: Partial<VmRecord> = {}, config: Partial<RelocatorConfig> = {}): Desk {
  const desk = new Desk(config);
  desk.hosts.set(2, { copies: [copy()], records: [record(change)], change: {} });
  desk.replica();
  desk.go([1, 2, 3]);
  return desk;
}
