import { type FSWatcher, readFileSync, realpathSync, type BigIntStats, statSync, watch } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { OperatorFileContent } from "@quorate/core-config";
import { decodeText, encodeText } from "@quorate/corosync-conf";

/** Larger is no configuration. */
const FILE_LIMIT_BYTES = 1024 * 1024;

/**
 * The operator's own copy of the configuration: read when it changed, replaced with its mode and owner kept.
 * A symbolic link is followed, and what it leads to is replaced.
 */
export class OperatorFile {
  readonly path: string;
  #identity = "";
  #content: OperatorFileContent = { kind: "missing" };
  #watcher: FSWatcher | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Wakes `onChange` up early; looking by the clock is what finds every change. */
  watch(onChange: () => void): void {
    if (this.#watcher !== null) return;
    try {
      const name = basename(this.path);
      // The folder, because editors replace the file.
      const watcher = watch(dirname(this.path), (_event, changed) => {
        if (changed === null || changed === name) onChange();
      });
      this.#watcher = watcher;
      watcher.on("error", () => this.close());
    } catch {
      // The folder is not there (yet): the clock will do.
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  /** What is in the file now. Costs one stat while it stays the same. */
  look(): OperatorFileContent {
    let identity: string;
    try {
      identity = identityOf(statSync(this.path, { bigint: true }));
    } catch (error) {
      this.#identity = "";
      this.#content =
        (error as NodeJS.ErrnoException).code === "ENOENT"
          ? { kind: "missing" }
          : { kind: "unreadable", message: (error as Error).message };
      return this.#content;
    }
    if (identity === this.#identity) return this.#content;
    this.#content = readContent(this.path);
    // Remembered only if it held still meanwhile.
    try {
      this.#identity = identityOf(statSync(this.path, { bigint: true })) === identity ? identity : "";
    } catch {
      this.#identity = "";
    }
    return this.#content;
  }

  /**
   * Puts `text` in the place of `expected`, which is what was judged. False: the file was changed meanwhile
   * and is left alone. Throws what the file system says.
   */
  async replace(expected: OperatorFileContent, text: string): Promise<boolean> {
    const target = expected.kind === "missing" ? this.path : realpathSync(this.path);
    const kept = expected.kind === "missing" ? null : statSync(target);
    const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.quorate`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(encodeText(text));
        if (kept !== null) await file.chown(kept.uid, kept.gid);
        await file.chmod(kept === null ? 0o644 : kept.mode & 0o7777);
        await file.sync();
      } finally {
        await file.close();
      }
      if (!isSame(this.look(), expected)) {
        await unlink(temporary);
        return false;
      }
      await rename(temporary, target);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    const folder = await open(dirname(target), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    return true;
  }
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}/${stats.ino}/${stats.size}/${stats.mtimeNs}/${stats.ctimeNs}`;
}

function readContent(path: string): OperatorFileContent {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return { kind: "unreadable", message: "it is not a regular file" };
    if (stats.size > FILE_LIMIT_BYTES) {
      return { kind: "unreadable", message: `it has ${stats.size} bytes, more than any configuration` };
    }
    return { kind: "text", text: decodeText(readFileSync(path)) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "missing" };
    return { kind: "unreadable", message: (error as Error).message };
  }
}

function isSame(left: OperatorFileContent, right: OperatorFileContent): boolean {
  if (left.kind === "text" && right.kind === "text") return left.text === right.text;
  return left.kind === right.kind;
}
