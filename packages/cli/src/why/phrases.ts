/** Words for times and lists, as people read them. Times are the host's own: `TZ` decides. */

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** `10:15:03.412`, in the time zone of the host. */
export function clock(wallMs: number): string {
  const at = new Date(wallMs);
  const millis = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${millis}`;
}

/** `2026-11-22` */
export function day(wallMs: number): string {
  const at = new Date(wallMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

/** `a`, `a and b`, `a, b and c` */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? "";
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** How long ago, roughly: `12 s`, `5 min`, `3 h`, `2 days`. */
export function ago(durationMs: number): string {
  const s = Math.max(0, Math.round(durationMs / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} days`;
}
