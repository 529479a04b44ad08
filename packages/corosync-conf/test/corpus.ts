import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeText } from "../src/index.ts";

const folder = join(import.meta.dirname, "corpus");

export interface CorpusFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Every file of test/corpus, written for these tests in the manner of what is found in the field. */
export function corpus(): CorpusFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".conf"))
    .sort()
    .map((name) => {
      const bytes = new Uint8Array(readFileSync(join(folder, name)));
      return { name, bytes, text: decodeText(bytes) };
    });
}

/** Where the expected report on a file of the corpus lies. */
export function expectedReport(name: string): string {
  return join(folder, name.replace(/\.conf$/, ".expect"));
}
