/**
 * Samples on disk, one file for all series, written after every sample: a bench that was stopped goes on where it
 * was, and `--only` adds to what is there. Samples of another build are never mixed in.
 */
import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

export const SampleSchema = z.object({
  /** What was measured, by name; units last in the name. */
  values: z.record(z.string(), z.number()),
  /** Which case of the series this was, e.g. `master nats-server`. */
  label: z.string(),
  /** The machine's load average of the last minute when the sample was taken. */
  load: z.number(),
});
export type Sample = z.infer<typeof SampleSchema>;

type Stored<One extends Sample> = { build: string; series: Record<string, One[]> };

export class Results<One extends Sample = Sample> {
  readonly #path: string;
  readonly #build: string;
  readonly #schema: z.ZodType<Stored<One>>;
  #series: Record<string, One[]> = {};

  private constructor(path: string, build: string, sample: z.ZodType<One>) {
    this.#path = path;
    this.#build = build;
    this.#schema = z.object({ build: z.string(), series: z.record(z.string(), z.array(sample)) });
    this.#read();
  }

  static open(path: string, build: string): Results;
  static open<One extends Sample>(path: string, build: string, sample: z.ZodType<One>): Results<One>;
  static open(path: string, build: string, sample: z.ZodType<Sample> = SampleSchema): Results {
    return new Results(path, build, sample);
  }

  of(series: string): readonly One[] {
    return this.#series[series] ?? [];
  }

  /** What another run beside this one has added meanwhile is kept. */
  add(series: string, sample: One): void {
    this.#read();
    this.#series = { ...this.#series, [series]: [...this.of(series), sample] };
    this.#write();
  }

  forget(series: string): void {
    this.#read();
    this.#series = { ...this.#series, [series]: [] };
    this.#write();
  }

  #read(): void {
    try {
      const stored = this.#schema.parse(JSON.parse(readFileSync(this.#path, "utf8")));
      this.#series = stored.build === this.#build ? stored.series : {};
    } catch {
      // None yet, or of another format.
      this.#series = {};
    }
  }

  #write(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify({ build: this.#build, series: this.#series }, null, 1)}\n`);
    renameSync(temporary, this.#path);
  }
}

/** Names what is measured: a digest of the programs that the hosts run. */
export function buildDigest(root: string): string {
  const hash = createHash("sha256");
  for (const path of globSync(["packages/cli/dist/*.js", "services/*/dist/*.js"], { cwd: root }).sort()) {
    hash.update(path).update(readFileSync(join(root, path)));
  }
  return hash.digest("hex").slice(0, 16);
}
