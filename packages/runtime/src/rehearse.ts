import type { Lifecycle } from "./lifecycle.ts";

const REHEARSE_AFTER_MS = 1_500;
const SLICE_EVERY_MS = 5;

/** Plays a rehearsal slice by slice. Not at once: a restarted service has a lease to save first. */
export function rehearseWhenSettled(lifecycle: Lifecycle, rehearsal: Iterator<void, unknown>): void {
  const slice = () => {
    if (rehearsal.next().done !== true) timer = setTimeout(slice, SLICE_EVERY_MS);
  };
  let timer = setTimeout(slice, REHEARSE_AFTER_MS);
  lifecycle.onStop("rehearsal", () => clearTimeout(timer));
}
