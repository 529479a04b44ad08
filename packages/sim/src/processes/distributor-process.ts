import {
  assertNever,
  compareConfigRefs,
  type ConfigRef,
  type NodeId,
  type PeersMessage,
  type QuorumMessage,
  type Reason,
} from "@quorate/contracts";
import {
  createRegister,
  type ProposalResult,
  type RegisterEffect,
  type RegisterInput,
  type RegisterState,
  type StoredDocument,
  stepRegister,
} from "@quorate/core-config";
import { configOf, documentTools } from "../documents.ts";
import type { Host } from "../host.ts";
import { type Effect, Process } from "../process.ts";

const TICK_BUSY_US = 250_000;
const TICK_IDLE_US = 1_000_000;
const TIMER_LATE_US = 800;
const FETCH_TIMEOUT_US = 1_000_000;
const FORWARD_TIMEOUT_US = 6_500_000;

type InputWithoutTime<Input> = Input extends RegisterInput ? Omit<Input, "nowUs"> : never;
type Body = { base: ConfigRef; text: string; reason: Reason; forwarded: boolean };
type Got = { ref: ConfigRef; text: string; reason: Reason } | null;

/** services/config-distributor without bus and disk: what its loop does around the register. */
export class DistributorProcess extends Process {
  state: RegisterState | null = null;
  private readonly host: Host;
  private waiting = new Map<number, (result: ProposalResult) => void>();
  private nextProposal = 1;
  /** On its way to the disk. */
  private onItsWay: StoredDocument | null = null;

  constructor(host: Host) {
    super("distributor", host.surroundings("distributor"));
    this.host = host;
  }

  protected onStart(): void {
    const { document } = this.host.disk;
    this.state = createRegister(this.host.id, document, configOf(document.text));
    this.waiting = new Map();
    this.host.bus.join(this.name);
    this.onTimer();
  }

  protected override onEnd(): void {
    if (this.onItsWay !== null && this.host.disk.chance(0.5)) this.host.storeDocument(this.onItsWay);
    this.onItsWay = null;
    this.state = null;
    this.waiting = new Map();
    this.host.bus.leave(this.name);
  }

  protected onTimer(): void {
    this.input({ kind: "tick" });
  }

  /** Whether something waits for an answer, a disk or its time. */
  private get isBusy(): boolean {
    const { state } = this;
    if (state === null) return false;
    const { fetching, fetchFailures, persisting, persistAgain, proposals, inFlight } = state;
    const works = fetching !== null || persisting !== null || inFlight !== null || proposals.length > 0;
    return (
      works || fetchFailures > 0 || persistAgain !== null || state.stampNotBeforeUs > this.host.localUs()
    );
  }

  /** After every step, as the service does it. */
  private setTick(): void {
    const tickUs = this.isBusy ? TICK_BUSY_US : TICK_IDLE_US;
    const lateUs = this.host.random("distributor").between(0, TIMER_LATE_US);
    this.wakeAt(this.host.nowUs() + this.host.clock.realDurationUs(tickUs) + lateUs);
  }

  quorum(message: QuorumMessage): void {
    this.deliver(() => this.input({ kind: "quorum", message }));
  }

  peers(message: PeersMessage): void {
    this.deliver(() => this.input({ kind: "peers", message }));
  }

  /** Says again what is stored, on a bus that has just come back. */
  repeatAnnouncement(): void {
    this.deliver(() => {
      if (this.state !== null) this.perform([this.announcement(this.state.stored)]);
    });
  }

  /** Compare-and-swap, asked for here; `answer` may never come when this process dies. */
  propose(body: Body, answer: (result: ProposalResult) => void): void {
    this.deliver(() => {
      const id = this.nextProposal++;
      this.waiting.set(id, answer);
      this.input({ kind: "propose", id, ...body });
    });
  }

  /** Another node asks for the document. */
  get(term: number, ref: ConfigRef, answer: (got: Got) => void): void {
    this.deliver(() => {
      if (this.state === null) return;
      const { stored, quorum } = this.state;
      const refused = (quorum !== null && quorum.term < term) || compareConfigRefs(stored.ref, ref) < 0;
      answer(refused ? null : { ref: stored.ref, text: stored.text, reason: stored.reason });
    });
  }

  private input(input: InputWithoutTime<RegisterInput>): void {
    if (this.state === null) return;
    const { state, effects } = stepRegister(
      this.state,
      { ...input, nowUs: this.host.localUs() },
      documentTools,
    );
    this.state = state;
    if (effects.length > 0) this.perform(effects.map((effect) => this.effectOf(effect)));
    this.setTick();
  }

  private effectOf(effect: RegisterEffect): Effect {
    switch (effect.kind) {
      case "persist":
        return { name: "persist", run: () => this.persist(effect.document) };
      case "announce":
        return this.announcement(effect.document);
      case "fetch":
        return { name: "fetch", run: () => this.fetch(effect) };
      case "forward":
        return { name: "forward", run: () => this.forward(effect) };
      case "answer":
        return { name: "answer", run: () => this.answer(effect.id, effect.result) };
      case "event":
        return { name: "event", run: () => this.host.tellReason(this.name, effect.reason) };
      default:
        return assertNever(effect);
    }
  }

  private announcement({ ref, text, from }: StoredDocument): Effect {
    const { host } = this;
    return {
      name: "announce",
      run: () => {
        host.world.checker.noteAnnounced(host, ref);
        const stampUs = host.localUs();
        host.bus.publish(this.name, "stored", { stampUs, ref, from, text });
        host.bus.publish(this.name, "config", { stampUs, ref, text });
      },
    };
  }

  /** Written beside the loop, which goes on; what a crash interrupts may be on the disk or not. */
  private persist(document: StoredDocument): void {
    const { host, life } = this;
    const { ref } = document;
    this.onItsWay = document;
    host.world.at(host.nowUs() + host.disk.writeCostUs(), () => {
      if (this.life !== life) return;
      this.onItsWay = null;
      if (!host.disk.isFull) {
        host.storeDocument(document);
        this.deliver(() => this.input({ kind: "persisted", ref }));
        return;
      }
      const surelyAbsent = host.disk.chance(0.5);
      if (!surelyAbsent && host.disk.chance(0.5)) host.storeDocument(document);
      const reason = { code: "DISK_FULL", message: "No space is left." };
      this.deliver(() => this.input({ kind: "persist-failed", ref, surelyAbsent, reason }));
    });
  }

  private fetch({ attempt, from, term, ref }: Extract<RegisterEffect, { kind: "fetch" }>): void {
    const fail = (code: string) =>
      this.input({ kind: "fetch-failed", attempt, reason: { code, message: `fetch from ${from}: ${code}` } });
    this.request<Got>(
      from,
      FETCH_TIMEOUT_US,
      (target, answer) => target.get(term, ref, answer),
      (got) => (got === null ? fail("CONFIG_STALE") : this.input({ kind: "fetched", attempt, ...got })),
      fail,
    );
  }

  private forward({ id, to, proposal }: Extract<RegisterEffect, { kind: "forward" }>): void {
    const { base, text, reason } = proposal;
    this.request<ProposalResult>(
      to,
      FORWARD_TIMEOUT_US,
      (target, answer) => target.propose({ base, text, reason, forwarded: true }, answer),
      (result) => this.answer(id, result),
      () =>
        this.answer(id, {
          ok: false,
          code: "REQUEST_TIMEOUT",
          message: "The change may have been made, or not.",
          hint: "Look.",
        }),
    );
  }

  /** A request over the bus to another node: answered once, or given up. */
  private request<Answer>(
    to: NodeId,
    timeoutUs: number,
    ask: (target: DistributorProcess, answer: (value: Answer) => void) => void,
    take: (value: Answer) => void,
    giveUp: (code: string) => void,
  ): void {
    const { host, life } = this;
    let open = true;
    const close = (then: () => void) => {
      if (!open || this.life !== life) return;
      open = false;
      this.deliver(then);
    };
    host.world.at(host.nowUs() + host.clock.realDurationUs(timeoutUs), () =>
      close(() => giveUp("REQUEST_TIMEOUT")),
    );
    host.world.routes.carry(host.id, to, () => {
      const target = host.world.hosts.get(to)?.distributor;
      if (target === undefined) return;
      let answered = false;
      ask(target, (value) => {
        if (answered) return;
        answered = true;
        host.world.routes.carry(to, host.id, () => close(() => take(value)));
      });
    });
  }

  private answer(id: number, result: ProposalResult): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    waiting?.(result);
  }
}
