import { z } from "zod";

/** What we write into the service lock and the `relocated` marker. */
export const LockContentSchema = z.object({ term: z.int().min(0), node: z.int().min(0) });
export type LockContent = z.infer<typeof LockContentSchema>;

/** How a file's text is read: ours, or somebody else's word. */
export function parseLockText(text: string): LockFileState {
  try {
    const parsed = LockContentSchema.safeParse(JSON.parse(text));
    return parsed.success ? { kind: "ours", content: parsed.data } : { kind: "foreign" };
  } catch {
    return { kind: "foreign" };
  }
}

export type LockFileState =
  | { readonly kind: "absent" }
  /** There, but not in our form: somebody else (the managed service) wrote it. Counts as present. */
  | { readonly kind: "foreign" }
  /** There, but made by a user who is neither root nor ours, as anybody can in /tmp: counts as absent. */
  | { readonly kind: "untrusted" }
  /** Ours. Whether an older term still counts is for the reader to decide. */
  | { readonly kind: "ours"; readonly content: LockContent };

/**
 * Small files that outlive us: the service lock and the `relocated` marker. A symbolic link at the path, or in a
 * folder above it that others may write to, is never followed: QuorateError SYMLINK_REFUSED.
 */
export interface LockFile {
  readonly path: string;
  read(): Promise<LockFileState>;
  /** Replaces the file as one step; not made durable. Throws QuorateError SYMLINK_REFUSED, DISK_FULL, TOOL_FAILED. */
  write(content: LockContent): Promise<void>;
  /** Removes the file; absent is success. */
  remove(): Promise<void>;
}
