import {
  createVmHostState,
  type PlacementName,
  stepVmHost,
  type VmHostInput,
  type VmHostState,
  type VmOrder,
  type VmOutcome,
  type VmRecord,
  type VmReport,
  type VmStatement,
  type VmStep,
} from "../src/index.ts";
import { failed, recordOf } from "./vm-model.ts";

const TOKEN_US = 1_000_000;
const START_US = 100_000_000;
export const OURS: PlacementName = { term: 1, number: 10 };

/** One host whose steps are answered by hand, or at once by kind. */
export class Bench {
  nowUs = START_US;
  state: VmHostState;
  steps: { id: number; step: VmStep }[] = [];
  done: VmStep[] = [];
  reports: VmReport[] = [];
  reasons: string[] = [];
  clean: number | null = null;
  /** What the hypervisor and the kernel say when they are asked. */
  copies: { vm: string; state: "running" | "paused" | "incoming-complete" }[] = [];
  open: { vm: string; network: boolean; storage: boolean; remainingUs: number }[] = [];
  /** What an earlier life left armed. */
  armedUs: number | null = null;
  /** Kinds that are left without an answer. */
  readonly held = new Set<VmStep["kind"]>();
  /** Kinds that fail. */
  readonly failing = new Set<VmStep["kind"]>();
  number = 0;
  term = 1;

  constructor(records: VmRecord[] = [], incarnation = 1, watchdogUs: number | null = null) {
    const config = {
      node: 1,
      tokenUs: TOKEN_US,
      memoryMib: 1000,
      vcpus: 4,
      shutdownGraceUs: 1_000_000,
      storageSettleUs: 100_000,
      watchdogUs,
    };
    this.state = createVmHostState(config, records, incarnation, this.nowUs);
  }

  input(input: VmHostInput): void {
    const result = stepVmHost(this.state, input, this.nowUs);
    this.state = result.state;
    this.clean = result.cleanUnderTerm;
    this.reasons.push(...result.reasons.map(({ code }) => code));
    for (const effect of result.effects) {
      if (effect.kind === "report") this.reports.push(effect.report);
      else this.steps.push(effect);
    }
  }

  /** Lets time go on with grants every T/10, answering what is asked. */
  run(us: number, grants: "lease" | "none" | "out" = "lease"): void {
    const endUs = this.nowUs + us;
    while (this.nowUs < endUs) {
      this.nowUs += 10_000;
      if (grants !== "none" && this.nowUs % 100_000 === 0) this.grant(grants);
      this.input({ kind: "tick" });
      this.answerAll();
    }
  }

  /** A host that is out knows of the view that removed it. */
  grant(kind: "lease" | "out"): void {
    const nodeLeaseEndUs = kind === "lease" ? this.nowUs + 990_000 : 0;
    const grant = {
      stampUs: this.nowUs,
      term: this.term,
      view: { term: this.term, number: kind === "out" ? 2 : 1 },
      nodeLeaseEndUs,
      out: kind === "out",
    };
    this.input({ kind: "grant", grant });
    this.answerAll();
  }

  say(orders: VmOrder[], change: Partial<VmStatement> = {}): void {
    this.number += 1;
    const view = { term: this.term, number: 1 };
    const { incarnation } = this.state;
    this.input({
      kind: "statement",
      statement: {
        term: this.term,
        view,
        number: this.number,
        from: 2,
        to: 1,
        incarnation,
        orders,
        ...change,
      },
    });
    this.answerAll();
  }

  answerAll(): void {
    for (;;) {
      const index = this.steps.findIndex(({ step }) => !this.held.has(step.kind));
      const next = this.steps[index];
      if (next === undefined) return;
      this.steps.splice(index, 1);
      this.done.push(next.step);
      this.input({ kind: "done", id: next.id, outcome: this.#outcome(next.step) });
    }
  }

  #outcome(step: VmStep): VmOutcome {
    if (this.failing.has(step.kind)) return failed("TOOL_FAILED");
    switch (step.kind) {
      case "inspect-copies":
        return { kind: "copies-seen", copies: this.copies };
      case "inspect-gates":
        return { kind: "gates-seen", open: this.open };
      case "renew-gates":
        return { kind: "renewed", leaseEndUs: step.leaseEndUs };
      case "adopt-watchdog":
        return this.armedUs === null ? { kind: "done" } : { kind: "armed", timeoutUs: this.armedUs };
      case "arm-watchdog":
        return { kind: "armed", timeoutUs: step.timeoutUs };
      case "start-copy":
      case "resume-copy":
        this.copies = [{ vm: step.vm, state: "running" }];
        return { kind: "done" };
      case "pause-copy":
        this.copies = [{ vm: step.vm, state: "paused" }];
        return { kind: "done" };
      case "destroy-copy":
        this.copies = [];
        return { kind: "done" };
      default:
        return { kind: "done" };
    }
  }

  kinds(): string[] {
    const looks: readonly string[] = ["inspect-copies", "inspect-gates", "adopt-watchdog"];
    return this.done.map(({ kind }) => kind).filter((kind) => !looks.includes(kind));
  }
}

export function run(placement: PlacementName = OURS, waitUs = 0): VmOrder {
  return { kind: "run", vm: "a", placement, record: recordAt(placement), waitUs };
}

export function recordAt(placement: PlacementName): VmRecord {
  return { ...recordOf("a"), placement, revision: 1, released: null };
}

/** A host on which the machine runs under a lease. */
export function running(): Bench {
  const bench = new Bench();
  bench.run(1_200_000);
  bench.say([run()]);
  bench.run(300_000);
  bench.done = [];
  return bench;
}
