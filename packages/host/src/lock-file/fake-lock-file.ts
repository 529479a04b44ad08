import { fileError, symlinkRefused } from "./safe-folder.ts";
import { type LockContent, type LockFile, type LockFileState, parseLockText } from "./lock-file.ts";

/** What stands at fake paths; outlives the processes of a simulated host. */
export class FakeFiles {
  readonly #files = new Map<
    string,
    { readonly text: string; readonly kind: "file" | "link" | "untrusted" }
  >();
  /** While true, writing fails as on a full disk. */
  full = false;

  get(path: string): { readonly text: string; readonly kind: "file" | "link" | "untrusted" } | undefined {
    return this.#files.get(path);
  }

  put(path: string, text: string, kind: "file" | "link" | "untrusted" = "file"): void {
    this.#files.set(path, { text, kind });
  }

  remove(path: string): void {
    this.#files.delete(path);
  }
}

export function createFakeLockFile(files: FakeFiles, path: string): LockFile {
  return new FakeLockFileDriver(files, path);
}

class FakeLockFileDriver implements LockFile {
  readonly path: string;
  readonly #files: FakeFiles;

  constructor(files: FakeFiles, path: string) {
    this.path = path;
    this.#files = files;
  }

  async read(): Promise<LockFileState> {
    this.#refuseLink();
    const file = this.#files.get(this.path);
    if (file === undefined) return { kind: "absent" };
    return file.kind === "untrusted" ? { kind: "untrusted" } : parseLockText(file.text);
  }

  async write(content: LockContent): Promise<void> {
    this.#refuseLink();
    if (this.#files.full)
      throw fileError(Object.assign(new Error("no space"), { code: "ENOSPC" }), this.path);
    this.#files.put(this.path, JSON.stringify(content));
  }

  async remove(): Promise<void> {
    this.#refuseLink();
    this.#files.remove(this.path);
  }

  #refuseLink(): void {
    if (this.#files.get(this.path)?.kind === "link") throw symlinkRefused(this.path);
  }
}
