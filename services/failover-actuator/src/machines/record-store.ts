import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  ArmedWatchdogFileSchema,
  QuorateError,
  VmInventoryFileSchema,
  VmLifeFileSchema,
  type VmRecord,
  type WatchdogConfig,
} from "@quorate/contracts";
import {
  type Logger,
  readStateFile,
  takeStateFile,
  writeFileDurably,
  writeStateFile,
} from "@quorate/runtime";

const DIGEST = /^[0-9a-f]{64}$/;

/** Names a definition by its content. */
export function definitionDigest(xml: string): string {
  return createHash("sha256").update(xml).digest("hex");
}

/** This host's inventory on its disk: one file of records, replaced as a whole, and the definitions by digest. */
export class RecordStore {
  readonly #folder: string;
  readonly #definitions: string;

  constructor(stateDir: string) {
    this.#folder = join(stateDir, "machines");
    this.#definitions = join(this.#folder, "definitions");
    mkdirSync(this.#definitions, { recursive: true, mode: 0o700 });
  }

  /**
   * Begins a life: a number higher than that of every earlier one, on disk before anything is done under it. A lost
   * file is made up for by the clock, as for a heartbeat's incarnation.
   */
  async beginLife(logger: Logger): Promise<number> {
    const path = join(this.#folder, "life.state");
    const { state, refused } = takeStateFile(path, VmLifeFileSchema);
    if (refused !== null) logger.error({ code: refused.code, hint: refused.hint }, refused.message);
    const incarnation = Math.max((state?.incarnation ?? 0) + 1, Math.floor(Date.now() / 1000));
    await writeStateFile(path, { incarnation });
    return incarnation;
  }

  /** A file that cannot be trusted counts as none (`lost`): what runs here is then a copy that nobody ordered. */
  readRecords(logger: Logger): { records: VmRecord[]; lost: boolean } {
    const { state, refused } = takeStateFile(join(this.#folder, "records.state"), VmInventoryFileSchema);
    if (refused !== null) logger.error({ code: refused.code, hint: refused.hint }, refused.message);
    return { records: state?.records ?? [], lost: refused !== null };
  }

  /** The same for who only looks: nothing is moved, for the owner may be writing. */
  peekRecords(logger: Logger): VmRecord[] {
    try {
      return readStateFile(join(this.#folder, "records.state"), VmInventoryFileSchema)?.records ?? [];
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      logger.warn({ code: error.code, hint: error.hint }, error.message);
      return [];
    }
  }

  /** Durable when it resolves. Throws QuorateError DISK_FULL. */
  async writeRecords(records: readonly VmRecord[]): Promise<void> {
    await writeStateFile(join(this.#folder, "records.state"), { records });
  }

  /** The watchdog that was armed last and not taken down, by this life or an earlier one; null: none, or nobody knows. */
  readArmedWatchdog(logger: Logger): WatchdogConfig | null {
    const { state, refused } = takeStateFile(join(this.#folder, "watchdog.state"), ArmedWatchdogFileSchema);
    if (refused !== null) logger.error({ code: refused.code, hint: refused.hint }, refused.message);
    return state?.watchdog ?? null;
  }

  /** Durable when it resolves. Throws QuorateError DISK_FULL. */
  async writeArmedWatchdog(watchdog: WatchdogConfig | null): Promise<void> {
    await writeStateFile(join(this.#folder, "watchdog.state"), { watchdog });
  }

  /** The definition of that digest; null when it is not here, or not whole any more. */
  async readDefinition(digest: string): Promise<string | null> {
    if (!DIGEST.test(digest)) return null;
    try {
      const xml = await readFile(this.#pathOf(digest), "utf8");
      return definitionDigest(xml) === digest ? xml : null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  /** Keeps a definition, durably; answers with its digest. Throws QuorateError DISK_FULL. */
  async writeDefinition(xml: string): Promise<string> {
    const digest = definitionDigest(xml);
    if ((await this.readDefinition(digest)) === null) {
      await writeFileDurably(this.#pathOf(digest), xml, { mode: 0o600 });
    }
    return digest;
  }

  #pathOf(digest: string): string {
    return join(this.#definitions, `${digest}.xml`);
  }
}
