/** The archive form that Linux takes as its first root file system ("newc"). */
const HEADER = "070701";
const TRAILER = "TRAILER!!!";

const DIRECTORY = 0o040_755;
const FILE = 0o100_755;
const DEVICE = 0o020_600;

export type ArchiveEntry =
  | { kind: "directory"; path: string }
  | { kind: "file"; path: string; content: Buffer }
  | { kind: "device"; path: string; major: number; minor: number };

/** Pure. A path needs its parents before it. */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => pack(entry, index + 1));
  return Buffer.concat([...parts, ...member(TRAILER, 0, 0, 0, 0, Buffer.alloc(0))]);
}

function pack(entry: ArchiveEntry, inode: number): Buffer[] {
  switch (entry.kind) {
    case "directory":
      return member(entry.path, inode, DIRECTORY, 0, 0, Buffer.alloc(0));
    case "file":
      return member(entry.path, inode, FILE, 0, 0, entry.content);
    case "device":
      return member(entry.path, inode, DEVICE, entry.major, entry.minor, Buffer.alloc(0));
    default:
      return entry satisfies never;
  }
}

function member(
  path: string,
  inode: number,
  mode: number,
  major: number,
  minor: number,
  content: Buffer,
): Buffer[] {
  const links = mode === DIRECTORY ? 2 : 1;
  // Inode, mode, user, group, links, time, size, device (2), special device (2), length of the name, checksum.
  const numbers = [inode, mode, 0, 0, links, 0, content.length, 0, 0, major, minor, path.length + 1, 0];
  const head = HEADER + numbers.map((number) => number.toString(16).padStart(8, "0")).join("");
  return [padded(Buffer.from(`${head}${path}\0`)), padded(content)];
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
