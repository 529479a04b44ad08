import type { ProcessName, TrapPoint } from "./schedule.ts";

/** One thing that a process does to the world. Between any two of them it may be stopped or die. */
export type Effect = {
  name: string;
  /** How long the process is held up before it has happened (a write with fsync); nothing else runs meanwhile. */
  costUs?: () => number;
  run(): void;
};

/** What a process needs of its host and world. */
export type Surroundings = {
  nowUs(): number;
  at(atUs: number, run: () => void): void;
  /** A fraction in [0, 1), from the process's own stream. */
  chance(probability: number): boolean;
  between(low: number, high: number): number;
  tell(text: () => string): void;
  struck(kind: string): void;
  startAfter(name: ProcessName, downUs: number): void;
};

type Trap = { point: TrapPoint; left: number; strike: "crash" | "pause"; forUs: number };

/** Bounds what waits at sockets: the newest is lost, as the kernel does it. */
const INBOX_LIMIT = 4000;

/**
 * A process of one host as the kernel sees it: it runs, is stopped, is busy, or is dead. What comes while it cannot
 * run waits. What it does is a list of effects, done one after the other.
 */
export abstract class Process {
  readonly name: ProcessName;
  /** Counts the lives: what belongs to an earlier one is void. */
  life = 0;
  running = false;
  private readonly around: Surroundings;
  private stoppedUntilUs = 0;
  private busyUntilUs = 0;
  private inbox: (() => void)[] = [];
  private pending: Effect[] = [];
  private writing: Effect | null = null;
  private passedBefore = false;
  private traps: Trap[] = [];
  private slow = { untilUs: 0, eachUs: 0 };
  private timerDueUs = Number.POSITIVE_INFINITY;
  private timerArmedUs = Number.POSITIVE_INFINITY;
  private timerWaits = false;
  private working = false;

  constructor(name: ProcessName, around: Surroundings) {
    this.name = name;
    this.around = around;
  }

  /** Begins a new life. */
  start(): void {
    if (this.running) return;
    this.life += 1;
    this.running = true;
    this.forget();
    this.work(() => this.onStart());
  }

  /** SIGKILL. What it was writing may have reached the disk or not. */
  kill(): void {
    if (!this.running) return;
    const { writing } = this;
    this.life += 1;
    this.running = false;
    this.forget();
    if (writing !== null && this.around.chance(0.5)) writing.run();
    this.onEnd();
  }

  /** SIGSTOP, and SIGCONT after `forUs`. */
  pause(forUs: number): void {
    if (!this.running) return;
    this.stoppedUntilUs = Math.max(this.stoppedUntilUs, this.around.nowUs() + forUs);
    this.resumeAt(this.stoppedUntilUs);
  }

  /** SIGCONT at once. */
  thaw(): void {
    this.stoppedUntilUs = Math.min(this.stoppedUntilUs, this.around.nowUs());
    this.slow = { untilUs: 0, eachUs: 0 };
    this.traps = [];
    if (this.running) this.resumeAt(this.around.nowUs());
  }

  setSlow(eachUs: number, forUs: number): void {
    this.slow = { untilUs: this.around.nowUs() + forUs, eachUs };
  }

  setTrap(point: TrapPoint, strike: "crash" | "pause", forUs: number): void {
    this.traps.push({ point, left: point.skip, strike, forUs });
  }

  get stopped(): boolean {
    return this.around.nowUs() < this.stoppedUntilUs;
  }

  /** Something arrives: done now, or when the process gets to it. Lost when it is dead. */
  deliver(task: () => void): void {
    if (!this.running) return;
    if (this.blocked) {
      if (this.inbox.length < INBOX_LIMIT) this.inbox.push(task);
      return;
    }
    this.work(task);
  }

  protected abstract onStart(): void;
  protected abstract onTimer(): void;
  protected onEnd(): void {}

  /** A membership reads its sockets before it looks at the clock; other processes' timers come first. */
  protected readonly timerFirst: boolean = true;

  /** Does these in order, as soon as what was begun before is done. */
  protected perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.pending.push(effect);
    if (!this.working) this.proceed();
  }

  /** Comes before everything that waits: the rest of what is being done. */
  protected next(task: () => void): void {
    if (this.pending.length === 0 && !this.blocked) task();
    else this.inbox.unshift(task);
  }

  /** One timer; a later call moves it. */
  protected wakeAt(atUs: number): void {
    this.timerDueUs = atUs;
    this.arm(atUs);
  }

  protected get blocked(): boolean {
    const nowUs = this.around.nowUs();
    return this.working || nowUs < this.stoppedUntilUs || nowUs < this.busyUntilUs || this.pending.length > 0;
  }

  /** A trap for this point strikes now. True: the process does not go on at this instant. */
  protected strikes(effect: string, side: "before" | "after"): boolean {
    if (this.traps.length === 0) return false;
    for (const [index, trap] of this.traps.entries()) {
      if (trap.point.side !== side || (trap.point.effect !== "any" && trap.point.effect !== effect)) continue;
      if (trap.left > 0) {
        trap.left -= 1;
        continue;
      }
      this.traps.splice(index, 1);
      this.around.struck(`trap-${trap.strike}`);
      this.around.tell(() => `${this.name} ${trap.strike} ${side} ${effect}`);
      if (trap.strike === "crash") {
        this.around.startAfter(this.name, trap.forUs);
        this.kill();
      } else this.pause(trap.forUs);
      return true;
    }
    return false;
  }

  private forget(): void {
    this.stoppedUntilUs = 0;
    this.busyUntilUs = 0;
    this.inbox = [];
    this.pending = [];
    this.writing = null;
    this.passedBefore = false;
    this.timerDueUs = Number.POSITIVE_INFINITY;
    this.timerArmedUs = Number.POSITIVE_INFINITY;
    this.timerWaits = false;
    this.working = false;
  }

  private work(task: () => void): void {
    const { life } = this;
    this.working = true;
    task();
    if (this.life !== life) return;
    this.working = false;
    const nowUs = this.around.nowUs();
    if (nowUs < this.slow.untilUs) this.busy(this.slow.eachUs);
    this.proceed();
    if (this.life === life && this.inbox.length > 0 && !this.blocked) this.resumeAt(nowUs);
  }

  private proceed(): void {
    const { life } = this;
    for (;;) {
      const effect = this.pending[0];
      const nowUs = this.around.nowUs();
      if (effect === undefined || nowUs < this.stoppedUntilUs || nowUs < this.busyUntilUs) return;
      if (this.writing === null) {
        if (!this.passedBefore) {
          this.passedBefore = true;
          if (this.strikes(effect.name, "before")) return;
        }
        const costUs = effect.costUs?.() ?? 0;
        if (costUs > 0) {
          this.writing = effect;
          this.busy(costUs);
          return;
        }
      }
      this.writing = null;
      this.passedBefore = false;
      this.pending.shift();
      effect.run();
      if (this.life !== life || this.strikes(effect.name, "after")) return;
    }
  }

  private busy(forUs: number): void {
    this.busyUntilUs = Math.max(this.busyUntilUs, this.around.nowUs() + forUs);
    this.resumeAt(this.busyUntilUs);
  }

  private resumeAt(atUs: number): void {
    const { life } = this;
    this.around.at(atUs, () => {
      if (this.life === life) this.resume();
    });
  }

  private resume(): void {
    const { life } = this;
    if (this.working) return;
    this.proceed();
    if (this.life !== life || this.blocked) return;
    if (this.timerFirst && this.timerWaits) this.fire();
    while (this.life === life && !this.blocked) {
      const task = this.inbox.shift();
      if (task === undefined) break;
      this.work(task);
    }
    if (this.life === life && !this.blocked && this.timerWaits) this.fire();
  }

  private fire(): void {
    this.timerWaits = false;
    this.timerDueUs = Number.POSITIVE_INFINITY;
    this.work(() => this.onTimer());
  }

  private arm(atUs: number): void {
    if (this.timerArmedUs <= atUs) return;
    this.timerArmedUs = atUs;
    const { life } = this;
    this.around.at(atUs, () => {
      if (this.life !== life || this.timerArmedUs !== atUs) return;
      this.timerArmedUs = Number.POSITIVE_INFINITY;
      if (this.around.nowUs() < this.timerDueUs) {
        if (this.timerDueUs < Number.POSITIVE_INFINITY) this.arm(this.timerDueUs);
        return;
      }
      this.timerWaits = true;
      if (!this.blocked) this.fire();
    });
  }
}
