import type { ConfDocument, ConfKeyValue, ConfSection } from "./document.ts";
import { keysOf } from "./document.ts";

const DEFAULT_UNIT = "\t";
const DEFAULT_SEPARATOR = ": ";

/** The ending of the file's first line; a newline where there is none. */
export function lineEndingOf(text: string): string {
  const newline = text.indexOf("\n");
  return newline > 0 && text[newline - 1] === "\r" ? "\r\n" : "\n";
}

/** By how much the file indents what stands inside a section: taken from the first key in one. */
export function indentationUnit(document: ConfDocument): string {
  const pending: ConfSection[] = [document.root];
  for (let section = pending.shift(); section !== undefined; section = pending.shift()) {
    const [key] = keysOf(section);
    if (section !== document.root && key !== undefined) {
      const outer = indentationOf(document, section);
      const inner = indentationOf(document, key);
      return inner.startsWith(outer) ? inner.slice(outer.length) : DEFAULT_UNIT;
    }
    for (const entry of section.entries) if (entry.kind === "section") pending.push(entry);
  }
  return DEFAULT_UNIT;
}

/** The line for a key that is added to a section, in the manner of its neighbours there. */
export function newKeyLine(document: ConfDocument, section: ConfSection, key: string, value: string): string {
  const siblings = keysOf(section);
  const last = siblings.at(-1);
  const ending = lineEndingOf(document.text);
  const indentation =
    last === undefined ? defaultIndentation(document, section) : indentationOf(document, last);
  const separators = new Set(
    siblings.filter((sibling) => sibling.value !== "").map((sibling) => separatorOf(document, sibling)),
  );
  const [only = DEFAULT_SEPARATOR] = separators;
  // Values in a column have separators of different lengths; copying one of them would look like a mistake.
  const separator = separators.size === 1 ? only : DEFAULT_SEPARATOR;
  return `${indentation}${key}${separator}${value}${ending}`;
}

function defaultIndentation(document: ConfDocument, section: ConfSection): string {
  if (section === document.root) return "";
  return `${indentationOf(document, section)}${indentationUnit(document)}`;
}

function indentationOf({ text }: ConfDocument, entry: ConfKeyValue | ConfSection): string {
  return text.slice(entry.start, entry.start + entry.column - 1).replace("\uFEFF", "");
}

function separatorOf({ text }: ConfDocument, entry: ConfKeyValue): string {
  return text.slice(entry.keyEnd, entry.valueStart);
}

/** Lines, without endings, of sections each inside the one before, with keys in the innermost. */
export function sectionLines(
  names: readonly string[],
  keys: readonly (readonly [string, string])[],
  outerIndentation: string,
  unit: string,
): string[] {
  const indentation = (depth: number): string => outerIndentation + unit.repeat(depth);
  return [
    ...names.map((name, depth) => `${indentation(depth)}${name} {`),
    ...keys.map(([key, value]) => `${indentation(names.length)}${key}: ${value}`),
    ...names.map((_, depth) => `${indentation(names.length - 1 - depth)}}`),
  ];
}
