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
import type { FilterAnswer, KernelFilter } from "./kernel-filter.ts";

export interface LeaseGateOptions {
  /** Length of a kernel tick; only for those who know theirs. Default 10 ms. */
  readonly tickUs?: number;
  /** For tests: runs between the calculation of the timeout and the second transaction, where a freeze hurts most. */
  beforeCommit?(): Promise<void> | void;
  /** Where permits are numbered from; for a simulator, whose runs must be repeatable. Default random. */
  readonly firstPermit?: number;
}

/**
 * The permit rule. A timeout is relative, so a command that a freeze has delayed must not be able to open the gate:
 * (1) a fresh permit that lives for M is added, and its acknowledgement awaited; (2) the clock is read after that, and
 * one transaction takes the permit away and opens for `lease end - now - M - two ticks`. If the permit has expired the
 * transaction fails as a whole, so lateness is bounded by M, which has been subtracted.
 */
export class LeaseGate implements Gate {
  readonly #context: HostContext;
  readonly #filter: KernelFilter;
  readonly #tickUs: number;
  readonly #beforeCommit: () => Promise<void> | void;
  #vips: readonly GateVip[] | undefined;
  /** Starts anywhere, so that a permit of a dead predecessor is not ours (and if it is, adding it fails). */
  #permitNumber: number;
  /** Raised by whatever voids a renewal under way. */
  #epoch = 0;
  #last: Promise<unknown> = Promise.resolve();
  #renewals = 0;
  #refusals = 0;
  #lateAcknowledgements = 0;

  constructor(context: HostContext, filter: KernelFilter, options: LeaseGateOptions = {}) {
    this.#context = context;
    this.#filter = filter;
    this.#tickUs = options.tickUs ?? KERNEL_TICK_US;
    this.#beforeCommit = options.beforeCommit ?? ((): void => {});
    this.#permitNumber = options.firstPermit ?? randomInt(1, 0x7fff_ffff);
  }

  load(vips: readonly GateVip[]): Promise<void> {
    this.#epoch += 1;
    return this.#inTurn(async () => {
      this.#vips = undefined;
      await this.#filter.load(vips);
      this.#vips = [...vips];
    });
  }

  renew(request: GateRenewRequest): Promise<GateRenewal> {
    const epoch = this.#epoch;
    return this.#inTurn(async () => {
      const renewal = await this.#renewInTurn(request, epoch);
      if (renewal.outcome === "open") this.#renewals += 1;
      else this.#refusals += 1;
      return renewal;
    });
  }

  shut(): Promise<GateShut> {
    this.#epoch += 1;
    return this.#inTurn(() => this.#shutInTurn());
  }

  inspect(): Promise<GateInspection> {
    return this.#inTurn(async () => {
      const reading = await this.#filter.read();
      const notLoaded = this.#vips === undefined ? ["the gate has not been loaded by this process"] : [];
      const differences = [...notLoaded, ...reading.differences];
      return {
        intact: differences.length === 0,
        differences,
        open: reading.open,
        holdsRawFrames: reading.holdsRawFrames,
      };
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
      this.#vips = undefined;
      await this.#filter.unload();
    });
  }

  async #renewInTurn(request: GateRenewRequest, epoch: number): Promise<GateRenewal> {
    const startedUs = this.#context.nowUs();
    if (this.#epoch !== epoch)
      return refused("overtaken", "the gate was shut or loaded before its turn came");
    if (this.#vips === undefined) return refused("not-loaded", "load() has not been carried out");
    const vips = this.#select(request.addresses);
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

    const committed = await this.#filter.commit(permitNumber, vips, timeoutMs);
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

  async #shutInTurn(): Promise<GateShut> {
    const answer = await this.#filter.shut().catch((error: unknown) => ({
      kind: "failed" as const,
      message: error instanceof Error ? error.message : String(error),
    }));
    try {
      // The kernel's own word counts, whatever the answer was: a lost answer may belong to a shut gate.
      const reading = await this.#filter.read();
      const unguarded = reading.differences[0];
      if (unguarded !== undefined) return { outcome: "unconfirmed", message: unguarded };
      const open = reading.open[0];
      if (open === undefined) return { outcome: "confirmed" };
      const words = answer.kind === "done" ? "" : ` (${answer.message})`;
      return { outcome: "unconfirmed", message: `${open.address} is still open${words}` };
    } catch (error) {
      return { outcome: "unconfirmed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  #select(addresses: readonly string[]): readonly GateVip[] {
    const wanted = new Set(addresses);
    const vips = (this.#vips ?? []).filter((vip) => wanted.has(vip.address));
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

function refused(refusal: GateRefusal, message: string): GateRenewal {
  return { outcome: "refused", refusal, message };
}

function tooShort(request: GateRenewRequest, nowUs: number): GateRenewal {
  const leftUs = request.leaseEndUs - nowUs;
  return refused(
    "lease-too-short",
    `${leftUs} us of the lease are left, of which ${request.permitUs} are the permit's`,
  );
}
