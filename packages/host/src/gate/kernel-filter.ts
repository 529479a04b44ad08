import type { GateVip } from "./gate.ts";

export type FilterAnswer =
  | { readonly kind: "done" }
  /** Something the transaction names is not there: the permit has expired, or the tables are gone. Nothing changed. */
  | { readonly kind: "no-entry"; readonly message: string }
  /** No answer: it may have been carried out, but will not be from now on. */
  | { readonly kind: "lost"; readonly message: string }
  /** Refused for another reason. Nothing changed. */
  | { readonly kind: "failed"; readonly message: string };

/**
 * The transactions a gate is made of; each is carried out wholly or not at all. The permit rule itself stands above, in
 * lease-gate.ts, and is the same code on the real kernel and on the fake, for the cluster addresses and for machines.
 */
export interface LeaseFilter<Held, Opening, Reading> {
  /** Makes the tables stand for what is held; adopts or replaces what is there; opens nothing. May throw. */
  load(held: Held): Promise<void>;
  /** Adds the permit; fails when one of that number lives. */
  permit(number: number, timeoutMs: number): Promise<FilterAnswer>;
  /** In one transaction: takes the permit away (none: all fails), shuts everything, opens these for that long. */
  commit(number: number, openings: readonly Opening[], timeoutMs: number): Promise<FilterAnswer>;
  /** Shuts these (without names everything) and voids every permit. */
  shut(names?: readonly string[]): Promise<FilterAnswer>;
  /** May throw. */
  read(): Promise<Reading>;
  unload(): Promise<void>;
  readonly toolStarts: number;
  close(): Promise<void>;
}

export interface FilterReading {
  readonly differences: readonly string[];
  readonly open: readonly { readonly address: string; readonly remainingUs: number }[];
  readonly holdsRawFrames: boolean;
}

/** What holds the cluster addresses: all of them are shut at once. */
export type KernelFilter = LeaseFilter<readonly GateVip[], GateVip, FilterReading>;
