import { randomInt } from "node:crypto";
import { KERNEL_TICK_US, QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import type {
  Gate,
  GateInspection,
  GateRefusal,
  GateRenewal,
  GateRenewRequest,
  GateShut,
  GateStats,
  GateVip,
} from "./gate.ts";
import type { FilterAnswer, FilterReading, KernelFilter, LeaseFilter } from "./kernel-filter.ts";

export interface LeaseGateOptions {
  /** Length of a kernel tick; only for those who know theirs. Default 10 ms. */
  readonly tickUs?: number;
  /** For tests: runs between the calculation of the timeout and the second transaction, where a freeze hurts most. */
  beforeCommit?(): Promise<void> | void;
  /** Where permits are numbered from; for a simulator, whose runs must be repeatable. Default random. */
  readonly firstPermit?: number;
}

export type LeaseRequest = Pick<GateRenewRequest, "leaseEndUs" | "permitUs">;

/**
 * The permit rule. A timeout is relative, so a command that a freeze has delayed must not be able to open the gate:
 * (1) a fresh permit that lives for M is added, and its acknowledgement awaited; (2) the clock is read after that, and
 * one transaction takes the permit away and opens for `lease end - now - M - two ticks`. If the permit has expired the
 * transaction fails as a whole, so lateness is bounded by M, which has been subtracted.
 */
export class LeaseRule<Held, Opening, Reading extends { readonly differences: readonly string[] }> {
  readonly #context: HostContext;
  readonly #filter: LeaseFilter<Held, Opening, Reading>;
  /** What is still open of these (of everything, without names); undefined: nothing. */
  readonly #stillOpen: (reading: Reading, names?: readonly string[]) => string | undefined;
  readonly #tickUs: number;
  readonly #beforeCommit: () => Promise<void> | void;
  #held: Held | undefined;
  /** Starts anywhere, so that a permit of a dead predecessor is not ours (and if it is, adding it fails). */
  #permitNumber: number;
  /** Raised by whatever voids a renewal under way. */
  #epoch = 0;
  #last: Promise<unknown> = Promise.resolve();
  #renewals = 0;
  #refusals = 0;
  #lateAcknowledgements = 0;

  constructor(
    context: HostContext,
    filter: LeaseFilter<Held, Opening, Reading>,
    stillOpen: (reading: Reading, names?: readonly string[]) => string | undefined,
    options: LeaseGateOptions,
  ) {
    this.#context = context;
    this.#filter = filter;
    this.#stillOpen = stillOpen;
    this.#tickUs = options.tickUs ?? KERNEL_TICK_US;
    this.#beforeCommit = options.beforeCommit ?? ((): void => {});
    this.#permitNumber = options.firstPermit ?? randomInt(1, 0x7fff_ffff);
  }

  load(held: Held): Promise<void> {
    this.#epoch += 1;
    return this.#inTurn(async () => {
      this.#held = undefined;
      await this.#filter.load(held);
      this.#held = held;
    });
  }

  /** `select` finds what is to be opened among what is held when the turn comes; what it throws is thrown. */
  renew(request: LeaseRequest, select: (held: Held) => readonly Opening[]): Promise<GateRenewal> {
    const epoch = this.#epoch;
    return this.#inTurn(async () => {
      const renewal = await this.#renewInTurn(request, select, epoch);
      if (renewal.outcome === "open") this.#renewals += 1;
      else this.#refusals += 1;
      return renewal;
    });
  }

  shut(names?: readonly string[]): Promise<GateShut> {
    this.#epoch += 1;
    return this.#inTurn(() => this.#shutInTurn(names));
  }

  inspect(): Promise<Reading & { readonly intact: boolean }> {
    return this.#inTurn(async () => {
      const reading = await this.#filter.read();
      const notLoaded = this.#held === undefined ? ["the gate has not been loaded by this process"] : [];
      const differences = [...notLoaded, ...reading.differences];
      return { ...reading, intact: differences.length === 0, differences };
    });
  }

  stats(): GateStats {
    return {
      renewals: this.#renewals,
      refusals: this.#refusals,
      lateAcknowledgements: this.#lateAcknowledgements,
      toolStarts: this.#filter.toolStarts,
    };
  }

  close(): Promise<void> {
    this.#epoch += 1;
    return this.#inTurn(() => this.#filter.close());
  }

  unload(): Promise<void> {
    this.#epoch += 1;
    return this.#inTurn(async () => {
      this.#held = undefined;
      await this.#filter.unload();
    });
  }

  async #renewInTurn(
    request: LeaseRequest,
    select: (held: Held) => readonly Opening[],
    epoch: number,
  ): Promise<GateRenewal> {
    const startedUs = this.#context.nowUs();
    if (this.#epoch !== epoch)
      return refused("overtaken", "the gate was shut or loaded before its turn came");
    if (this.#held === undefined) return refused("not-loaded", "load() has not been carried out");
    const openings = select(this.#held);
    const deductionUs = request.permitUs + 2 * this.#tickUs;
    if (request.leaseEndUs - startedUs - deductionUs < this.#tickUs) return tooShort(request, startedUs);

    this.#permitNumber = (this.#permitNumber % 0x7fff_ffff) + 1;
    const permitNumber = this.#permitNumber;
    const permitted = await this.#filter.permit(permitNumber, Math.floor(request.permitUs / 1_000));
    if (permitted.kind !== "done") return this.#refusedBy(permitted, false);
    // The clock is read after the acknowledgement, never before: the permit began to run no later than this.
    const permittedUs = this.#context.nowUs();
    const timeoutMs = Math.floor((request.leaseEndUs - permittedUs - deductionUs) / 1_000);
    if (timeoutMs * 1_000 < this.#tickUs) return tooShort(request, permittedUs);
    await this.#beforeCommit();
    if (this.#epoch !== epoch) return refused("overtaken", "the gate was shut or loaded in between");

    const committed = await this.#filter.commit(permitNumber, openings, timeoutMs);
    const acknowledgedUs = this.#context.nowUs();
    if (acknowledgedUs >= request.leaseEndUs) {
      this.#lateAcknowledgements += 1;
      await this.#shutInTurn();
      return refused(
        "lease-passed",
        `the lease ended ${acknowledgedUs - request.leaseEndUs} us before the answer`,
      );
    }
    if (committed.kind !== "done") {
      // Counted from the asking: the permit may have begun to run long before its acknowledgement was read.
      const permitOver = acknowledgedUs - startedUs >= request.permitUs - 2 * this.#tickUs;
      return this.#refusedBy(committed, permitOver);
    }
    return { outcome: "open", leaseEndUs: request.leaseEndUs, tookUs: acknowledgedUs - startedUs };
  }

  async #shutInTurn(names?: readonly string[]): Promise<GateShut> {
    const answer = await this.#filter.shut(names).catch((error: unknown) => ({
      kind: "failed" as const,
      message: error instanceof Error ? error.message : String(error),
    }));
    try {
      // The kernel's own word counts, whatever the answer was: a lost answer may belong to a shut gate.
      const reading = await this.#filter.read();
      const unguarded = reading.differences[0];
      if (unguarded !== undefined) return { outcome: "unconfirmed", message: unguarded };
      const open = this.#stillOpen(reading, names);
      if (open === undefined) return { outcome: "confirmed" };
      const words = answer.kind === "done" ? "" : ` (${answer.message})`;
      return { outcome: "unconfirmed", message: `${open} is still open${words}` };
    } catch (error) {
      return { outcome: "unconfirmed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  #refusedBy(answer: Exclude<FilterAnswer, { kind: "done" }>, permitOver: boolean): GateRenewal {
    switch (answer.kind) {
      case "no-entry":
        return permitOver ? refused("permit-expired", answer.message) : refused("not-loaded", answer.message);
      case "lost":
        return refused("timed-out", answer.message);
      case "failed":
        return refused("tool-failed", answer.message);
    }
  }

  /** One act at a time, in the order of the calls; an act that failed does not stop the next. */
  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(act);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** The gate of the cluster addresses. */
export class LeaseGate implements Gate {
  readonly #rule: LeaseRule<readonly GateVip[], GateVip, FilterReading>;

  constructor(context: HostContext, filter: KernelFilter, options: LeaseGateOptions = {}) {
    this.#rule = new LeaseRule(context, filter, (reading) => reading.open[0]?.address, options);
  }

  load(vips: readonly GateVip[]): Promise<void> {
    return this.#rule.load([...vips]);
  }

  renew(request: GateRenewRequest): Promise<GateRenewal> {
    return this.#rule.renew(request, (vips) => select(vips, request.addresses));
  }

  shut(): Promise<GateShut> {
    return this.#rule.shut();
  }

  inspect(): Promise<GateInspection> {
    return this.#rule.inspect();
  }

  stats(): GateStats {
    return this.#rule.stats();
  }

  close(): Promise<void> {
    return this.#rule.close();
  }

  unload(): Promise<void> {
    return this.#rule.unload();
  }
}

function select(held: readonly GateVip[], addresses: readonly string[]): readonly GateVip[] {
  const wanted = new Set(addresses);
  const vips = held.filter((vip) => wanted.has(vip.address));
  if (vips.length !== wanted.size) {
    const known = new Set(vips.map((vip) => vip.address));
    const unknown = [...wanted].filter((address) => !known.has(address)).sort();
    throw new QuorateError(
      "USAGE",
      `The gate holds no address ${unknown.join(", ")}.`,
      "load() the addresses before renewing them.",
    );
  }
  return vips;
}

function refused(refusal: GateRefusal, message: string): GateRenewal {
  return { outcome: "refused", refusal, message };
}

function tooShort(request: LeaseRequest, nowUs: number): GateRenewal {
  const leftUs = request.leaseEndUs - nowUs;
  return refused(
    "lease-too-short",
    `${leftUs} us of the lease are left, of which ${request.permitUs} are the permit's`,
  );
}
