import type { Diagnostic } from "./diagnostic.ts";
import { sortedByPlace } from "./diagnostic.ts";
import type { ConfDocument, ConfEntry, ConfSection, ParseResult } from "./document.ts";
import { findControl, indexWithin, isWritableName, skipBlanks, trimBlanks } from "./text-scan.ts";

const BYTE_ORDER_MARK = "\uFEFF";
const TEXT_LENGTH_MAX = 1024 * 1024;
const DEPTH_MAX = 16;
const FINDINGS_MAX = 50;
/** corosync reads into 512 bytes, of which the line's end and a NUL take two. */
const COROSYNC_LINE_BYTES_MAX = 510;

/**
 * Reads a file of corosync's grammar without losing a byte: line by line, a comment (`#` first), `name {`,
 * `}`, or `key: value`. Says nothing about meaning. All broken lines are reported, each at its place; the
 * first fifty of them. Never throws.
 */
export function parseDocument(text: string, fileName: string): ParseResult {
  const parser = new Parser(text, fileName);
  return parser.parse();
}

/** Byte for byte what was read, unless it was edited. */
export function printDocument(document: ConfDocument): string {
  return document.text;
}

/** A section whose closing brace hasn't been seen yet. */
interface OpenSection {
  readonly name: string;
  readonly entries: ConfEntry[];
  readonly start: number;
  readonly insideStart: number;
  readonly line: number;
  readonly column: number;
}

/** One line: `start` to `contentEnd` is what it says, up to `end` is its ending. */
interface Line {
  readonly number: number;
  readonly start: number;
  readonly contentEnd: number;
  readonly end: number;
}

class Parser {
  readonly #text: string;
  readonly #fileName: string;
  readonly #errors: Diagnostic[] = [];
  readonly #warnings: Diagnostic[] = [];
  readonly #open: OpenSection[] = [];

  constructor(text: string, fileName: string) {
    this.#text = text;
    this.#fileName = fileName;
  }

  parse(): ParseResult {
    if (this.#text.length > TEXT_LENGTH_MAX) {
      const what = `the file is larger than ${TEXT_LENGTH_MAX} characters`;
      this.#error(1, 1, what, "give a configuration file; the largest real ones have some ten thousand");
      return { ok: false, diagnostics: this.#errors };
    }
    let start = 0;
    if (this.#text.startsWith(BYTE_ORDER_MARK)) {
      start = 1;
      this.#warn(
        1,
        1,
        "the file starts with a byte order mark",
        "save it without one: corosync itself refuses it",
      );
    }
    this.#open.push({ name: "", entries: [], start: 0, insideStart: start, line: 1, column: 1 });
    for (let number = 1; start < this.#text.length && this.#errors.length < FINDINGS_MAX; number += 1) {
      const newline = this.#text.indexOf("\n", start);
      const end = newline === -1 ? this.#text.length : newline + 1;
      let contentEnd = newline === -1 ? end : newline;
      if (contentEnd > start && this.#text[contentEnd - 1] === "\r") contentEnd -= 1;
      this.#line({ number, start, contentEnd, end });
      start = end;
    }
    return this.#result();
  }

  #result(): ParseResult {
    for (const section of this.#open.slice(1)) {
      if (this.#errors.length >= FINDINGS_MAX) break;
      this.#error(
        section.line,
        section.column,
        `the section "${section.name}" is never closed`,
        "add a line with } after its last line",
      );
    }
    if (this.#errors.length > 0) return { ok: false, diagnostics: sortedByPlace(this.#errors) };
    const root = this.#open[0] as OpenSection;
    const end = this.#text.length;
    const document: ConfDocument = {
      fileName: this.#fileName,
      text: this.#text,
      root: { kind: "section", ...root, insideEnd: end, end },
    };
    return { ok: true, document, warnings: this.#warnings };
  }

  #line(line: Line): void {
    const text = this.#text;
    const first = skipBlanks(text, line.start, line.contentEnd);
    const last = trimBlanks(text, first, line.contentEnd);
    this.#checkLength(line);
    const nul = text.slice(line.start, line.contentEnd).indexOf("\0");
    if (nul !== -1) {
      this.#error(
        line.number,
        nul + 1,
        "the line contains a NUL character",
        "delete it: this is either no text file or a damaged one",
      );
      return;
    }
    if (first === last || text[first] === "#") return;
    const column = first - line.start + 1;
    const control = findControl(text, first, last);
    if (control !== -1) {
      const code = text.charCodeAt(control).toString(16).toUpperCase().padStart(4, "0");
      this.#error(
        line.number,
        control - line.start + 1,
        `the line contains the control character U+${code}`,
        "delete it; between words stand blanks or tabs",
      );
      return;
    }
    const brace = indexWithin(text, "{", first, last);
    const colon = indexWithin(text, ":", first, last);
    const content = text.slice(first, last);
    if (brace !== -1) this.#opening(line, first, last, brace, column);
    else if (colon !== -1) this.#keyValue(line, first, last, colon, column);
    else if (content.includes("}")) this.#closing(line, content, column);
    else this.#unknown(line, content, column);
  }

  #opening(line: Line, first: number, last: number, brace: number, column: number): void {
    const text = this.#text;
    let nameEnd = trimBlanks(text, first, brace);
    const braceColumn = brace - line.start + 1;
    if (nameEnd > first && text[nameEnd - 1] === ":") {
      nameEnd = trimBlanks(text, first, nameEnd - 1);
      this.#warn(line.number, column, "a section's name needs no colon", "delete the colon before the {");
    }
    const name = text.slice(first, nameEnd);
    const rest = text.slice(brace + 1, last).trimStart();
    if (name.includes(":")) {
      const what = "a line with { starts a section, so a value cannot contain {";
      this.#error(
        line.number,
        braceColumn,
        what,
        "write the value without {, for instance by way of a script that contains it",
      );
      return;
    }
    if (rest.startsWith("#")) {
      this.#error(
        line.number,
        braceColumn,
        "a comment stands behind the {",
        "put the comment on a line of its own",
      );
    } else if (rest !== "") {
      this.#error(
        line.number,
        braceColumn,
        "something stands behind the {",
        "put every key and every } on a line of its own",
      );
      if (rest.endsWith("}")) return;
    }
    if (name === "") {
      this.#error(
        line.number,
        braceColumn,
        "the { has no section name before it",
        "write the name and the { on one line, as in: totem {",
      );
    } else this.#checkName(line.number, column, name, "section name");
    if (this.#open.length > DEPTH_MAX) {
      this.#error(
        line.number,
        column,
        `sections are nested deeper than ${DEPTH_MAX}`,
        "close the sections above with }",
      );
    }
    this.#open.push({
      name,
      entries: [],
      start: line.start,
      insideStart: line.end,
      line: line.number,
      column,
    });
  }

  #keyValue(line: Line, first: number, last: number, colon: number, column: number): void {
    const text = this.#text;
    const keyEnd = trimBlanks(text, first, colon);
    const key = text.slice(first, keyEnd);
    if (key === "") {
      this.#error(line.number, column, "the colon has no key before it", "write key: value");
      return;
    }
    if (!this.#checkName(line.number, column, key, "key")) return;
    const valueStart = skipBlanks(text, colon + 1, last);
    const value = text.slice(valueStart, last);
    const comment = /(?:^|[ \t])#/.exec(value);
    if (comment !== null) {
      const at = valueStart + comment.index + comment[0].length - 1;
      const what = `the # and what follows are part of the value of "${key}"`;
      this.#warn(
        line.number,
        at - line.start + 1,
        what,
        "put a comment on a line of its own: corosync knows none at the end of a line",
      );
    }
    this.#top().entries.push({
      kind: "key",
      key,
      value,
      line: line.number,
      column,
      valueColumn: valueStart - line.start + 1,
      start: line.start,
      keyEnd,
      valueStart,
      valueEnd: last,
      end: line.end,
    });
  }

  #closing(line: Line, content: string, column: number): void {
    if (content !== "}") {
      const remedy =
        content.startsWith("}") && content.slice(1).trimStart().startsWith("#")
          ? "put the comment on a line of its own"
          : "put the } on a line of its own";
      this.#error(line.number, column, "something else stands on the line of the }", remedy);
    }
    if (this.#open.length === 1) {
      this.#error(
        line.number,
        column,
        "this } closes nothing",
        "delete it, or add the missing line with { above",
      );
      return;
    }
    const {
      name,
      entries,
      start,
      insideStart,
      line: openLine,
      column: openColumn,
    } = this.#open.pop() as OpenSection;
    const section: ConfSection = {
      kind: "section",
      name,
      entries,
      line: openLine,
      column: openColumn,
      start,
      insideStart,
      insideEnd: line.start,
      end: line.end,
    };
    this.#top().entries.push(section);
  }

  #unknown(line: Line, content: string, column: number): void {
    const word = shortened(content);
    const equals = content.indexOf("=");
    if (equals > 0) {
      const example = shortened(`${content.slice(0, equals).trim()}: ${content.slice(equals + 1).trim()}`);
      this.#error(
        line.number,
        column,
        `"${word}" is neither a section nor a key`,
        `write a colon instead of =, as in: ${example}`,
      );
      return;
    }
    const [key, ...values] = content.split(/[ \t]+/);
    const remedy =
      values.length > 0
        ? `write a colon behind the key, as in: ${shortened(`${key}: ${values.join(" ")}`)}`
        : `write ${word}: VALUE for a key, or ${word} { for a section, with the { on the same line`;
    this.#error(line.number, column, `"${word}" is neither a section nor a key`, remedy);
  }

  #checkName(line: number, column: number, name: string, kind: string): boolean {
    if (isWritableName(name)) return true;
    const bad = [...name].find((character) => !isWritableName(character)) ?? "";
    const code = (bad.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    const shown = bad === " " || bad === "\t" ? "a blank" : `"${bad}" (U+${code})`;
    const what = `the ${kind} "${shortened(name)}" contains ${shown}`;
    this.#error(
      line,
      column + name.indexOf(bad),
      what,
      "use letters, digits, and . _ - / only, as corosync does",
    );
    return false;
  }

  #checkLength(line: Line): void {
    const characters = line.contentEnd - line.start;
    if (characters * 3 <= COROSYNC_LINE_BYTES_MAX) return;
    let byteCount = characters;
    for (let index = line.start; index < line.contentEnd; index += 1) {
      const code = this.#text.charCodeAt(index);
      if (code > 0x7f) byteCount += code > 0x7ff ? 2 : 1;
    }
    if (byteCount <= COROSYNC_LINE_BYTES_MAX) return;
    this.#warn(
      line.number,
      1,
      `the line is longer than ${COROSYNC_LINE_BYTES_MAX} bytes`,
      "shorten it if corosync is to read this file: it refuses such lines",
    );
  }

  #top(): OpenSection {
    return this.#open.at(-1) as OpenSection;
  }

  #error(line: number, column: number, what: string, remedy: string): void {
    this.#errors.push({ severity: "error", file: this.#fileName, line, column, what, remedy });
  }

  #warn(line: number, column: number, what: string, remedy: string): void {
    if (this.#warnings.length >= FINDINGS_MAX) return;
    this.#warnings.push({ severity: "warning", file: this.#fileName, line, column, what, remedy });
  }
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
