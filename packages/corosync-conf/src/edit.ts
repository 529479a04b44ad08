import { invariant, QuorateError } from "@quorate/contracts";
import type { ConfDocument, ConfKeyValue, ConfSection } from "./document.ts";
import { keysOf, sectionsNamed } from "./document.ts";
import { indentationUnit, lineEndingOf, newKeyLine, sectionLines } from "./layout.ts";
import { parseDocument } from "./syntax.ts";
import { isWritableName, isWritableValue } from "./text-scan.ts";

/** One section on the way to a key: by name, by its index among those of that name, or by a key inside it. */
export type PathStep =
  | string
  | { readonly section: string; readonly index: number }
  | { readonly section: string; readonly key: string; readonly value: string };

/** The sections on the way, then the key. */
export type ConfPath = readonly [...PathStep[], string];

/** A stretch of the text and what takes its place. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Sets a key. Sections of one name are one, as in reading: the key is set wherever it stands. One that stands
 * nowhere is added to the last of them, and a section that is missing (and named plainly) is added too, in the
 * file's own indentation and line ending. Everything else stays byte for byte. Returns a new document.
 * Throws QuorateError CONFIG_INVALID when the value can't be written in this grammar or the path leads nowhere.
 */
export function setValue(document: ConfDocument, path: ConfPath, value: string): ConfDocument {
  checkWritable(path, value);
  const key = path.at(-1) as string;
  const steps = path.slice(0, -1);
  const sections = sectionsAt(document, steps);
  const entries = sections.flatMap(keysOf).filter((entry) => entry.key === key);
  if (entries.length > 0)
    return spliced(
      document,
      entries.map((entry) => replacement(entry, value)),
    );
  const section = sections.at(-1);
  if (section !== undefined) return spliced(document, [newKey(document, section, key, value)]);
  return spliced(document, [newSections(document, steps, key, value)]);
}

/** Sets `totem.config_version`. */
export function setConfigVersion(document: ConfDocument, configVersion: number): ConfDocument {
  if (!Number.isSafeInteger(configVersion) || configVersion < 0) {
    throw new QuorateError(
      "CONFIG_INVALID",
      `${configVersion} is no version`,
      "give a whole number, 0 or more",
    );
  }
  return setValue(document, ["totem", "config_version"], String(configVersion));
}

/**
 * Sets `automation.disarmed_until` (ISO 8601, UTC), or removes it with null. Removing what setting has added
 * gives back the very bytes from before.
 */
export function setDisarmedUntil(document: ConfDocument, disarmedUntil: string | null): ConfDocument {
  if (disarmedUntil !== null) return setValue(document, ["automation", "disarmed_until"], disarmedUntil);
  const splices: Splice[] = [];
  for (const section of sectionsNamed(document.root, "automation")) {
    const entries = keysOf(section).filter((entry) => entry.key === "disarmed_until");
    if (entries.length === 0) continue;
    const insideLength = section.insideEnd - section.insideStart;
    const removedLength = entries.reduce((sum, entry) => sum + entry.end - entry.start, 0);
    if (insideLength === removedLength) splices.push(sectionRemoval(document, section));
    else splices.push(...entries.map(({ start, end }) => ({ start, end, text: "" })));
  }
  return spliced(document, splices);
}

/** Applies the splices, which must not overlap, and indexes the new text. */
export function spliced(document: ConfDocument, splices: readonly Splice[]): ConfDocument {
  let text = document.text;
  for (const splice of splices.toSorted((a, b) => b.start - a.start)) {
    text = text.slice(0, splice.start) + splice.text + text.slice(splice.end);
  }
  if (text === document.text) return document;
  const parsed = parseDocument(text, document.fileName);
  invariant(parsed.ok, "an edit broke the syntax of a configuration");
  return parsed.document;
}

/** The whole section goes, and with the last section of a file without a final newline the newline before it. */
function sectionRemoval({ text }: ConfDocument, section: ConfSection): Splice {
  const hasEnding = text[section.end - 1] === "\n";
  let start = section.start;
  if (!hasEnding && text[start - 1] === "\n") start -= text[start - 2] === "\r" ? 2 : 1;
  return { start, end: section.end, text: "" };
}

function replacement(entry: ConfKeyValue, value: string): Splice {
  const text = entry.value === "" ? ` ${value}` : value;
  return { start: entry.valueStart, end: entry.valueEnd, text };
}

function newKey(document: ConfDocument, section: ConfSection, key: string, value: string): Splice {
  const last = keysOf(section).at(-1);
  const start = last?.end ?? (section === document.root ? document.text.length : section.insideStart);
  const line = newKeyLine(document, section, key, value);
  return { start, end: start, text: `${missingEnding(document, start)}${line}` };
}

/** What must come before a line that is added behind a line without an ending. */
function missingEnding({ text }: ConfDocument, offset: number): string {
  const isAtLineStart = offset === 0 || text[offset - 1] === "\n" || text.slice(0, offset) === "\uFEFF";
  return isAtLineStart ? "" : lineEndingOf(text);
}

/** The sections from the first missing one on, with the key in the innermost. */
function newSections(document: ConfDocument, steps: readonly PathStep[], key: string, value: string): Splice {
  let parent = document.root;
  let depth = 0;
  while (depth < steps.length) {
    const next = sectionsAt(document, steps.slice(0, depth + 1)).at(-1);
    if (next === undefined) break;
    parent = next;
    depth += 1;
  }
  const names = steps.slice(depth).map((step) => {
    if (typeof step === "string") return step;
    throw new QuorateError(
      "CONFIG_INVALID",
      `there is no ${describeStep(step)}`,
      "name a section that is in the file",
    );
  });
  return insertSection(document, parent, names, [[key, value]]);
}

/** A new section (or several, each in the one before) with keys, as the last thing inside `parent`. */
export function insertSection(
  document: ConfDocument,
  parent: ConfSection,
  names: readonly string[],
  keys: readonly (readonly [string, string])[],
): Splice {
  const isRoot = parent === document.root;
  const { text } = document;
  const ending = lineEndingOf(text);
  const outer = isRoot
    ? ""
    : `${text.slice(parent.start, parent.start + parent.column - 1)}${indentationUnit(document)}`;
  const lines = sectionLines(names, keys, outer, indentationUnit(document));
  const start = isRoot ? text.length : parent.insideEnd;
  const before = missingEnding(document, start);
  // A file without a final newline stays one.
  const after = before === "" ? ending : "";
  return { start, end: start, text: `${before}${lines.join(ending)}${after}` };
}

/** Every section that the steps lead to; sections of one plain name count as one. */
function sectionsAt(document: ConfDocument, steps: readonly PathStep[]): ConfSection[] {
  let sections: ConfSection[] = [document.root];
  for (const step of steps) {
    const name = typeof step === "string" ? step : step.section;
    const inside = sections.flatMap((section) => sectionsNamed(section, name));
    if (typeof step === "string") sections = inside;
    else if ("index" in step) sections = inside.slice(step.index, step.index + 1);
    else
      sections = inside.filter((section) =>
        keysOf(section).some((entry) => entry.key === step.key && entry.value === step.value),
      );
  }
  return sections;
}

function describeStep(step: Exclude<PathStep, string>): string {
  return "index" in step
    ? `section ${step.section} number ${step.index + 1}`
    : `section ${step.section} with ${step.key}: ${step.value}`;
}

function checkWritable(path: ConfPath, value: string): void {
  for (const step of path) {
    const name = typeof step === "string" ? step : step.section;
    if (!isWritableName(name)) {
      throw new QuorateError(
        "CONFIG_INVALID",
        `"${name}" cannot be a name in this grammar`,
        "use letters, digits, and . _ - / only",
      );
    }
  }
  if (isWritableValue(value)) return;
  throw new QuorateError(
    "CONFIG_INVALID",
    `${JSON.stringify(value)} cannot be a value in this grammar`,
    "give one line of text without {, not empty, without blanks around it",
  );
}
