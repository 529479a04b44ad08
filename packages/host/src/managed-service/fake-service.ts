import type {
  ManagedService,
  Readiness,
  ReadinessProbe,
  ReadinessTarget,
  ServiceState,
} from "./managed-service.ts";

/** The process of a fake service; outlives the driver, as the real one does. */
export class FakeServiceProcess {
  state: ServiceState = { kind: "stopped" };
  /** How often it was started. */
  starts = 0;
  /** When set, starting ends in this failure at once. */
  failing: string | undefined;
  readonly #listeners = new Set<() => void>();

  /** It ends by itself. */
  crash(): void {
    if (this.state.kind !== "running") return;
    this.state = { kind: "failed", message: "the command ended by itself" };
    for (const listener of [...this.#listeners]) listener();
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export function createFakeService(process: FakeServiceProcess): ManagedService {
  const stops = new Set<() => void>();
  return {
    async start() {
      if (process.state.kind === "running") return;
      process.starts += 1;
      process.state =
        process.failing === undefined
          ? { kind: "running", pid: 1_000 + process.starts }
          : { kind: "failed", message: process.failing };
    },
    async stop() {
      process.state = { kind: "stopped" };
    },
    async inspect() {
      return process.state;
    },
    listen(listener) {
      const stop = process.listen(listener);
      stops.add(stop);
      return stop;
    },
    async close() {
      for (const stop of stops) stop();
    },
  };
}

/** Ready are the targets for which `answers` says so. */
export function createFakeReadinessProbe(answers: (target: ReadinessTarget) => boolean): ReadinessProbe {
  return {
    async check(targets): Promise<Readiness> {
      const silent = targets.find((target) => !answers(target));
      if (silent === undefined) return { ready: true };
      return { ready: false, target: silent, message: "nothing listens" };
    },
  };
}
