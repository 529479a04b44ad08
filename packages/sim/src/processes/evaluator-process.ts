import {
  type EvaluatorState,
  type HeardMessage,
  type PeersMessage,
  type QuorumMessage,
  type Reason,
  type ReportMessage,
  type StoredMessage,
} from "@quorate/contracts";
import {
  amnesicState,
  isSilenceShown,
  judgesBySilence,
  type QuorumEffect,
  type QuorumInput,
  type QuorumState,
  startQuorum,
  stepQuorum,
  timingOf,
} from "@quorate/core-quorum";
import { configOf, refOf } from "../documents.ts";
import { carry, readCarried } from "../carried-ballots.ts";
import type { Host } from "../host.ts";
import { type Effect, Process } from "../process.ts";

/** An input without the instants, which the loop adds when it takes it in. */
export type EvaluatorInput = QuorumInput extends infer Input
  ? Input extends { nowUs: number }
    ? Omit<Input, "nowUs" | "drainedUs">
    : never
  : never;

const LEAST_WAIT_US = 1000;
const DISK_RETRY_US = 100_000;
const BARRIER_EVERY_US = 10_000;
const BOOTTIME_CHECK_US = 50_000;
const TIMER_LATE_US = 800;

/** services/quorum-evaluator without bus and disk: what its loop does around the core. */
export class EvaluatorProcess extends Process {
  state: QuorumState | null = null;
  private readonly host: Host;
  private message: QuorumMessage | null = null;
  /** What the story was told last. */
  private told: Pick<QuorumMessage, "role" | "leader"> | null = null;
  private unsaved: EvaluatorState | null = null;
  private held: Reason[] = [];
  private drainedUs = 0;
  private asking = false;
  private askAgainLocalUs = 0;
  private staleUs = 0;
  private jumpCheckedLocalUs = Number.NEGATIVE_INFINITY;
  private jumpsSeenUs = 0;

  constructor(host: Host) {
    super("evaluator", host.surroundings("evaluator"));
    this.host = host;
  }

  protected onStart(): void {
    const { host } = this;
    const { text } = host.disk.document;
    const config = configOf(text);
    const durable = host.disk.evaluator ?? amnesicState(config, refOf(0, text), host.id);
    this.message = null;
    this.told = null;
    this.unsaved = null;
    this.held = [];
    this.drainedUs = 0;
    this.asking = false;
    this.askAgainLocalUs = 0;
    this.staleUs = timingOf(config.tokenMs).staleUs;
    this.jumpCheckedLocalUs = Number.NEGATIVE_INFINITY;
    this.jumpsSeenUs = host.suspendedForUs;
    const seed = host.random("evaluator").between(1, 2 ** 31);
    this.state = startQuorum(durable, { nowUs: host.localUs(), bootId: host.bootId, seed });
    host.bus.join(this.name);
    this.step({ kind: "tick" });
    this.disarm(config.disarmedUntil ?? null);
  }

  protected override onEnd(): void {
    this.state = null;
    this.message = null;
    this.host.bus.leave(this.name);
  }

  protected onTimer(): void {
    this.step({ kind: "tick" });
  }

  heard({ stampUs, ballot, receivedAtUs }: HeardMessage): void {
    this.deliver(() => {
      if (this.host.localUs() - stampUs <= this.staleUs)
        this.step({ kind: "heard", ballot: readCarried(ballot), receivedAtUs });
    });
  }

  peers({ stampUs, peers, patience }: PeersMessage): void {
    this.deliver(() => this.step({ kind: "peers", stampUs, peers, patience }));
  }

  report(report: ReportMessage): void {
    this.deliver(() => {
      if (this.host.localUs() - report.stampUs <= this.staleUs) this.step({ kind: "report", report });
    });
  }

  stored({ ref, from, text }: StoredMessage): void {
    this.deliver(() => {
      const config = configOf(text);
      this.staleUs = timingOf(config.tokenMs).staleUs;
      this.step({ kind: "stored", ref, from, config });
      this.disarm(config.disarmedUntil ?? null);
    });
  }

  /** An operator's request; `answer` gets why it was refused, or null. */
  order(input: EvaluatorInput, answer: (refusal: Reason | null) => void): void {
    this.deliver(() => answer(this.step(input)));
  }

  /** As the supervisor waits for it: the mastership is given away and the view goes on without this node. */
  get isDrained(): boolean {
    const { state, message } = this;
    return state?.wonTerm === null && (state.durable.out || message?.leader === null);
  }

  private step(input: EvaluatorInput): Reason | null {
    const nowUs = this.host.localUs();
    if (nowUs - this.jumpCheckedLocalUs >= BOOTTIME_CHECK_US) {
      this.jumpCheckedLocalUs = nowUs;
      const jumpUs = this.host.suspendedForUs - this.jumpsSeenUs;
      this.jumpsSeenUs = this.host.suspendedForUs;
      if (jumpUs > 0) this.decide({ kind: "suspended-host", jumpUs });
    }
    return this.decide(input);
  }

  private disarm(until: string | null): void {
    const isDisarmed = this.host.isDisarmed(until);
    if (this.state !== null && this.state.disarmed !== isDisarmed)
      this.step({ kind: "disarmed", disarmed: isDisarmed, until: isDisarmed ? until : null });
  }

  private decide(input: EvaluatorInput): Reason | null {
    if (this.state === null) return null;
    const nowUs = this.host.localUs();
    const result = stepQuorum(this.state, { ...input, nowUs, drainedUs: this.drainedUs });
    this.host.world.checker.noteLeaseEnd(this.host, result.state.wonTerm, result.state.masterLeaseEndUs);
    this.state = result.state;
    this.readAhead(nowUs);
    for (const reason of result.reasons) this.host.tellReason(this.name, reason);
    this.held.push(...result.reasons);
    this.carryOut(result.effects);
    this.schedule(nowUs, result.wakeAtUs);
    return result.refusal;
  }

  private readAhead(nowUs: number): void {
    const { state } = this;
    if (state === null || this.asking || !judgesBySilence(state, nowUs)) return;
    if (nowUs < this.askAgainLocalUs && !isSilenceShown(state, this.drainedUs, nowUs)) return;
    this.asking = true;
    this.host.bus.barrier(this.name, (reached) =>
      this.deliver(() => {
        this.asking = false;
        this.askAgainLocalUs = nowUs + BARRIER_EVERY_US;
        if (reached) this.readUntil(nowUs);
      }),
    );
  }

  private readUntil(untilUs: number): void {
    const beforeUs = this.drainedUs;
    this.drainedUs = Math.max(beforeUs, untilUs);
    if (this.state !== null && isSilenceShown(this.state, beforeUs, untilUs)) this.step({ kind: "tick" });
  }

  /** In the order persist, send, act; while the disk refuses, nothing leaves. */
  private carryOut(effects: readonly QuorumEffect[]): void {
    const { host } = this;
    const persist = effects.find((effect) => effect.kind === "persist");
    if (persist !== undefined) this.unsaved = persist.state;
    const list: Effect[] = [];
    let refused = false;
    if (this.unsaved !== null) {
      const saving = this.unsaved;
      list.push({
        name: "persist",
        costUs: () => host.disk.writeCostUs(),
        run: () => {
          refused = host.disk.isFull;
          if (refused) return;
          host.disk.evaluator = saving;
          host.world.checker.noteEvaluatorSaved(host, saving);
          if (this.unsaved === saving) this.unsaved = null;
        },
      });
    }
    const unlessRefused = (name: string, run: () => void): Effect => ({
      name,
      run: () => {
        if (!refused) run();
      },
    });
    let tells = false;
    for (const effect of effects) {
      switch (effect.kind) {
        case "persist":
          break;
        case "ballot": {
          const { ballot } = effect;
          list.push(
            unlessRefused("ballot", () => {
              host.world.checker.noteBallot(host, ballot);
              host.bus.publish(this.name, "ballot", { stampUs: host.localUs(), ballot: carry(ballot) });
            }),
          );
          break;
        }
        case "grant": {
          const { grant } = effect;
          list.push(
            unlessRefused("grant", () => {
              host.world.checker.noteGrant(host, grant);
              host.bus.publish(this.name, "grant", grant);
            }),
          );
          break;
        }
        case "quorum":
          tells = true;
          list.push(
            unlessRefused("judge", () => {
              this.message = effect.message;
            }),
          );
      }
    }
    if (tells || this.held.length > 0) list.push(unlessRefused("quorum", () => this.publish(tells)));
    if (list.length > 0) this.perform(list);
  }

  private publish(tells: boolean): void {
    const { message } = this;
    const news = this.held.length > 0;
    this.held = [];
    if (message === null || !(news || tells)) return;
    this.tellChange(message);
    this.host.world.checker.noteQuorum(this.host, message);
    this.host.bus.publish(this.name, "quorum", message);
    this.host.actuator.judged(message);
  }

  /** The events role_changed and master_changed, as the service's shell publishes them. */
  private tellChange({ role, leader, reason }: QuorumMessage): void {
    const { told, host } = this;
    this.told = { role, leader };
    if (told?.role !== role)
      host.world.tell(() => `node ${host.id} evaluator role-${role}: ${reason.message}`);
    if (told !== null && told.leader !== null && leader === null)
      host.world.tell(
        () => `node ${host.id} evaluator MASTER_UNKNOWN: No master is known. ${reason.message}`,
      );
  }

  /** Set anew with every step. */
  private schedule(nowUs: number, wakeAtUs: number): void {
    const waitUs = Math.max(LEAST_WAIT_US, Math.ceil((wakeAtUs - nowUs) / 1000) * 1000);
    const delayUs = this.unsaved === null ? waitUs : Math.min(waitUs, DISK_RETRY_US);
    const lateUs = this.host.random("evaluator").between(0, TIMER_LATE_US);
    this.wakeAt(this.host.nowUs() + this.host.clock.realDurationUs(delayUs) + lateUs);
  }
}
