export { asRows, inOrder, type JournalQuery, readJournal } from "./reader.ts";
export type { JournalRow } from "./schema.ts";
export { isCorruption, JOURNAL_BOUNDS, type JournalBounds, JournalStore } from "./store.ts";
