import type { ConfDocument } from "./document.ts";

/** One section on the way to a key: by name (the last one), by index, or by what a key inside it says. */
export type PathStep =
  | string
  | { readonly section: string; readonly index: number }
  | { readonly section: string; readonly key: string; readonly value: string };

/** The sections on the way, then the key. */
export type ConfPath = readonly [...PathStep[], string];

/**
 * Sets a key, adding it (and a section that is missing and named plainly) in the file's own layout.
 * Returns a new document. Throws QuorateError CONFIG_INVALID when the value can't be written in this grammar.
 */
export function setValue(document: ConfDocument, path: ConfPath, value: string): ConfDocument {
  throw new Error(`not yet: ${document.fileName} ${path.join(".")} ${value}`);
}

/** Sets `totem.config_version`. */
export function setConfigVersion(document: ConfDocument, configVersion: number): ConfDocument {
  return setValue(document, ["totem", "config_version"], String(configVersion));
}

/** Sets `automation.disarmed_until` (ISO 8601, UTC), or removes it with null. */
export function setDisarmedUntil(document: ConfDocument, disarmedUntil: string | null): ConfDocument {
  return setValue(document, ["automation", "disarmed_until"], String(disarmedUntil));
}
