import type { NodeId } from "@quorate/contracts";
import { type Logger, pino } from "pino";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * JSON lines to stdout: `level` (word), `time` (ISO 8601 UTC), `service`, `node`, `message`, further fields.
 * Written at once: a line that was logged before a crash is there.
 */
export function createLogger(options: { service: string; node: NodeId; level?: LogLevel }): Logger {
  return pino(
    {
      level: options.level ?? "info",
      base: { service: options.service, node: options.node },
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 1, sync: true }),
  );
}

/** Lets one in `perMs` through and counts the rest: for what a stranger can cause as often as he likes. */
export class RateLimit {
  readonly #perMs: number;
  #nextMs = 0;
  #suppressed = 0;

  constructor(perMs: number) {
    this.#perMs = perMs;
  }

  /** Null: say nothing now. A number: speak, and so many were kept back since last time. */
  pass(): number | null {
    const nowMs = performance.now();
    if (nowMs < this.#nextMs) {
      this.#suppressed += 1;
      return null;
    }
    this.#nextMs = nowMs + this.#perMs;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}
