/** What we write into the service lock and the `relocated` marker. */
export interface LockContent {
  readonly term: number;
  readonly node: number;
}

export type LockFileState =
  | { readonly kind: "absent" }
  /** There, but not in our form: somebody else (the managed service) wrote it. Counts as present. */
  | { readonly kind: "foreign" }
  /** Ours. Whether an older term still counts is for the reader to decide. */
  | { readonly kind: "ours"; readonly content: LockContent };

/**
 * Small files that outlive us: the service lock and the `relocated` marker. A symbolic link at the path, or in a
 * folder above it that others may write to, is never followed: QuorateError SYMLINK_REFUSED.
 */
export interface LockFile {
  readonly path: string;
  read(): Promise<LockFileState>;
  /** Replaces the file as one step, durably. Throws QuorateError SYMLINK_REFUSED, DISK_FULL, TOOL_FAILED. */
  write(content: LockContent): Promise<void>;
  /** Removes the file durably; absent is success. */
  remove(): Promise<void>;
}
