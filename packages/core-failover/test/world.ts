import { type ClusterIp, EVENTS, type GrantMessage, type ReportMessage } from "@quorate/contracts";
import {
  compareGrantNames,
  createFailoverState,
  type FailoverConfig,
  type FailoverEvent,
  type FailoverInput,
  type FailoverState,
  type GrantName,
  type IssuedStep,
  type Step,
  type StepOutcome,
  step,
} from "../src/index.ts";

export const VIP: ClusterIp = { address: "10.0.0.100", family: 4, device: "vmbr0", prefixLength: 24 };
export const VIP6: ClusterIp = { address: "fd00::100", family: 6, device: "vmbr0", prefixLength: 64 };

export const CONFIG: FailoverConfig = {
  nodeId: 4,
  tokenUs: 1_000_000,
  clusterIps: [VIP, VIP6],
  ports: [1500],
  service: { startTimeoutUs: 10_000_000, stopTimeoutUs: 2_000_000 },
  disarmed: false,
};

/** As the publisher does: throws on an event whose form the registry does not know. */
export function mustBeRegistered({ name, old, new: now, reason }: FailoverEvent): void {
  const { code, message, facts } = reason;
  EVENTS.failover[name].data.parse({ old, new: now, reason: code, message, facts: facts ?? {} });
}

interface Operation {
  atUs: number;
  order: number;
  run(): void;
}

interface GateJob {
  id: number;
  step: Step;
  overtaken: boolean;
}

/** A host to act on: kernel, files, one service, and the way there and back taking its time. */
export class World {
  nowUs = 5_000_000;
  config: FailoverConfig = CONFIG;
  state: FailoverState;
  report: ReportMessage | null = null;
  wakeAtUs = 0;
  alive = true;
  /** Runs on over restarts. */
  closedOnDisk: GrantName | null = null;
  readonly disk = new Map<string, { term: number; node: number }>();
  tables = false;
  loaded: ClusterIp[] = [];
  readonly open = new Map<string, number>();
  readonly interface = new Map<string, number>();
  carrier: "up" | "down" | "missing" = "up";
  service: "stopped" | "running" | "failed" = "stopped";
  serviceAnswers = true;
  foreign = false;
  /** Kinds of step that fail while they stand here. */
  readonly broken = new Set<Step["kind"]>();
  /** Every grant that reached the core, to judge it by. */
  readonly delivered: GrantMessage[] = [];
  readonly log: Step[] = [];
  readonly violations: string[] = [];
  /** Delay of the nth operation, microseconds. */
  delayUs: () => number = () => 500;
  #queue: Operation[] = [];
  #order = 0;
  #gateJobs: GateJob[] = [];
  #gateBusy = false;
  #generation = 0;

  constructor() {
    this.state = createFailoverState(this.config, this.nowUs, null);
    this.input({ kind: "tick" });
  }

  /** SIGKILL and a new process: what was under way may or may not have happened. */
  restart(): void {
    this.#generation += 1;
    this.#gateJobs = [];
    this.#gateBusy = false;
    this.alive = true;
    this.state = createFailoverState(this.config, this.nowUs, this.closedOnDisk);
    this.input({ kind: "tick" });
  }

  input(input: FailoverInput): void {
    if (!this.alive) return;
    if (input.kind === "grant") this.delivered.push(input.grant);
    const result = step(this.state, input, this.nowUs);
    for (const event of result.events) mustBeRegistered(event);
    this.state = result.state;
    this.report = result.report;
    this.wakeAtUs = result.wakeAtUs;
    this.#checkReport(result.report);
    for (const issued of result.steps) this.#start(issued);
    this.check();
  }

  /** Lets the world go on until `untilUs`; the core is called when it asked to be. */
  runUntil(untilUs: number): void {
    for (let turns = 0; ; turns++) {
      if (turns > 20_000) throw new Error(`busy loop: ${JSON.stringify(this.log.slice(-6))}`);
      const next = this.#queue.reduce<Operation | undefined>(
        (best, each) =>
          best === undefined || each.atUs < best.atUs || (each.atUs === best.atUs && each.order < best.order)
            ? each
            : best,
        undefined,
      );
      const wakeAtUs = this.alive ? this.wakeAtUs : Number.MAX_SAFE_INTEGER;
      const atUs = Math.min(next?.atUs ?? Number.MAX_SAFE_INTEGER, wakeAtUs);
      if (atUs > untilUs) break;
      this.nowUs = Math.max(this.nowUs, atUs);
      if (next !== undefined && next.atUs <= wakeAtUs) {
        this.#queue = this.#queue.filter((each) => each !== next);
        next.run();
      } else {
        this.input({ kind: "tick" });
      }
      this.check();
    }
    this.nowUs = Math.max(this.nowUs, untilUs);
  }

  run(durationUs: number): void {
    this.runUntil(this.nowUs + durationUs);
  }

  /** Our processes stand still; the kernel does not. */
  freeze(durationUs: number): void {
    this.nowUs += durationUs;
    this.check();
  }

  isOpen(address: string): boolean {
    return (this.open.get(address) ?? 0) > this.nowUs;
  }

  answers(address: string): boolean {
    return this.interface.has(address) && (!this.tables || this.isOpen(address));
  }

  /** What must be true at every instant. */
  check(): void {
    for (const [address, untilUs] of this.interface)
      if (untilUs <= this.nowUs) this.interface.delete(address);
    const confirmed = this.report?.shutConfirmed ?? null;
    const newest = this.delivered.findLast((grant) => compareGrantNames(grant, confirmed) > 0);
    for (const [address] of this.open) {
      if (!this.isOpen(address) || !this.tables) continue;
      if (confirmed !== null && newest === undefined)
        this.violations.push(`open after confirmed close: ${address}`);
    }
  }

  #checkReport(report: ReportMessage): void {
    const { shutConfirmed } = report;
    if (shutConfirmed === null) return;
    if (compareGrantNames(this.closedOnDisk, shutConfirmed) < 0) {
      this.violations.push("confirmed before persisted");
    }
  }

  #later(run: () => void): void {
    this.#order += 1;
    this.#queue.push({ atUs: this.nowUs + this.delayUs(), order: this.#order, run });
  }

  #answer(id: number, outcome: StepOutcome): void {
    const generation = this.#generation;
    this.#later(() => {
      if (generation === this.#generation) this.input({ kind: "done", id, outcome });
    });
  }

  #start(issued: IssuedStep): void {
    const { id, step: what } = issued;
    this.log.push(what);
    this.#judgeOrder(what);
    switch (what.kind) {
      case "load-gate":
      case "renew-gate":
      case "shut-gate":
      case "inspect-gate":
        if (what.kind !== "renew-gate" && what.kind !== "inspect-gate") {
          for (const job of this.#gateJobs) job.overtaken = true;
        }
        this.#gateJobs.push({ id, step: what, overtaken: false });
        this.#nextGateJob();
        return;
      default: {
        const generation = this.#generation;
        // Files are written by the process itself, and end with it; what a tool was told may still happen.
        const own = ["persist-closed", "write-file", "remove-file"].includes(what.kind);
        this.#later(() => {
          if (own && generation !== this.#generation) return;
          const outcome = this.#carryOut(what);
          if (generation === this.#generation) this.#answer(id, outcome);
        });
      }
    }
  }

  /** The gate does one thing after the other; a renewal is two transactions with a clock reading between. */
  #nextGateJob(): void {
    const job = this.#gateJobs[0];
    if (job === undefined || this.#gateBusy) return;
    this.#gateBusy = true;
    const generation = this.#generation;
    const permittedUs = this.nowUs;
    this.#later(() => {
      const outcome = this.#carryOutGate(job, permittedUs);
      if (generation !== this.#generation) return;
      this.#gateBusy = false;
      this.#gateJobs.shift();
      this.#answer(job.id, outcome);
      this.#nextGateJob();
    });
  }

  #failure(kind: Step["kind"]): StepOutcome {
    return { kind: "failed", error: { code: "TOOL_FAILED", message: `${kind} is broken`, hint: "mend it" } };
  }

  #carryOutGate(job: GateJob, permittedUs: number): StepOutcome {
    const what = job.step;
    const brokenNow = this.broken.has(what.kind);
    switch (what.kind) {
      case "load-gate":
        if (brokenNow) return this.#failure(what.kind);
        if (!this.tables || JSON.stringify(this.loaded) !== JSON.stringify(what.ips)) this.open.clear();
        this.tables = true;
        this.loaded = what.ips;
        return { kind: "done" };
      case "renew-gate":
        if (job.overtaken) return { kind: "refused", refusal: "overtaken", message: "overtaken" };
        if (!this.tables) return { kind: "refused", refusal: "not-loaded", message: "no table" };
        if (brokenNow) return { kind: "refused", refusal: "tool-failed", message: "broken" };
        if (this.nowUs - permittedUs > what.permitUs) {
          return { kind: "refused", refusal: "permit-expired", message: "too late" };
        }
        this.open.clear();
        for (const address of what.addresses) this.#openUntil(address, what.leaseEndUs);
        if (this.nowUs >= what.leaseEndUs) {
          this.open.clear();
          return { kind: "refused", refusal: "lease-passed", message: "too late" };
        }
        return { kind: "renewed", leaseEndUs: what.leaseEndUs };
      case "shut-gate":
        if (brokenNow) return { kind: "shut-unconfirmed", message: "broken" };
        if (!this.tables) return { kind: "shut-unconfirmed", message: "no table" };
        this.open.clear();
        return { kind: "shut-confirmed" };
      default: {
        if (brokenNow) return this.#failure(what.kind);
        const open = [...this.open]
          .filter(([, untilUs]) => untilUs > this.nowUs)
          .map(([address, untilUs]) => ({ address, remainingUs: untilUs - this.nowUs }));
        return {
          kind: "gate-seen",
          intact: this.tables,
          differences: this.tables ? [] : ["no table"],
          open,
          holdsRawFrames: true,
        };
      }
    }
  }

  #openUntil(address: string, untilUs: number): void {
    this.open.set(address, untilUs);
    const lease = Math.max(
      0,
      ...this.delivered.map((grant) => (grant.role === "master" ? grant.masterLeaseEndUs : 0)),
    );
    if (untilUs > lease) this.violations.push(`opened for longer than any lease: ${address}`);
  }

  /** What must be true when a step is ordered. */
  #judgeOrder(what: Step): void {
    const newest = this.state.grant;
    switch (what.kind) {
      case "renew-gate": {
        const lease = newest !== null && newest.role === "master" && !newest.close;
        const valid =
          lease && newest.masterLeaseEndUs > this.nowUs && what.leaseEndUs <= newest.masterLeaseEndUs;
        if (!valid) this.violations.push("renewal without a valid lease");
        const closed = this.delivered.some(
          (grant) =>
            grant.close && newest !== null && compareGrantNames(grant, newest) >= 0 && this.#wasTaken(grant),
        );
        if (closed) this.violations.push("renewal after a close");
        return;
      }
      case "add-address":
        if (this.state.gate.tables !== "intact") this.violations.push("address added without tables");
        return;
      case "remove-address": {
        const excused =
          this.broken.has("shut-gate") ||
          // It failed before in this very release: then the address goes all the same.
          this.state.troubles["gate-shut/shut-gate"] !== undefined ||
          this.broken.has("load-gate") ||
          !this.tables ||
          this.foreign;
        // By what the core can know: it may go only when the gate is shut, unless it is to be put on anew.
        const holding = this.state.holding !== null;
        if (!excused && !holding && this.isOpen(what.ip.address))
          this.violations.push("address went before the gate");
        return;
      }
      default:
        return;
    }
  }

  #wasTaken(grant: GrantMessage): boolean {
    return this.state.closed !== null && compareGrantNames(grant, this.state.closed) <= 0;
  }

  /** The kernel tells every change, whoever made it. */
  #tellChange(address: string, change: "added" | "removed"): void {
    this.#later(() => this.input({ kind: "changed", what: "address", address, change }));
  }

  #carryOut(what: Step): StepOutcome {
    if (this.broken.has(what.kind)) return this.#failure(what.kind);
    const missing: StepOutcome = {
      kind: "failed",
      error: { code: "INTERFACE_MISSING", message: "no vmbr0", hint: "make it" },
    };
    switch (what.kind) {
      case "persist-closed":
        this.closedOnDisk = what.closed;
        return { kind: "done" };
      case "add-address":
      case "refresh-address":
        if (this.carrier === "missing") return missing;
        this.interface.set(what.ip.address, this.nowUs + what.validSeconds * 1_000_000);
        this.#tellChange(what.ip.address, "added");
        return { kind: "done" };
      case "remove-address":
        this.interface.delete(what.ip.address);
        this.#tellChange(what.ip.address, "removed");
        return { kind: "done" };
      case "inspect-address": {
        const untilUs = this.interface.get(what.ip.address);
        return {
          kind: "address-seen",
          present: untilUs !== undefined,
          devices: untilUs === undefined ? [] : [what.ip.device],
          validSeconds: untilUs === undefined ? null : Math.ceil((untilUs - this.nowUs) / 1_000_000),
        };
      }
      case "probe-address":
        if (this.carrier === "missing") return missing;
        return { kind: "probed", foreignMac: this.foreign ? "02:00:00:00:00:99" : null };
      case "announce":
      case "watch-claims":
      case "relocate":
        return { kind: "done" };
      case "inspect-carrier":
        return { kind: "carrier-seen", carrier: this.carrier };
      case "inspect-file": {
        const content = this.disk.get(what.file);
        return {
          kind: "file-seen",
          state: content === undefined ? { kind: "absent" } : { kind: "ours", ...content },
        };
      }
      case "write-file":
        this.disk.set(what.file, { term: what.term, node: what.node });
        return { kind: "done" };
      case "remove-file":
        this.disk.delete(what.file);
        return { kind: "done" };
      case "start-service":
        this.service = "running";
        return { kind: "done" };
      case "stop-service":
        this.service = "stopped";
        return { kind: "done" };
      case "inspect-service":
        return { kind: "service-seen", state: this.service, message: "" };
      case "check-readiness": {
        const ready =
          this.service === "running" &&
          this.serviceAnswers &&
          what.targets.every((t) => this.answers(t.address));
        return { kind: "readiness-seen", ready, message: ready ? "" : "refused" };
      }
      default:
        throw new Error(`a gate's step came here: ${what.kind}`);
    }
  }
}

export interface GrantOptions {
  term?: number;
  generation?: number;
  leaseUs?: number;
  role?: "master" | "slave" | "suspended";
  close?: boolean;
  disarmed?: boolean;
  ageUs?: number;
}

export function grantOf(nowUs: number, options: GrantOptions = {}): GrantMessage {
  const role = options.role ?? "master";
  const stampUs = nowUs - (options.ageUs ?? 0);
  const leaseEndUs = stampUs + (options.leaseUs ?? 900_000);
  return {
    stampUs,
    term: options.term ?? 1,
    generation: options.generation ?? 1,
    role,
    masterLeaseEndUs: role === "master" ? leaseEndUs : 0,
    nodeLeaseEndUs: role === "suspended" ? 0 : leaseEndUs,
    close: options.close ?? false,
    view: { term: options.term ?? 1, number: 1 },
    disarmed: options.disarmed ?? false,
    reason: { code: "TEST", message: "As the test says." },
  };
}

/** A grant every T/10, as the quorum-evaluator sends them. */
export function granting(world: World, durationUs: number, options: GrantOptions = {}): void {
  const endUs = world.nowUs + durationUs;
  while (world.nowUs < endUs) {
    world.input({ kind: "grant", grant: grantOf(world.nowUs, options) });
    world.runUntil(Math.min(world.nowUs + world.config.tokenUs / 10, endUs));
  }
}
