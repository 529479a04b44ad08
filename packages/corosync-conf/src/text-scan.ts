/** What corosync's icmap takes as a name. */
const NAME_PATTERN = /^[A-Za-z0-9._/-]+$/;

/** Whether a key or a section can have this name. */
export function isWritableName(name: string): boolean {
  return NAME_PATTERN.test(name);
}

/** Whether this can stand behind a colon and be read back as it is. */
export function isWritableValue(value: string): boolean {
  if (value === "" || value !== value.trim() || value.includes("{")) return false;
  return findControl(value, 0, value.length) === -1;
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t";
}

export function skipBlanks(text: string, from: number, to: number): number {
  let index = from;
  while (index < to && isBlank(text[index])) index += 1;
  return index;
}

export function trimBlanks(text: string, from: number, to: number): number {
  let index = to;
  while (index > from && isBlank(text[index - 1])) index -= 1;
  return index;
}

export function indexWithin(text: string, character: string, from: number, to: number): number {
  for (let index = from; index < to; index += 1) if (text[index] === character) return index;
  return -1;
}

export function findControl(text: string, from: number, to: number): number {
  for (let index = from; index < to; index += 1) {
    const code = text.charCodeAt(index);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return index;
  }
  return -1;
}
