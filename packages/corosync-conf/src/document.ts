import type { Diagnostic, Place } from "./diagnostic.ts";

/**
 * A parsed file: its text, and an index of what stands where in it. The text is the truth; an edit splices
 * the text and indexes it anew, so whatever an edit doesn't touch stays byte for byte.
 */
export interface ConfDocument {
  readonly fileName: string;
  readonly text: string;
  readonly root: ConfSection;
}

export interface ConfSection extends Place {
  readonly kind: "section";
  /** Empty for the root. */
  readonly name: string;
  /** Keys and sections in the order of the file; comments and blank lines live in the text alone. */
  readonly entries: readonly ConfEntry[];
  /** Offsets into the text: the opening line, the inside, the closing line. */
  readonly start: number;
  readonly insideStart: number;
  readonly insideEnd: number;
  readonly end: number;
}

export interface ConfKeyValue extends Place {
  readonly kind: "key";
  readonly key: string;
  readonly value: string;
  readonly valueColumn: number;
  /** Offsets into the text: the whole line with its ending, the end of the key, the value. */
  readonly start: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly end: number;
}

export type ConfEntry = ConfKeyValue | ConfSection;

export type ParseResult =
  | { readonly ok: true; readonly document: ConfDocument; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** The sections of that name directly inside, in the order of the file. */
export function sectionsNamed(section: ConfSection, name: string): ConfSection[] {
  return section.entries.filter(
    (entry): entry is ConfSection => entry.kind === "section" && entry.name === name,
  );
}

/** The keys directly inside, in the order of the file. */
export function keysOf(section: ConfSection): ConfKeyValue[] {
  return section.entries.filter((entry): entry is ConfKeyValue => entry.kind === "key");
}

/** The last key of that name directly inside: corosync lets the last one win. */
export function lastKey(section: ConfSection, key: string): ConfKeyValue | undefined {
  return keysOf(section).findLast((entry) => entry.key === key);
}
