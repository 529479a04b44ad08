import { KERNEL_TICK_US } from "@quorate/contracts";
import type { FilterAnswer, FilterReading, GateVip, KernelFilter } from "@quorate/host";
import { CLUSTER_IP } from "./documents.ts";

/** What the kernel needs of its host and world. */
export type KernelSurroundings = {
  /** The host's own clock: kernel timeouts run by it. */
  localUs(): number;
  /** How late an element is noticed to be over: up to a tick. */
  tickUs(): number;
  /** Something that decides who answers for the address has changed. */
  changed(): void;
};

const SECOND_US = 1_000_000;

/**
 * One host's kernel as far as the address is concerned: the tables with their timeouts, the address, the carrier,
 * and the managed service's process. It runs on whatever our processes do; a boot makes a new one.
 */
export class Kernel {
  carrier = true;
  service: "stopped" | "running" | "failed" = "stopped";
  serviceStartedLocalUs = 0;
  /** Since when it answers without a filter because somebody flushed it; null while guarded or without address. */
  private held: readonly string[] | null = null;
  private flushed = false;
  private readonly permits = new Map<number, number>();
  private leaseUntilUs = Number.NEGATIVE_INFINITY;
  private addressUntilUs = Number.NEGATIVE_INFINITY;
  private readonly around: KernelSurroundings;

  constructor(around: KernelSurroundings) {
    this.around = around;
  }

  /** Whether frames from and to the address pass: without tables everything does. */
  get passes(): boolean {
    return this.held === null || this.remainingUs > 0;
  }

  get guarded(): boolean {
    return this.held !== null;
  }

  /** The tables are away because somebody flushed them, not because they were never loaded. */
  get wasFlushed(): boolean {
    return this.flushed;
  }

  get hasAddress(): boolean {
    return this.around.localUs() < this.addressUntilUs;
  }

  get answers(): boolean {
    return this.carrier && this.hasAddress && this.passes;
  }

  get remainingUs(): number {
    return Math.max(0, this.leaseUntilUs - this.around.localUs());
  }

  get addressValidSeconds(): number | null {
    return this.hasAddress ? Math.ceil((this.addressUntilUs - this.around.localUs()) / SECOND_US) : null;
  }

  putAddress(validSeconds: number): boolean {
    const isNew = !this.hasAddress;
    // Whole seconds, cleaned up up to a second late.
    this.addressUntilUs = this.around.localUs() + (validSeconds + 1) * SECOND_US;
    this.around.changed();
    return isNew;
  }

  removeAddress(): boolean {
    const was = this.hasAddress;
    this.addressUntilUs = Number.NEGATIVE_INFINITY;
    return was;
  }

  load(vips: readonly GateVip[]): void {
    const addresses = vips.map((vip) => vip.address);
    if (this.held === null || this.held.join() !== addresses.join())
      this.leaseUntilUs = Number.NEGATIVE_INFINITY;
    this.held = addresses;
    this.flushed = false;
  }

  flushRuleset(): void {
    this.flushed ||= this.held !== null;
    this.held = null;
    this.permits.clear();
    this.leaseUntilUs = Number.NEGATIVE_INFINITY;
    this.around.changed();
  }

  permit(number: number, timeoutMs: number): FilterAnswer {
    if (this.held === null) return NO_ENTRY;
    if (this.permitLives(number)) return { kind: "failed", message: "File exists" };
    this.permits.set(number, this.untilUs(timeoutMs));
    return { kind: "done" };
  }

  commit(number: number, vips: readonly GateVip[], timeoutMs: number): FilterAnswer {
    if (this.held === null || !this.permitLives(number)) return NO_ENTRY;
    this.permits.delete(number);
    this.leaseUntilUs = vips.some((vip) => vip.address === CLUSTER_IP.address)
      ? this.untilUs(timeoutMs)
      : Number.NEGATIVE_INFINITY;
    this.around.changed();
    return { kind: "done" };
  }

  shut(): FilterAnswer {
    if (this.held === null) return NO_ENTRY;
    this.leaseUntilUs = Number.NEGATIVE_INFINITY;
    this.permits.clear();
    return { kind: "done" };
  }

  read(vips: readonly GateVip[]): FilterReading {
    const differences: string[] = [];
    const wanted = vips.map((vip) => vip.address).join();
    if (this.held === null) differences.push("table ip quorate is missing");
    else if (this.held.join() !== wanted) differences.push("table ip quorate does not hold the addresses");
    const open = this.remainingUs > 0 ? [{ address: CLUSTER_IP.address, remainingUs: this.remainingUs }] : [];
    return { differences, open, holdsRawFrames: this.held !== null };
  }

  private permitLives(number: number): boolean {
    return (this.permits.get(number) ?? Number.NEGATIVE_INFINITY) > this.around.localUs();
  }

  /** Jiffies: an element lives for its time, and up to a tick longer. */
  private untilUs(timeoutMs: number): number {
    return this.around.localUs() + timeoutMs * 1000 + Math.min(this.around.tickUs(), KERNEL_TICK_US);
  }
}

const NO_ENTRY: FilterAnswer = { kind: "no-entry", message: "No such file or directory" };

/** How commands reach a kernel and answers come back; each of them may take its time. */
export type CommandLine = {
  /** Carried out later, also when whoever gave the command is dead by then; the answer is for the living only. */
  give<Answer>(name: string, carryOut: () => Answer, answered: (answer: Answer) => void): void;
};

/** The transactions of the real gate on a simulated kernel. One per life of an actuator. */
export class SimulatedFilter implements KernelFilter {
  readonly toolStarts = 1;
  private vips: readonly GateVip[] = [];
  private readonly kernel: Kernel;
  private readonly line: CommandLine;

  constructor(kernel: Kernel, line: CommandLine) {
    this.kernel = kernel;
    this.line = line;
  }

  load(vips: readonly GateVip[]): Promise<void> {
    return this.ask("gate-load", () => {
      this.vips = vips;
      this.kernel.load(vips);
    });
  }

  permit(number: number, timeoutMs: number): Promise<FilterAnswer> {
    return this.ask("gate-permit", () => this.kernel.permit(number, timeoutMs));
  }

  commit(number: number, vips: readonly GateVip[], timeoutMs: number): Promise<FilterAnswer> {
    return this.ask("gate-commit", () => this.kernel.commit(number, vips, timeoutMs));
  }

  shut(): Promise<FilterAnswer> {
    return this.ask("gate-shut", () => this.kernel.shut());
  }

  read(): Promise<FilterReading> {
    return this.ask("gate-read", () => this.kernel.read(this.vips));
  }

  unload(): Promise<void> {
    return this.ask("gate-unload", () => this.kernel.flushRuleset());
  }

  async close(): Promise<void> {}

  private ask<Answer>(name: string, carryOut: () => Answer): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.line.give(name, carryOut, resolve);
    return promise;
  }
}
