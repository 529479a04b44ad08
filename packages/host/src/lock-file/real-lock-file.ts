import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, unlink } from "node:fs/promises";
import path from "node:path";
import { QuorateError } from "@quorate/contracts";
import { type LockContent, type LockFile, type LockFileState, parseLockText } from "./lock-file.ts";
import { below, codeOf, fileError, openFolderSafely, symlinkRefused } from "./safe-folder.ts";

/** More than this is nobody's lock: read as foreign. */
const READ_LIMIT_BYTES = 4_096;

/** A lock or marker on disk. `path` must be absolute; its folder must exist. */
export function createRealLockFile(filePath: string): LockFile {
  return new RealLockFile(filePath);
}

class RealLockFile implements LockFile {
  readonly path: string;
  readonly #name: string;

  constructor(filePath: string) {
    this.path = filePath;
    this.#name = path.basename(filePath);
  }

  read(): Promise<LockFileState> {
    return this.#inFolder(async (folder) => {
      // Without blocking: a named pipe placed here must not hold us up.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      let file: FileHandle;
      try {
        file = await open(below(folder, this.#name), flags);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return { kind: "absent" };
        throw error;
      }
      try {
        const status = await file.stat();
        if (status.uid !== 0 && status.uid !== process.geteuid?.()) return { kind: "untrusted" };
        if (!status.isFile() || status.size > READ_LIMIT_BYTES) return { kind: "foreign" };
        return parseLockText(await file.readFile("utf8"));
      } finally {
        await file.close();
      }
    });
  }

  write(content: LockContent): Promise<void> {
    return this.#inFolder(async (folder) => {
      const target = below(folder, this.#name);
      const existing = await lstat(target).catch(() => undefined);
      if (existing?.isSymbolicLink()) throw symlinkRefused(this.path);
      if (existing !== undefined && !existing.isFile()) {
        throw new QuorateError(
          "CONFIG_INVALID",
          `${this.path} exists and is not a file.`,
          "Remove it, or configure another path.",
        );
      }
      const temporary = below(folder, `.${this.#name}.${randomUUID()}`);
      // Atomic, but not made durable: it tells running programs who serves, and after a crash of the host nobody
      // does. Waiting for the disk here would hold the address back.
      try {
        await writeNewFile(temporary, `${JSON.stringify({ term: content.term, node: content.node })}\n`);
        await rename(temporary, target);
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw error;
      }
    });
  }

  remove(): Promise<void> {
    return this.#inFolder(async (folder) => {
      const target = below(folder, this.#name);
      const existing = await lstat(target).catch(() => undefined);
      if (existing?.isSymbolicLink()) throw symlinkRefused(this.path);
      try {
        await unlink(target);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return;
        throw error;
      }
    });
  }

  async #inFolder<Result>(act: (folder: FileHandle) => Promise<Result>): Promise<Result> {
    const folder = await openFolderSafely(path.dirname(this.path));
    try {
      return await act(folder);
    } catch (error) {
      throw fileError(error, this.path);
    } finally {
      await folder.close();
    }
  }
}

async function writeNewFile(target: string, text: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(target, flags, 0o644);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}
