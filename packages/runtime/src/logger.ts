import type { NodeId } from "@quorate/contracts";
import { type Logger, pino } from "pino";
import { LogOutput } from "./log-output.ts";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * JSON lines to stdout: `level` (word), `time` (ISO 8601 UTC), `service`, `node`, `message`, further fields.
 * Written at once: a line that was logged before a crash is there. A line that cannot be written is given up, and
 * said with the next one that can.
 */
export function createLogger(options: { service: string; node: NodeId; level?: LogLevel }): Logger {
  const base = { service: options.service, node: options.node };
  const lostLine = (count: number, why: string) => {
    const message = `${count} log lines before this one could not be written (${why}).`;
    return `${JSON.stringify({ level: "warn", time: new Date().toISOString(), ...base, message })}\n`;
  };
  return pino(
    {
      level: options.level ?? "info",
      base,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    new LogOutput(1, lostLine),
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
