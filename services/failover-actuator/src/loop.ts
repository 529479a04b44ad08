import type { Reason, ReportMessage } from "@quorate/contracts";
import {
  type FailoverEvent,
  type FailoverInput,
  type FailoverState,
  type Step,
  type StepOutcome,
  step,
} from "@quorate/core-failover";
import { Afterwards, InputRecorder } from "@quorate/runtime";

export interface LoopDoors {
  nowUs(): number;
  carryOut(step: Step): Promise<StepOutcome>;
  /** Microseconds for which the kernel was paused since the last call; 0 when it was not. */
  kernelPauseUs(): number;
  publishReport(report: ReportMessage): void;
  publishEvent(event: FailoverEvent): void;
  logReason(reason: Reason): void;
  /** The timer fired that was due then. */
  woke(dueUs: number): void;
}

const TIMER_LIMIT_MS = 60_000;
/** The detector reads a file: not more often than this. */
const PAUSE_CHECK_US = 20_000;

/** Turns the core: every input is one turn; its steps are started at once and answered when they are done. */
export class FailoverLoop {
  #state: FailoverState;
  readonly #doors: LoopDoors;
  #report: ReportMessage | null = null;
  #published = "";
  #nextReportAtUs = 0;
  #pauseCheckedAtUs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  readonly #recorder = new InputRecorder<FailoverState, { input: FailoverInput; nowUs: number }>();
  readonly #afterwards = new Afterwards();
  readonly #underWay = new Set<Promise<void>>();

  constructor(state: FailoverState, doors: LoopDoors) {
    this.#state = state;
    this.#doors = doors;
  }

  get report(): ReportMessage | null {
    return this.#report;
  }

  get state(): Readonly<FailoverState> {
    return this.#state;
  }

  /** What the core was given and decided, as far back as it is kept. */
  recording(): Promise<Uint8Array> {
    const { nodeId } = this.#state.config;
    return this.#recorder.dump({ service: "failover-actuator", node: nodeId }, this.#state);
  }

  input(input: FailoverInput): void {
    if (this.#stopped) return;
    const nowUs = this.#doors.nowUs();
    if (nowUs - this.#pauseCheckedAtUs >= PAUSE_CHECK_US) {
      this.#pauseCheckedAtUs = nowUs;
      const jumpUs = this.#doors.kernelPauseUs();
      if (jumpUs > 0) this.#turn({ kind: "clock-jumped", jumpUs });
    }
    this.#turn(input);
  }

  /** Says it again, on a bus that has just come back. */
  repeatReport(): void {
    this.#published = "";
    this.input({ kind: "tick" });
  }

  /** No turn begins any more; resolves when the steps under way are done. What is in the kernel stays. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.allSettled([...this.#underWay]);
    this.#afterwards.flush();
  }

  #turn(input: FailoverInput): void {
    const nowUs = this.#doors.nowUs();
    const result = this.#recorder.run(this.#state, { input, nowUs }, () => step(this.#state, input, nowUs));
    this.#state = result.state;
    for (const each of result.steps) this.#start(each.id, each.step);
    this.#publish(result.report, result.quiet, nowUs);
    if (result.reasons.length > 0 || result.events.length > 0)
      this.#afterwards.add(() => {
        for (const reason of result.reasons) this.#doors.logReason(reason);
        for (const event of result.events) this.#doors.publishEvent(event);
      });
    this.#schedule(Math.min(result.wakeAtUs, this.#nextReportAtUs), nowUs);
  }

  #start(id: number, what: Step): void {
    const work = this.#carryOut(id, what);
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  async #carryOut(id: number, what: Step): Promise<void> {
    const outcome = await this.#doors.carryOut(what);
    this.input({ kind: "done", id, outcome });
  }

  /** On change at once, else every 2T/5, or up to T/6 sooner with a turn that comes anyway. */
  #publish(report: ReportMessage, quiet: boolean, nowUs: number): void {
    this.#report = report;
    // Not knowing yet is not being unable: the last report stands, for a token.
    if (report.able.code === "STARTING") return;
    const { tokenUs } = this.#state.config;
    const text =
      quiet && this.#published !== "" ? this.#published : JSON.stringify({ ...report, stampUs: 0 });
    if (text === this.#published && nowUs < this.#nextReportAtUs - tokenUs / 6) return;
    this.#published = text;
    this.#nextReportAtUs = nowUs + Math.round((tokenUs * 2) / 5);
    this.#doors.publishReport(report);
  }

  #schedule(atUs: number, nowUs: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const delayMs = Math.min(Math.max(1, Math.ceil((atUs - nowUs) / 1000)), TIMER_LIMIT_MS);
    this.#timer = setTimeout(() => {
      this.#doors.woke(nowUs + delayMs * 1000);
      this.input({ kind: "tick" });
    }, delayMs);
  }
}
