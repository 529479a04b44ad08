import type { ConfKeyValue, ConfSection } from "./document.ts";
import type { Findings } from "./findings.ts";
import { FINDINGS_MAX } from "./findings.ts";
import { CONFIG_REFERENCE, REFERENCE_SECTIONS, referenceFor, referenceForSection } from "./reference.ts";

/**
 * Says what becomes of whatever has no effect: ignored keys and sections, unknown ones, misspelt ones. All of
 * them stay in the file.
 */
export function reportWithoutEffect(root: ConfSection, findings: Findings): void {
  const walker = new Walker(findings);
  walker.walk(root, "");
}

/** Stops after as many findings as are kept: looking for the nearest word of a million keys would take minutes. */
class Walker {
  readonly #findings: Findings;
  #reported = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  walk(section: ConfSection, path: string): void {
    for (const entry of section.entries) {
      if (this.#reported >= FINDINGS_MAX) return;
      if (entry.kind === "key") this.#reported += reportKey(entry, path, this.#findings) ? 1 : 0;
      else this.#section(entry, path === "" ? entry.name : `${path}.${entry.name}`, path);
    }
  }

  #section(section: ConfSection, path: string, parentPath: string): void {
    const row = referenceForSection(path);
    if (row?.use === "honoured") {
      this.walk(section, path);
      return;
    }
    this.#reported += 1;
    if (row === undefined) reportUnknownSection(section, path, parentPath, this.#findings);
    else if (row.use === "ignored") {
      this.#findings.note(section, `the section "${path}" is kept and has no effect`, lowered(row.meaning));
    }
  }
}

/** Whether there was something to say. */
function reportKey(entry: ConfKeyValue, path: string, findings: Findings): boolean {
  const row = referenceFor(path, entry.key);
  if (row !== undefined) {
    if (row.use !== "ignored" || isSilent(entry, path)) return false;
    findings.note(entry, `"${entry.key}" is kept and has no effect`, lowered(row.meaning));
    return true;
  }
  reportUnknownKey(entry, path, findings);
  return true;
}

function reportUnknownKey(entry: ConfKeyValue, path: string, findings: Findings): void {
  if (path === "nodelist.node" && /^ring[0-9]+_addr$/.test(entry.key)) {
    findings.warning(entry, `the key "${entry.key}" has no effect`, "rings are numbered 0 to 7");
    return;
  }
  const known = CONFIG_REFERENCE.filter((other) => other.section === path).flatMap((other) =>
    other.family === undefined ? [other.key, ...(other.also ?? [])] : [],
  );
  const near = nearest(entry.key, known);
  const elsewhere = CONFIG_REFERENCE.find(
    (other) => other.use === "honoured" && other.key === entry.key && other.section !== path,
  );
  if (near !== undefined) {
    findings.warning(entry, `the key "${entry.key}" is unknown and has no effect`, `did you mean "${near}"?`);
  } else if (elsewhere === undefined) {
    findings.note(entry, `the key "${entry.key}" is unknown`, "it is kept and has no effect");
  } else {
    findings.warning(
      entry,
      `the key "${entry.key}" has no effect here`,
      `it belongs in the section ${elsewhere.section}`,
    );
  }
}

/** corosync needs it, and everybody has it: no word about it. */
function isSilent(entry: ConfKeyValue, path: string): boolean {
  if (path === "totem" && entry.key === "version") return entry.value === "2";
  return path === "quorum" && entry.key === "provider" && entry.value === "corosync_votequorum";
}

function reportUnknownSection(
  section: ConfSection,
  path: string,
  parentPath: string,
  findings: Findings,
): void {
  const siblings = REFERENCE_SECTIONS.map((other) => other.section).filter(
    (other) => other !== "" && parentOf(other) === parentPath,
  );
  const near = nearest(section.name, siblings.map(lastName));
  const elsewhere = REFERENCE_SECTIONS.find(
    (other) => other.use === "honoured" && lastName(other.section) === section.name,
  );
  if (near !== undefined) {
    findings.warning(
      section,
      `the section "${path}" is unknown and has no effect`,
      `did you mean "${near}"?`,
    );
  } else if (elsewhere !== undefined && elsewhere.section !== "") {
    const parent = parentOf(elsewhere.section);
    const where = parent === "" ? "at the top level" : `inside the section ${parent}`;
    findings.warning(section, `the section "${path}" has no effect here`, `it belongs ${where}`);
  } else {
    findings.note(section, `the section "${path}" is unknown`, "it is kept and has no effect");
  }
}

function parentOf(path: string): string {
  const dot = path.lastIndexOf(".");
  return dot === -1 ? "" : path.slice(0, dot);
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** A sentence of the table as the second half of a message. */
function lowered(sentence: string): string {
  const start = /^[A-Z][a-z]/.test(sentence) ? sentence.slice(0, 1).toLowerCase() : sentence.slice(0, 1);
  const end = sentence.endsWith(".") ? -1 : undefined;
  return `${start}${sentence.slice(1, end)}`;
}

/** The known word that differs by case, or by at most two letters in a word of five or more, one in a shorter. */
function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = word.length >= 5 ? 3 : 2;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance < Math.min(word.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
