import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { applyEdit, type Mutation } from "./mutation.ts";

export const ROOT = join(import.meta.dirname, "../../../..");

/** Every file that the mutation changes, as it is to be loaded. */
export function mutatedSources(mutation: Mutation): Map<string, string> {
  const sources = new Map<string, string>();
  for (const edit of mutation.edits) {
    const path = join(ROOT, edit.file);
    sources.set(path, applyEdit(sources.get(path) ?? readFileSync(path, "utf8"), edit));
  }
  return sources;
}

/**
 * From now on this thread loads the files of the mutation as it wants them. To be called before anything
 * imports them. Answers with the files that were loaded so: a mutation of what nobody loads proves nothing.
 */
export function loadMutated(mutation: Mutation): ReadonlySet<string> {
  const sources = new Map<string, string>();
  for (const [path, source] of mutatedSources(mutation)) sources.set(pathToFileURL(path).href, source);
  const loaded = new Set<string>();
  registerHooks({
    load(url, context, nextLoad) {
      const source = sources.get(url);
      if (source === undefined) return nextLoad(url, context);
      loaded.add(url);
      return { ...nextLoad(url, context), source };
    },
  });
  return loaded;
}
