/**
 * JSON for the cores' states and inputs: also Map, Set, bigint, undefined in lists, and the numbers that JSON has not.
 * A tag is an object with the one key `$map`, `$set`, `$bigint`, `$number` or `$undefined`; an object of the data that
 * has a key with `$` at its start is written as `$object`. The same value gives the same text: that is how decisions
 * are compared. Members that are undefined are left out, as JSON does. Throws TypeError for what is no plain data.
 */
export function encodeTagged(value: unknown): string {
  return JSON.stringify(value, tag);
}

const UNDEFINED = { $undefined: true };

function tag(_key: string, value: unknown): unknown {
  switch (typeof value) {
    case "bigint":
      return { $bigint: value.toString() };
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return { $number: Object.is(value, -0) ? "-0" : String(value) };
    case "function":
    case "symbol":
      throw new TypeError(`a ${typeof value} cannot be recorded`);
    case "object":
      return value === null ? null : tagObject(value);
    default:
      return value;
  }
}

function tagObject(value: object): unknown {
  if (value instanceof Map) return { $map: [...value] };
  if (value instanceof Set) return { $set: [...value] };
  // A Buffer has been taken apart by its toJSON before it comes here.
  const isBuffer = "type" in value && value.type === "Buffer" && "data" in value && Array.isArray(value.data);
  if (isBuffer || ArrayBuffer.isView(value)) throw new TypeError("bytes cannot be recorded");
  if (Array.isArray(value)) {
    return value.includes(undefined) ? value.map((item) => (item === undefined ? UNDEFINED : item)) : value;
  }
  if (value === UNDEFINED) return value;
  for (const key in value) if (key.startsWith("$")) return { $object: Object.entries(value) };
  return value;
}

/** The value whose text this is. Throws SyntaxError when it is not JSON, TypeError when a tag is not known. */
export function decodeTagged(text: string): unknown {
  return untag(JSON.parse(text));
}

function untag(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(untag);
  const entries = Object.entries(value);
  const [first] = entries;
  if (first?.[0].startsWith("$") === true) return untagOne(first[0], first[1]);
  return Object.fromEntries(entries.map(([key, member]) => [key, untag(member)]));
}

function untagOne(name: string, content: unknown): unknown {
  switch (name) {
    case "$map":
      return new Map(pairs(content));
    case "$set":
      return new Set(list(content));
    case "$object":
      return Object.fromEntries(pairs(content));
    case "$bigint":
      return BigInt(String(content));
    case "$number":
      return Number(content);
    case "$undefined":
      return undefined;
    default:
      throw new TypeError(`the tag ${name} is not known`);
  }
}

function list(content: unknown): unknown[] {
  if (!Array.isArray(content)) throw new TypeError("a tag without its list");
  return content.map(untag);
}

function pairs(content: unknown): Array<[string, unknown]> {
  return list(content).map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError("a tag without its pairs");
    return [pair[0] as string, pair[1]];
  });
}
