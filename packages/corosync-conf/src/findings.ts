import type { NotHonoured } from "@quorate/contracts";
import type { Diagnostic, Place, Severity } from "./diagnostic.ts";
import { sortedByPlace } from "./diagnostic.ts";

/** Of each severity. More nobody reads; a file with so many has one cause. */
export const FINDINGS_MAX = 200;

/** Collects what is found while a file's meaning is read, so that all of it is reported at once. */
export class Findings {
  readonly #fileName: string;
  readonly #diagnostics: Diagnostic[] = [];
  readonly #notHonoured: NotHonoured[] = [];
  readonly #counts = new Map<Severity, number>();
  #hasErrors = false;

  constructor(fileName: string) {
    this.#fileName = fileName;
  }

  get hasErrors(): boolean {
    return this.#hasErrors;
  }

  error(place: Place, what: string, remedy: string): void {
    this.#hasErrors = true;
    this.#add("error", place, what, remedy);
  }

  warning(place: Place, what: string, remedy: string): void {
    this.#add("warning", place, what, remedy);
  }

  note(place: Place, what: string, remedy: string): void {
    this.#add("note", place, what, remedy);
  }

  /** Also among the diagnostics, so that nobody who prints those keeps silent about it. */
  notHonoured(place: Place, key: string, dangerous: boolean, message: string, hint: string): void {
    const { line, column } = place;
    this.#notHonoured.push({ key, line, column, dangerous, message, hint });
    this.#add(dangerous ? "dangerous" : "warning", place, message, hint);
  }

  /** Everything, in reading order. */
  all(): Diagnostic[] {
    return sortedByPlace(this.#diagnostics);
  }

  allNotHonoured(): NotHonoured[] {
    return sortedByPlace(this.#notHonoured);
  }

  #add(severity: Severity, place: Place, what: string, remedy: string): void {
    const count = this.#counts.get(severity) ?? 0;
    if (count >= FINDINGS_MAX) return;
    this.#counts.set(severity, count + 1);
    this.#diagnostics.push({
      severity,
      file: this.#fileName,
      line: place.line,
      column: place.column,
      what,
      remedy,
    });
  }
}
