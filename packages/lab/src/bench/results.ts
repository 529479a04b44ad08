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

const ResultsSchema = z.object({ build: z.string(), series: z.record(z.string(), z.array(SampleSchema)) });

export class Results {
  readonly #path: string;
  readonly #build: string;
  #series: Record<string, Sample[]>;

  private constructor(path: string, build: string, series: Record<string, Sample[]>) {
    this.#path = path;
    this.#build = build;
    this.#series = series;
  }

  static open(path: string, build: string): Results {
    try {
      const stored = ResultsSchema.parse(JSON.parse(readFileSync(path, "utf8")));
      if (stored.build === build) return new Results(path, build, stored.series);
    } catch {
      // None yet, or of another format.
    }
    return new Results(path, build, {});
  }

  of(series: string): readonly Sample[] {
    return this.#series[series] ?? [];
  }

  add(series: string, sample: Sample): void {
    this.#series = { ...this.#series, [series]: [...this.of(series), sample] };
    this.#write();
  }

  forget(series: string): void {
    this.#series = { ...this.#series, [series]: [] };
    this.#write();
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
