import { randomInt } from "node:crypto";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { INCARNATION_MAX, nextIncarnation } from "@quorate/core-membership";
import { type Logger, takeStateFile, writeStateFileSync } from "@quorate/runtime";
import { z } from "zod";

const IncarnationFileSchema = z.object({ incarnation: z.int().min(1).max(INCARNATION_MAX) });

/** Numbers that a start may skip when it cannot write down which one it took. */
const SKIP_MAX = 4096;

/**
 * Remembers the newest incarnation used. It is no part of the cluster's safety: losing it costs nothing while
 * the clock goes forward, and otherwise peers tell us (core: `liftIfOutdated`). So a full or broken disk
 * degrades and never keeps a node silent.
 */
export class IncarnationFile {
  readonly #path: string;
  readonly #logger: Logger;
  #unwritten: number | null = null;

  constructor(stateDir: string, logger: Logger) {
    this.#path = join(stateDir, "membership.state");
    this.#logger = logger;
  }

  /** The incarnation for this start, durable if the disk lets us. */
  next(): number {
    const incarnation = nextIncarnation(this.#read(), Date.now());
    if (this.write(incarnation)) return incarnation;
    // The next start could not know this number: make it unlikely that it takes the same one.
    return Math.min(INCARNATION_MAX, incarnation + randomInt(1, SKIP_MAX));
  }

  /** False when it could not be made durable; `retry` tries again. */
  write(incarnation: number): boolean {
    try {
      writeStateFileSync(this.#path, { incarnation });
      this.#unwritten = null;
      return true;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      if (this.#unwritten === null) {
        this.#logger.error({ code: error.code, hint: error.hint }, error.message);
      }
      this.#unwritten = incarnation;
      return false;
    }
  }

  retry(): void {
    if (this.#unwritten !== null) this.write(this.#unwritten);
  }

  get durable(): boolean {
    return this.#unwritten === null;
  }

  #read(): number | null {
    const { state, refused } = takeStateFile(this.#path, IncarnationFileSchema);
    if (refused !== null) {
      const { code, hint, message } = refused;
      this.#logger.warn({ code, hint }, `${message} The clock decides the incarnation.`);
    }
    return state?.incarnation ?? null;
  }
}
