import type { EvaluatorState, QuorumMessage, Reason } from "@quorate/contracts";
import {
  isSilenceShown,
  judgesBySilence,
  type QuorumEffect,
  type QuorumInput,
  type QuorumState,
  stepQuorum,
} from "@quorate/core-quorum";
import { Afterwards, InputRecorder, monotonicUs } from "@quorate/runtime";

export type LoopInput = QuorumInput extends infer Input
  ? Input extends { nowUs: number }
    ? Omit<Input, "nowUs" | "drainedUs">
    : never
  : never;

export type LoopDoors = {
  /** Must be durable when it returns. Throws when the disk refuses. */
  persist(state: EvaluatorState): void;
  send(effect: Exclude<QuorumEffect, { kind: "persist" } | { kind: "quorum" }>): void;
  publish(message: QuorumMessage, reasons: readonly Reason[]): void;
  /** For how long the kernel stood still since the last call; the monotonic clock did not see it. */
  suspendedUs(): number;
  /** Resolves once all local messages sent before the call have been handed in; false if that is not known. */
  barrier(): Promise<boolean>;
  /** The timer fired that was due then. */
  woke?(dueUs: number): void;
  /** The disk refused, or takes writes again (null). */
  diskTrouble(error: Error | null): void;
};

const LEAST_WAIT_MS = 1;
const DISK_RETRY_MS = 100;
const BARRIER_EVERY_US = 10_000;

/**
 * Turns the core: every input is one step, and its effects leave in the order persist, send, act. While the
 * disk refuses a change of what must not be forgotten, nothing leaves at all: leases then run out by themselves.
 */
export class QuorumLoop {
  private state: QuorumState;
  private readonly doors: LoopDoors;
  private timer: NodeJS.Timeout | null = null;
  private unsaved: EvaluatorState | null = null;
  private held: Reason[] = [];
  private drainedUs = 0;
  private asking = false;
  private askAgainUs = 0;
  private message: QuorumMessage | null = null;
  private readonly afterwards = new Afterwards();
  private readonly recorder = new InputRecorder<QuorumState, QuorumInput>();

  constructor(state: QuorumState, doors: LoopDoors) {
    this.state = state;
    this.doors = doors;
  }

  /** The newest judgement; null before the first step. */
  get quorum(): QuorumMessage | null {
    return this.message;
  }

  get snapshot(): Readonly<QuorumState> {
    return this.state;
  }

  /** What the core was given and decided, as far back as it is kept. */
  recording(): Promise<Uint8Array> {
    return this.recorder.dump({ service: "quorum-evaluator", node: this.state.durable.node }, this.state);
  }

  /** One decision. Returns why an order was refused, or null. */
  step(input: LoopInput): Reason | null {
    const jumpUs = this.doors.suspendedUs();
    if (jumpUs > 0) this.decide({ kind: "suspended-host", jumpUs });
    return this.decide(input);
  }

  private decide(input: LoopInput): Reason | null {
    const nowUs = monotonicUs();
    const whole = { ...input, nowUs, drainedUs: this.drainedUs };
    const result = this.recorder.run(this.state, whole, () => stepQuorum(this.state, whole));
    this.state = result.state;
    this.readAhead(nowUs);
    this.held.push(...result.reasons);
    const persist = result.effects.find((effect) => effect.kind === "persist");
    if (persist !== undefined) this.unsaved = persist.state;
    if (this.save()) this.emit(result.effects);
    this.schedule(nowUs, result.wakeAtUs);
    return result.refusal;
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.afterwards.flush();
  }

  private readAhead(nowUs: number): void {
    if (this.asking || !judgesBySilence(this.state, nowUs)) return;
    if (nowUs >= this.askAgainUs || isSilenceShown(this.state, this.drainedUs, nowUs))
      void this.askBarrier(nowUs);
  }

  private async askBarrier(askedAtUs: number): Promise<void> {
    this.asking = true;
    const reached = await this.doors.barrier();
    this.asking = false;
    this.askAgainUs = askedAtUs + BARRIER_EVERY_US;
    if (reached) this.readUntil(askedAtUs);
  }

  private readUntil(untilUs: number): void {
    const beforeUs = this.drainedUs;
    this.drainedUs = Math.max(beforeUs, untilUs);
    if (this.timer !== null && isSilenceShown(this.state, beforeUs, untilUs)) this.step({ kind: "tick" });
  }

  private save(): boolean {
    if (this.unsaved === null) return true;
    try {
      this.doors.persist(this.unsaved);
    } catch (error) {
      this.doors.diskTrouble(error as Error);
      return false;
    }
    this.unsaved = null;
    this.doors.diskTrouble(null);
    return true;
  }

  private emit(effects: readonly QuorumEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "persist") continue;
      if (effect.kind === "quorum") this.message = effect.message;
      else this.doors.send(effect);
    }
    const reasons = this.held;
    this.held = [];
    const { message } = this;
    if (message === null) return;
    if (reasons.length > 0 || effects.some((effect) => effect.kind === "quorum"))
      this.afterwards.add(() => this.doors.publish(message, reasons));
  }

  private schedule(nowUs: number, wakeAtUs: number): void {
    const waitMs = Math.max(LEAST_WAIT_MS, Math.ceil((wakeAtUs - nowUs) / 1000));
    const delayMs = this.unsaved === null ? waitMs : Math.min(waitMs, DISK_RETRY_MS);
    const atUs = nowUs + delayMs * 1000;
    // Set anew each time: a timer that is left to fire for nothing costs more.
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.doors.woke?.(atUs);
      this.step({ kind: "tick" });
    }, delayMs);
  }
}
