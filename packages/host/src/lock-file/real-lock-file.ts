import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
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
    return this.#inFolder((folder) => {
      // Without blocking: a named pipe placed here must not hold us up.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      let file: number;
      try {
        file = openSync(below(folder, this.#name), flags);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return { kind: "absent" };
        throw error;
      }
      try {
        const status = fstatSync(file);
        if (status.uid !== 0 && status.uid !== process.geteuid?.()) return { kind: "untrusted" };
        if (!status.isFile() || status.size > READ_LIMIT_BYTES) return { kind: "foreign" };
        return parseLockText(readFileSync(file, "utf8"));
      } finally {
        closeSync(file);
      }
    });
  }

  write(content: LockContent): Promise<void> {
    return this.#inFolder((folder) => {
      const target = below(folder, this.#name);
      const existing = lstatSync(target, { throwIfNoEntry: false });
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
        writeNewFile(temporary, `${JSON.stringify({ term: content.term, node: content.node })}\n`);
        renameSync(temporary, target);
      } catch (error) {
        removeIfThere(temporary);
        throw error;
      }
    });
  }

  remove(): Promise<void> {
    return this.#inFolder((folder) => {
      const target = below(folder, this.#name);
      const existing = lstatSync(target, { throwIfNoEntry: false });
      if (existing?.isSymbolicLink()) throw symlinkRefused(this.path);
      try {
        unlinkSync(target);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return;
        throw error;
      }
    });
  }

  /** Blocks, see openFolderSafely; a promise because the drivers' interface is one. */
  async #inFolder<Result>(act: (folder: number) => Result): Promise<Result> {
    const folder = openFolderSafely(path.dirname(this.path));
    try {
      return act(folder);
    } catch (error) {
      throw fileError(error, this.path);
    } finally {
      closeSync(folder);
    }
  }
}

function writeNewFile(target: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = openSync(target, flags, 0o644);
  try {
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
}

function removeIfThere(target: string): void {
  try {
    unlinkSync(target);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
