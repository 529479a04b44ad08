import { assertNever } from "@quorate/contracts";
import { isMulticast, parseAddress, unusableReason } from "./addresses.ts";
import { isSafeToken, TIMING_INEQUALITY, TOKEN_MAXIMUM_MS, TOKEN_MINIMUM_MS, timingOf } from "./timing.ts";

/** What may stand behind a key. The reference's table names one for each key; checking and the manual use it. */
export type ValueType =
  | { readonly kind: "integer"; readonly minimum: number; readonly maximum: number; readonly unit?: string }
  /** `totem.token`: refused where a lease would not outlive what it must. */
  | { readonly kind: "token" }
  | { readonly kind: "boolean" }
  | { readonly kind: "word"; readonly words: readonly string[] }
  /** An address that a host can have. */
  | { readonly kind: "address" }
  /** An address or the name of a network. */
  | { readonly kind: "network" }
  | { readonly kind: "multicast" }
  /** An address, or a host name that the caller can resolve. */
  | { readonly kind: "host" }
  /** Checked where the address is known. */
  | { readonly kind: "mask" }
  | { readonly kind: "path" }
  | { readonly kind: "instant" }
  | { readonly kind: "pattern"; readonly name: string; readonly pattern: RegExp; readonly rule: string }
  | { readonly kind: "text" };

export type TypedValue = number | boolean | string;

export type CheckedValue =
  | { readonly ok: true; readonly value: TypedValue }
  | { readonly ok: false; readonly what: string; readonly remedy: string };

/** Every spelling of yes and no that corosync knows anywhere. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["on", true],
  ["yes", true],
  ["1", true],
  ["true", true],
  ["off", false],
  ["no", false],
  ["0", false],
  ["false", false],
]);

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z$/;

/** Checks one value against its type. `key` only appears in the words. */
export function checkValue(type: ValueType, key: string, text: string): CheckedValue {
  if (text === "")
    return refused(
      `"${key}" has no value`,
      `write ${expectation(type)} behind the colon, or delete the line`,
    );
  const checked = checkFilled(type, key, text);
  if (checked.ok || !/[ \t]#/.test(text) || type.kind === "text") return checked;
  return refused(checked.what, "move the comment to a line of its own: here the # is part of the value");
}

function checkFilled(type: ValueType, key: string, text: string): CheckedValue {
  switch (type.kind) {
    case "integer":
      return checkInteger(type, key, text);
    case "token":
      return checkToken(key, text);
    case "boolean": {
      const value = BOOLEANS.get(text.toLowerCase());
      return value === undefined ? mismatch(type, key, text) : { ok: true, value };
    }
    case "word":
      return type.words.includes(text) ? { ok: true, value: text } : mismatch(type, key, text);
    case "address":
      return checkAddress(type, key, text);
    case "network": {
      const address = parseAddress(text);
      if (address === undefined) return mismatch(type, key, text);
      if (!isMulticast(address)) return { ok: true, value: address.text };
      return refused(
        `"${key}" is the multicast address ${text}`,
        "write the address of the network or of the interface; the multicast address belongs behind mcastaddr",
      );
    }
    case "multicast": {
      const address = parseAddress(text);
      if (address === undefined) return mismatch(type, key, text);
      if (isMulticast(address)) return { ok: true, value: address.text };
      return refused(
        `"${key}" is ${text}, which is no multicast address`,
        `write ${expectation(type)}, or "transport: udpu" in totem and no mcastaddr for unicast`,
      );
    }
    case "host":
      if (looksLikeName(text)) return { ok: true, value: text };
      return checkAddress(type, key, text);
    case "mask":
      return { ok: true, value: text };
    case "path":
      if (text.startsWith("/") && !text.split("/").includes("..") && !text.endsWith("/"))
        return { ok: true, value: text };
      return mismatch(type, key, text);
    case "instant":
      return checkInstant(type, key, text);
    case "pattern":
      return type.pattern.test(text) ? { ok: true, value: text } : mismatch(type, key, text);
    case "text":
      return { ok: true, value: text };
    default:
      return assertNever(type);
  }
}

/** Whether the text can only be a host name. What consists of digits and dots is a failed address. */
export function looksLikeName(text: string): boolean {
  return HOST_NAME.test(text) && !/^[0-9.]+$/.test(text);
}

function checkInteger(
  type: Extract<ValueType, { kind: "integer" }>,
  key: string,
  text: string,
): CheckedValue {
  if (!/^[0-9]+$/.test(text)) {
    return refused(`"${key}" must be a whole number, not "${clipped(text)}"`, `write ${expectation(type)}`);
  }
  const value = Number(text);
  if (value < type.minimum || value > type.maximum) {
    return refused(
      `"${key}" is ${clipped(text)}, outside ${type.minimum} to ${type.maximum}`,
      `write ${expectation(type)}`,
    );
  }
  return { ok: true, value };
}

function checkToken(key: string, text: string): CheckedValue {
  const checked = checkInteger(
    { kind: "integer", minimum: 1, maximum: TOKEN_MAXIMUM_MS, unit: "milliseconds" },
    key,
    text,
  );
  if (!checked.ok || typeof checked.value !== "number" || isSafeToken(checked.value)) return checked;
  const { leaseMs, leaseNeedMs } = timingOf(checked.value);
  const here = `here ${round(leaseMs)} ms is less than ${round(leaseNeedMs)} ms`;
  const what = `"${key}" ${text} ms is unsafe: it needs ${TIMING_INEQUALITY}, and ${here}`;
  return refused(what, `write ${TOKEN_MINIMUM_MS} or more`);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function checkAddress(type: ValueType, key: string, text: string): CheckedValue {
  const address = parseAddress(text);
  if (address === undefined) {
    if (/^[^/]+\/[0-9]+$/.test(text)) {
      return refused(
        `"${key}" is "${clipped(text)}", an address with a mask`,
        "write the address alone here",
      );
    }
    if (text.includes("%")) {
      return refused(
        `"${key}" is "${clipped(text)}", an address with a zone`,
        "write a global or unique local address: an interface's name may differ on the next host",
      );
    }
    return mismatch(type, key, text);
  }
  const reason = unusableReason(address);
  if (reason === undefined) return { ok: true, value: address.text };
  return refused(
    `"${key}": ${text} ${reason}`,
    "write a fixed unicast address, reachable from the other nodes",
  );
}

function checkInstant(type: ValueType, key: string, text: string): CheckedValue {
  if (!INSTANT.test(text)) return mismatch(type, key, text);
  const instant = new Date(text);
  // Date rolls 31 February over to March; a date that doesn't exist must not pass.
  if (Number.isNaN(instant.getTime()) || instant.toISOString().slice(0, 19) !== text.slice(0, 19)) {
    return refused(`"${key}" is ${text}, which is no real date and time`, `write ${expectation(type)}`);
  }
  return { ok: true, value: instant.toISOString() };
}

/** What to write, in words: `a whole number from 1 to 65535`. Used by messages and by the manual alike. */
export function expectation(type: ValueType): string {
  switch (type.kind) {
    case "integer": {
      const unit = type.unit === undefined ? "" : ` of ${type.unit}`;
      return `a whole number${unit} from ${type.minimum} to ${type.maximum}`;
    }
    case "token":
      return `a whole number of milliseconds from ${TOKEN_MINIMUM_MS} to ${TOKEN_MAXIMUM_MS}`;
    case "boolean":
      return "on or off (also yes, no, 1, 0)";
    case "word":
      return type.words.join(" or ");
    case "address":
      return "an IPv4 or IPv6 address";
    case "network":
      return "the address of a network or of an interface in it";
    case "multicast":
      return "a multicast address, as 239.255.1.1 or ff15::1";
    case "host":
      return "an IPv4 or IPv6 address, or a name from /etc/hosts";
    case "mask":
      return "a mask, as 24 or 255.255.255.0";
    case "path":
      return "an absolute path without .., and without a / at its end";
    case "instant":
      return "an instant in UTC, as 2030-01-31T12:00:00Z";
    case "pattern":
      return `${type.name} (${type.rule})`;
    case "text":
      return "text";
    default:
      return assertNever(type);
  }
}

function mismatch(type: ValueType, key: string, text: string): CheckedValue {
  return refused(`"${key}" cannot be "${clipped(text)}"`, `write ${expectation(type)}`);
}

function refused(what: string, remedy: string): CheckedValue {
  return { ok: false, what, remedy };
}

function clipped(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
