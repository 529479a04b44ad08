import { setTimeout as sleep } from "node:timers/promises";
import type { BenchLab } from "../bench/bench-lab.ts";
import type { CommandResult } from "../command.ts";
import type { Lab } from "../lab.ts";
import type { Converged } from "../converged.ts";

/** One fault as it is done: on whom, when it began and ended, what was seen meanwhile. */
export class Injection {
  readonly bench: BenchLab;
  /** The struck node; for faults that strike all, the master. */
  readonly node: number;
  readonly before: Converged;
  readonly round: number;
  readonly values: Record<string, number> = {};
  readonly details: string[] = [];
  /** Whose journal has to know, if not whose the fault says. */
  askedNode: number | null = null;
  /** Of which moment it is asked, if not of the fault's beginning: who is frozen decides when it is over. */
  askedMs: number | null = null;
  fromMs = 0;
  toMs = 0;

  constructor(bench: BenchLab, node: number, before: Converged, round: number) {
    this.bench = bench;
    this.node = node;
    this.before = before;
    this.round = round;
  }

  get lab(): Lab {
    return this.bench.lab;
  }

  get tokenMs(): number {
    return this.lab.record().tokenMs;
  }

  get others(): number[] {
    return this.bench.othersOf(this.node);
  }

  get initPid(): number {
    return this.lab.host(this.node).init?.pid ?? 0;
  }

  /** From now on the fault is in force (or has been since `atMs`). */
  began(atMs = Date.now()): void {
    this.fromMs = atMs;
  }

  /** The fault is over: from now on the cluster has to recover. */
  ended(): void {
    this.toMs = Date.now();
  }

  wait(durationMs: number): Promise<void> {
    return sleep(durationMs);
  }

  /** A shell command in the struck host, or in another; it has to end with 0. */
  async shell(script: string, node = this.node): Promise<CommandResult> {
    const result = await this.lab.exec(node, ["sh", "-c", script]);
    if (result.code !== 0) {
      throw this.bench.stuck(`node-${node}: ${script}: ${result.code}: ${result.stderr.trim()}`);
    }
    return result;
  }
}
