import type { Reason } from "@quorate/contracts";
import type { JournalStore } from "@quorate/journal-file";

/** How this node ended before this boot, when it was not asked to; null when it was, or never ran, or runs on. */
export function previousEnd(store: JournalStore, bootId: string): Reason | null {
  const last = store.last();
  if (last === null || last.bootId === bootId) return null;
  const supervisor = store.last("supervisor");
  if (supervisor?.event === "node.node_stopped") return null;
  const lastAt = new Date(last.wallMs).toISOString();
  return {
    code: "HOST_WENT_DOWN",
    message: `This host went down without an orderly stop some time after ${lastAt} (the last decision kept): power, a crash, or a reset.`,
    facts: { lastAt, lastBoot: last.bootId },
  };
}
