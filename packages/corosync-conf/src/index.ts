export { hostsResolver } from "./addresses.ts";
export type { Diagnostic, Place, Severity } from "./diagnostic.ts";
export { formatDiagnostic } from "./diagnostic.ts";
export type { ConfDocument, ConfEntry, ConfKeyValue, ConfSection, ParseResult } from "./document.ts";
export type { ConfPath, PathStep } from "./edit.ts";
export { setConfigVersion, setDisarmedUntil, setValue } from "./edit.ts";
export { setMaintenanceUntil, setNodePrio, swapPrioWithHighest } from "./edit-prio.ts";
export {
  documentDigest,
  HOSTS_FILE,
  hostConfig,
  readHostConfig,
  readSentDocument,
} from "./host-document.ts";
export type { ReadConfig, ReadOptions, ReadResult, RefusedConfig } from "./meaning.ts";
export { readClusterConfig, refusalError } from "./meaning.ts";
export { CONFIG_REFERENCE, REFERENCE_SECTIONS } from "./reference.ts";
export type { KeyUse, ReferenceKey, ReferenceSection } from "./reference-types.ts";
export type { RenderedCheck } from "./render-check.ts";
export { dangerousEntries, renderCheck } from "./render-check.ts";
export type { ShownValue } from "./render-show.ts";
export { renderShow, shownValues } from "./render-show.ts";
export { parseDocument, printDocument } from "./syntax.ts";
export { decodeText, encodeText } from "./text-encoding.ts";
export type { Timing } from "./timing.ts";
export { timingOf } from "./timing.ts";
