import { invariant } from "@quorate/contracts";
import type { Place } from "./diagnostic.ts";
import type { ConfKeyValue, ConfSection } from "./document.ts";
import { keysOf } from "./document.ts";
import type { Findings } from "./findings.ts";
import { canonicalKey, referenceFor } from "./reference.ts";
import type { TypedValue } from "./value-types.ts";
import { checkValue } from "./value-types.ts";

/** A value as the file gives it: checked against the table, with its place. */
export interface TypedKey {
  readonly entry: ConfKeyValue;
  readonly value: TypedValue;
}

/** A value that the file gives, or the table's default. */
export interface Given<T> {
  readonly value: T;
  /** Where it stands; undefined for a default. */
  readonly place: Place | undefined;
}

/**
 * The keys of one section, or of several of one name read as one, checked against the reference's table.
 * A value that doesn't pass is reported and then reads as absent.
 */
export class TypedSection {
  readonly path: string;
  /** The first section's opening line; where there is no such section, the place given instead. */
  readonly place: Place;
  readonly #keys: ReadonlyMap<string, TypedKey>;
  /** Keys that were written, whether or not their value passed. */
  readonly #written: ReadonlySet<string>;

  constructor(path: string, sections: readonly ConfSection[], findings: Findings, fallback: Place) {
    this.path = path;
    this.place = sections[0] ?? fallback;
    const keys = new Map<string, TypedKey>();
    const written = new Map<string, ConfKeyValue>();
    for (const entry of sections.flatMap(keysOf)) {
      const row = referenceFor(path, entry.key);
      if (row === undefined) continue;
      const key = canonicalKey(row, entry.key);
      const earlier = written.get(key);
      if (earlier !== undefined && row.use !== "ignored") reportRepeated(earlier, entry, findings);
      written.set(key, entry);
      const checked = checkValue(row.type, entry.key, entry.value);
      if (checked.ok) keys.set(key, { entry, value: checked.value });
      else findings.error(valuePlace(entry), checked.what, checked.remedy);
    }
    this.#keys = keys;
    this.#written = new Set(written.keys());
  }

  /** What the file gives for the key, if it passed. */
  get(key: string): TypedKey | undefined {
    invariant(referenceFor(this.path, key) !== undefined, `${this.path}.${key} is not in the reference`);
    return this.#keys.get(key);
  }

  /** Whether the key is there, even with a value that was refused. */
  isWritten(key: string): boolean {
    return this.#written.has(key);
  }

  /** The keys that passed, in the order of the file. */
  keys(): string[] {
    return [...this.#keys.keys()];
  }

  /** The place of a key's value, or of the section where the key is absent. */
  placeOf(key: string): Place {
    const found = this.get(key);
    return found === undefined ? this.place : valuePlace(found.entry);
  }

  integer(key: string): Given<number> | undefined {
    const given = this.#given(key);
    return typeof given?.value === "number" ? { value: given.value, place: given.place } : undefined;
  }

  boolean(key: string): Given<boolean> | undefined {
    const given = this.#given(key);
    return typeof given?.value === "boolean" ? { value: given.value, place: given.place } : undefined;
  }

  string(key: string): Given<string> | undefined {
    const given = this.#given(key);
    return typeof given?.value === "string" ? { value: given.value, place: given.place } : undefined;
  }

  /** A key with a default in the table: never absent. */
  integerOrDefault(key: string): Given<number> {
    const given = this.integer(key);
    invariant(given !== undefined, `${this.path}.${key} has no default of that type`);
    return given;
  }

  booleanOrDefault(key: string): Given<boolean> {
    const given = this.boolean(key);
    invariant(given !== undefined, `${this.path}.${key} has no default of that type`);
    return given;
  }

  stringOrDefault(key: string): Given<string> {
    const given = this.string(key);
    invariant(given !== undefined, `${this.path}.${key} has no default of that type`);
    return given;
  }

  #given(key: string): Given<TypedValue> | undefined {
    const found = this.get(key);
    if (found !== undefined) return { value: found.value, place: valuePlace(found.entry) };
    const row = referenceFor(this.path, key);
    if (row?.default === undefined) return undefined;
    const checked = checkValue(row.type, key, row.default);
    invariant(checked.ok, `the default of ${this.path}.${key} does not pass its own type`);
    return { value: checked.value, place: undefined };
  }
}

export function valuePlace(entry: ConfKeyValue): Place {
  return { line: entry.line, column: entry.valueColumn };
}

function reportRepeated(earlier: ConfKeyValue, later: ConfKeyValue, findings: Findings): void {
  const first =
    earlier.key === later.key ? `line ${earlier.line}` : `line ${earlier.line}, as "${earlier.key}"`;
  if (earlier.value === later.value) {
    findings.warning(later, `"${later.key}" is there twice (first in ${first})`, "delete one of them");
    return;
  }
  const what = `"${later.key}" says "${later.value}", but ${first} says "${earlier.value}"`;
  findings.error(later, what, "delete the wrong one: which was meant is not ours to guess");
}
