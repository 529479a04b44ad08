import { statfsSync } from "node:fs";

/** Less than this is as good as full: what a node writes at once is smaller. */
export const LITTLE_ROOM_BYTES = 1024 * 1024;

/** Bytes that the file system of a folder still takes; null when that cannot be known. Never throws. */
export function roomInBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}
