/** A lab to measure on: whole before every sample, watched from outside during it. */
import { loadavg } from "node:os";
import { QuorateError } from "@quorate/contracts";
import { type Converged, readConverged } from "../converged.ts";
import { hostLogTails, reportFailure } from "../failure.ts";
import { Lab } from "../lab.ts";
import { readNodeStatus, type NodeStatus } from "../node-status.ts";
import { type Observation, Observer } from "../observer.ts";
import type { LabPlan } from "../plan.ts";
import { waitUntil } from "../processes.ts";
import type { TallyReport } from "../tally.ts";
import type { Sample } from "./results.ts";
import { latenessOf } from "./stood-still.ts";

export const WHOLE_LIMIT_MS = 120_000;
const CONVERGED_POLL_MS = 200;

export class BenchLab {
  readonly lab: Lab;
  readonly observer: Observer;
  readonly ids: readonly number[];

  private constructor(lab: Lab, observer: Observer) {
    this.lab = lab;
    this.observer = observer;
    this.ids = lab.record().hosts.map((host) => host.id);
  }

  /** Brings a lab up, runs `body` on it, takes it down. */
  static async with<Result>(
    name: string,
    plan: LabPlan,
    body: (bench: BenchLab) => Promise<Result>,
  ): Promise<Result> {
    await Lab.clearAbandoned(name);
    const lab = await Lab.up(name, plan, { own: true });
    try {
      const observer = await Observer.start(lab);
      try {
        return await body(new BenchLab(lab, observer));
      } finally {
        await observer.stop();
      }
    } catch (error) {
      if (!isInterrupted) process.stderr.write(`${hostLogTails(lab)}\n`);
      throw error;
    } finally {
      await Lab.down(name);
    }
  }

  /** Waits until somebody serves and, by his own word, all nodes are in his view. Returns that word. */
  async whole(): Promise<NodeStatus> {
    let found: NodeStatus | null = null;
    const isWhole = await waitUntil(
      async () => {
        const served = this.observer.lastHttp;
        if (served === null || Date.now() - served.atMs > 500) return false;
        const status = await readNodeStatus(this.lab, served.host);
        found = status;
        return status?.role === "master" && status.view?.members.length === this.ids.length;
      },
      WHOLE_LIMIT_MS,
      500,
    );
    if (this.observer.failure !== null) throw this.stuck(`the observer failed: ${this.observer.failure}`);
    if (!isWhole || found === null) throw this.stuck("the cluster does not become whole");
    return found;
  }

  /** Waits until all nodes agree, all joined, one master who holds; null when they do not in time. */
  async converged(limitMs = WHOLE_LIMIT_MS): Promise<Converged | null> {
    let found: Converged | null = null;
    await waitUntil(
      async () => {
        found = await readConverged(this.lab, this.ids);
        return found !== null || this.observer.failure !== null;
      },
      limitMs,
      CONVERGED_POLL_MS,
    );
    if (this.observer.failure !== null) throw this.stuck(`the observer failed: ${this.observer.failure}`);
    return found;
  }

  /** Waits until a host other than `old` answers HTTP requests for the cluster address. */
  async takenFrom(old: number, limitMs = 30_000): Promise<number> {
    const answer = await this.observer.waitFor((seen) => seen.kind === "http" && seen.host !== old, limitMs);
    if (answer === null) throw this.stuck(`nobody took over from node-${old}`);
    return answer.host;
  }

  othersOf(id: number): number[] {
    return this.ids.filter((other) => other !== id);
  }

  sample(label: string, values: Record<string, number>): Sample {
    const rounded = Object.entries(values).map(
      ([name, value]) => [name, Math.round(value * 1000) / 1000] as const,
    );
    return { label, values: Object.fromEntries(rounded), load: loadavg()[0] ?? 0 };
  }

  /** Closes the window and gives its figures; a failed observer has none. */
  finish(window: Observation): TallyReport {
    if (this.observer.failure !== null) throw this.stuck(`the observer failed: ${this.observer.failure}`);
    const report = window.report();
    window.close();
    return report;
  }

  stuck(message: string): QuorateError {
    return new QuorateError(
      "SERVICE_FAILED",
      `bench: ${message}`,
      "The hosts' logs are above; run it again.",
    );
  }
}

export function gapsOf(report: TallyReport): Record<string, number> {
  return {
    vip_gap_ms: report.silence.icmp.longestMs,
    arp_gap_ms: report.silence.arp.longestMs,
    service_gap_ms: report.silence.http.longestMs,
    dual_ms: report.dualMs,
    ...latenessOf(report),
  };
}

/** The exit code after Ctrl-C. */
export const INTERRUPTED = 130;

let isInterrupted = false;

/** Ctrl-C and the like: the lab goes, then we. */
export function takeDownOnSignal(labName: string): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      isInterrupted = true;
      process.stderr.write(`${signal}: taking lab ${labName} down\n`);
      void Lab.down(labName).finally(() => process.exit(INTERRUPTED));
    });
  }
}

/** As `reportFailure`; after Ctrl-C silent: everything fails that was under way. */
export function reportUnlessInterrupted(error: unknown): number {
  return isInterrupted ? INTERRUPTED : reportFailure(error);
}
