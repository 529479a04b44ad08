import {
  type ConfigMessage,
  type GrantMessage,
  type QuorumMessage,
  type ReportMessage,
} from "@quorate/contracts";
import {
  createFailoverState,
  type FailoverConfig,
  type FailoverInput,
  type FailoverState,
  failoverConfigOf,
  isTakenDown,
  type Step,
  type StepOutcome,
  step,
} from "@quorate/core-failover";
import { LeaseGate } from "@quorate/host";
import { configOf } from "../documents.ts";
import type { Host } from "../host.ts";
import { SimulatedFilter } from "../kernel.ts";
import { Process } from "../process.ts";
import { VmActor } from "../vm-actor.ts";
import { carryOut } from "./actuator-steps.ts";

const LEAST_WAIT_US = 1000;
const TIMER_LIMIT_US = 60_000_000;
const TIMER_LATE_US = 800;
const PAUSE_CHECK_US = 20_000;

/** services/failover-actuator without bus and drivers: what its loop does around the core, on a simulated kernel. */
export class ActuatorProcess extends Process {
  state: FailoverState | null = null;
  /** The real gate, on the simulated kernel. A new one per life. */
  gate: LeaseGate | null = null;
  readonly host: Host;
  /** Null in a world without machines. */
  private actor: VmActor | null = null;
  private configText = "";
  private published = "";
  private nextReportLocalUs = 0;
  private jumpCheckedLocalUs = Number.NEGATIVE_INFINITY;
  private jumpsSeenUs = 0;

  constructor(host: Host) {
    super("actuator", host.surroundings("actuator"));
    this.host = host;
  }

  protected onStart(): void {
    const { host } = this;
    this.configText = host.disk.document.text;
    this.published = "";
    this.nextReportLocalUs = 0;
    this.jumpCheckedLocalUs = Number.NEGATIVE_INFINITY;
    this.jumpsSeenUs = host.suspendedForUs;
    host.vm.forgetNames();
    const { life } = this;
    this.gate = new LeaseGate(
      { nowUs: () => host.localUs() },
      new SimulatedFilter(host.kernel, {
        give: (name, act, answered) => this.give(life, name, act, answered),
      }),
      { firstPermit: host.random("actuator").between(1, 2 ** 30) },
    );
    const config = this.read(this.configText);
    this.state = createFailoverState(config, host.localUs(), host.run.closed);
    host.bus.join(this.name);
    this.turn({ kind: "changed", what: "everything" });
    if (host.vmKernel === null) return;
    this.actor = new VmActor(this, host.vmKernel);
    this.actor.start();
    if (host.storageGone) this.storageChanged();
  }

  protected override onEnd(): void {
    this.state = null;
    this.gate = null;
    this.actor = null;
    this.host.watching = false;
    this.host.bus.leave(this.name);
  }

  protected onTimer(): void {
    this.input({ kind: "tick" });
  }

  grant(grant: GrantMessage): void {
    this.deliver(() => {
      this.host.vm.onGrant(grant);
      this.actor?.onGrant(grant);
      this.input({ kind: "grant", grant });
    });
  }

  configure({ text }: ConfigMessage): void {
    this.deliver(() => {
      if (text === this.configText) return;
      this.configText = text;
      this.input({ kind: "config", config: this.read(text) });
      this.actor?.configure();
    });
  }

  /** The evaluator's whole judgement. On the bus as everything else, but drawn apart: worlds without machines stay the same. */
  judged(message: QuorumMessage): void {
    const { host } = this;
    if (host.vmKernel === null || !host.bus.isConnected("evaluator")) return;
    host.world.at(host.nowUs() + host.random("machines").between(100, 900), () => {
      if (host.bus.isConnected(this.name)) this.deliver(() => this.actor?.onQuorum(message));
    });
  }

  /** For what belongs to this life of the process. */
  machines(life: number, act: (actor: VmActor) => void): void {
    if (this.life === life) this.machinesMessage(act);
  }

  /** Another host says something. */
  machinesMessage(act: (actor: VmActor) => void): void {
    this.deliver(() => {
      if (this.actor !== null) act(this.actor);
    });
  }

  /** The hypervisor tells that something about a copy is different. */
  machinesChanged(): void {
    this.machinesMessage((actor) => actor.onHost({ kind: "changed" }));
  }

  storageChanged(): void {
    const gone = this.host.storageGone ? ["san"] : [];
    this.machinesMessage((actor) => actor.onHost({ kind: "storage", gone }));
  }

  moveMachine(vm: string, to: number): void {
    this.machinesMessage((actor) => actor.onMaster({ kind: "move", vm, to }));
  }

  cleanChanged(): void {
    this.published = "";
    this.input({ kind: "tick" });
  }

  /** Clean is who holds neither a mastership nor machines that are not his. */
  private withMachines(report: ReportMessage): ReportMessage {
    const { actor } = this;
    if (actor === null) return report;
    const isClean = actor.clean === report.cleanUnderTerm;
    const told = actor.strays.length === 0 ? report : { ...report, strays: [...actor.strays] };
    return isClean ? told : { ...told, cleanUnderTerm: null };
  }

  private read(text: string): FailoverConfig {
    const config = configOf(text);
    return failoverConfigOf(config, this.host.id, this.host.isDisarmed(config.disarmedUntil ?? null));
  }

  /** The kernel or the link tells something. */
  told(input: FailoverInput): void {
    this.deliver(() => this.input(input));
  }

  /** Says its report again, on a bus that has just come back. */
  repeatReport(): void {
    this.deliver(() => {
      this.published = "";
      this.input({ kind: "tick" });
    });
  }

  /** Asked to end in good order. */
  takeDown(): void {
    this.deliver(() => this.input({ kind: "stop" }));
  }

  get isTakenDown(): boolean {
    return this.state !== null && isTakenDown(this.state, this.host.localUs());
  }

  /** Gives a command to the kernel. It is carried out whatever becomes of this process meanwhile. */
  give<Answer>(life: number, name: string, act: () => Answer, answered: (answer: Answer) => void): void {
    const { host } = this;
    const { boot } = host;
    const command = () => {
      host.world.at(host.nowUs() + host.commandUs(), () => {
        if (host.boot !== boot || !host.up) return;
        const answer = act();
        host.world.at(host.nowUs() + host.random("actuator").between(100, 600), () => {
          if (this.life !== life) return;
          this.deliver(() => {
            answered(answer);
            // The gate goes on in a microtask, at this same instant.
            host.world.drainMicrotasks();
          });
        });
      });
    };
    this.begun(life, name, command);
  }

  /** Begins something, from a step or from a microtask: a stopped process does it later, a dead one never. */
  begun(life: number, name: string, run: () => void): void {
    if (this.life === life) this.perform([{ name, run }]);
  }

  private input(input: FailoverInput): void {
    const nowUs = this.host.localUs();
    if (nowUs - this.jumpCheckedLocalUs >= PAUSE_CHECK_US) {
      this.jumpCheckedLocalUs = nowUs;
      const jumpUs = this.host.suspendedForUs - this.jumpsSeenUs;
      this.jumpsSeenUs = this.host.suspendedForUs;
      if (jumpUs > 0) this.turn({ kind: "clock-jumped", jumpUs });
    }
    this.turn(input);
  }

  private turn(input: FailoverInput): void {
    if (this.state === null) return;
    const nowUs = this.host.localUs();
    const result = step(this.state, input, nowUs);
    this.state = result.state;
    for (const each of result.steps) this.begin(each.id, each.step);
    const report = this.withMachines(result.report);
    if (report.able.code !== "STARTING") {
      const { tokenUs } = result.state.config;
      const text =
        result.quiet && this.published !== "" ? this.published : JSON.stringify({ ...report, stampUs: 0 });
      if (text !== this.published || nowUs >= this.nextReportLocalUs - tokenUs / 6) {
        this.published = text;
        this.nextReportLocalUs = nowUs + Math.round((tokenUs * 2) / 5);
        this.perform([
          {
            name: "report",
            run: () => {
              this.host.world.checker.noteReport(this.host, report);
              this.host.bus.publish(this.name, "report", report);
            },
          },
        ]);
      }
    }
    for (const reason of result.reasons) this.host.tellReason(this.name, reason);
    for (const event of result.events) this.host.tellReason(this.name, event.reason);
    const wakeUs = Math.min(result.wakeAtUs, this.nextReportLocalUs);
    const delayUs = Math.min(Math.max(LEAST_WAIT_US, wakeUs - nowUs), TIMER_LIMIT_US);
    const lateUs = this.host.random("actuator").between(0, TIMER_LATE_US);
    this.wakeAt(this.host.nowUs() + this.host.clock.realDurationUs(delayUs) + lateUs);
  }

  /** Starts a step; its outcome is one more input, when this process is there to take it. */
  private begin(id: number, what: Step): void {
    const { life } = this;
    carryOut(this, what, (outcome: StepOutcome) => {
      if (this.life === life) this.deliver(() => this.input({ kind: "done", id, outcome }));
    });
  }
}
