import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";

/** `refused`: somebody is there, and no storage; `silent`: nobody answered in time, or no way leads there. */
export type StorageSight =
  | { readonly kind: "answers" }
  | { readonly kind: "refused" | "silent"; readonly message: string };

/**
 * Whether this host reaches a storage now: it knocks and goes away. It passes the machines' gate while that is shut, as
 * a user of its own of whom the gate lets through only what opens and what aborts a connection: not one byte for a
 * disk. Hence it says that something listens there, and not that a disk is whole.
 */
export interface StorageProbe {
  /** Throws TOOL_MISSING, NOT_ROOT, TOOL_FAILED: then nothing is known. */
  look(endpoint: StorageEndpoint, timeoutMs: number): Promise<StorageSight>;
  close(): Promise<void>;
}
