/** Just enough DER to write a certificate. */

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  if (length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, length]), content]);
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content]);
}

export const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
export const set = (...parts: Uint8Array[]) => der(0x31, ...parts);
export const octets = (...parts: Uint8Array[]) => der(0x04, ...parts);
export const bits = (content: Uint8Array, unused = 0) => der(0x03, Buffer.from([unused]), content);
export const yes = () => der(0x01, Buffer.from([0xff]));
export const text = (value: string) => der(0x0c, Buffer.from(value));
/** Context tag around something: `[number] EXPLICIT`. */
export const explicit = (number: number, ...parts: Uint8Array[]) => der(0xa0 | number, ...parts);
/** Context tag instead of the type's own: `[number] IMPLICIT`, primitive. */
export const implicit = (number: number, content: Uint8Array) => der(0x80 | number, content);

/** A positive integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  return der(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** `YYYYMMDDHHMMSSZ`; years before 2050 are written as UTCTime, as X.509 wants. */
export function time(value: string): Buffer {
  return value < "2050" ? der(0x17, Buffer.from(value.slice(2))) : der(0x18, Buffer.from(value));
}
