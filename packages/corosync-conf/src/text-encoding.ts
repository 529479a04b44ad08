/** Bytes that are no UTF-8 become these lone surrogates, one for each, and become the same bytes again. */
const ESCAPE_BASE = 0xdc00;
const ESCAPED = /[\udc80-\udcff]/;

/**
 * The text of a file, losing nothing: a comment in an old code page survives `encodeText`. A byte order mark
 * stays in the text.
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return decodeDamaged(bytes);
  }
}

function decodeDamaged(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const parts: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const length = sequenceLength(bytes, start);
    const sequence = bytes.subarray(start, start + length);
    const byte = bytes[start] ?? 0;
    let text: string;
    try {
      text = decoder.decode(sequence);
    } catch {
      parts.push(String.fromCharCode(ESCAPE_BASE + byte));
      start += 1;
      continue;
    }
    parts.push(text);
    start += length;
  }
  return parts.join("");
}

/** How long the UTF-8 sequence that starts here claims to be; 1 for what starts none. */
function sequenceLength(bytes: Uint8Array, start: number): number {
  const byte = bytes[start] ?? 0;
  if (byte >= 0xf0) return 4;
  if (byte >= 0xe0) return 3;
  return byte >= 0xc0 ? 2 : 1;
}

/** The bytes of a text from `decodeText`. */
export function encodeText(text: string): Uint8Array {
  const encoder = new TextEncoder();
  if (!ESCAPED.test(text)) return encoder.encode(text);
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= ESCAPE_BASE + 0x80 && code <= ESCAPE_BASE + 0xff) bytes.push(code - ESCAPE_BASE);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}
