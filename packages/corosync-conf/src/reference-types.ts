import type { ValueType } from "./value-types.ts";

/**
 * - `honoured`: Quorate does what the key says.
 * - `ignored`: kept in the file, without effect; a note says so and `formula` says why.
 * - `notHonoured`: asks for something we don't do; named by `check` and `status`, and where ignoring it would
 *   be dangerous the node refuses to start.
 */
export type KeyUse = "honoured" | "ignored" | "notHonoured";

/** One row of the reference: validation, `config show` and the manual all read it. */
export interface ReferenceKey {
  readonly section: string;
  /** As written; for a family of keys as shown in the manual, with `family` to match them. */
  readonly key: string;
  /** Other spellings of the same key. */
  readonly also?: readonly string[];
  readonly family?: RegExp;
  readonly type: ValueType;
  readonly use: KeyUse;
  /** The default as it would be written in a file. */
  readonly default?: string;
  /** For the manual, where the default is computed or there is none. */
  readonly defaultMeaning?: string;
  readonly meaning: string;
  /** How it enters what the cluster does. */
  readonly formula?: string;
  /** What more, less, or the other choice costs. */
  readonly tradeOff?: string;
}

export interface ReferenceSection {
  /** Dotted path; empty for the top level. */
  readonly section: string;
  readonly use: KeyUse;
  /** Each occurrence is a thing of its own; otherwise repeated sections are read as one, as corosync does. */
  readonly repeatable: boolean;
  readonly meaning: string;
  /** For one that isn't honoured: what ignoring it means. */
  readonly ignoring?: string;
}

export const PORT: ValueType = { kind: "integer", minimum: 1, maximum: 65_535 };
export const UNSIGNED_32: ValueType = { kind: "integer", minimum: 0, maximum: 0xffff_ffff };
export const MILLISECONDS: ValueType = {
  kind: "integer",
  minimum: 0,
  maximum: 0xffff_ffff,
  unit: "milliseconds",
};
export const BOOLEAN: ValueType = { kind: "boolean" };
export const TEXT: ValueType = { kind: "text" };
