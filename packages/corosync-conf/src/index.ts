export type { Diagnostic, Place, Severity } from "./diagnostic.ts";
export { formatDiagnostic } from "./diagnostic.ts";
export type { ConfDocument, ConfEntry, ConfKeyValue, ConfSection, ParseResult } from "./document.ts";
export type { ConfPath, PathStep } from "./edit.ts";
export { setConfigVersion, setDisarmedUntil, setValue } from "./edit.ts";
export { setNodePrio, swapPrioWithHighest } from "./edit-prio.ts";
export type { Origins, ReadOptions, ReadResult } from "./meaning.ts";
export { readClusterConfig } from "./meaning.ts";
export { parseDocument, printDocument } from "./syntax.ts";
