/** The wire has 48 bits for it; a clock in milliseconds fills them in the year 10889. */
export const INCARNATION_MAX = 2 ** 48 - 1;

/** A clock beyond this (year 6429) is not believed: it would use up the numbers for ever. */
const CLOCK_MAX_MS = 2 ** 47 - 1;

/**
 * The incarnation of a process that starts now: `max(persisted + 1, clock)`.
 * The persisted one makes it rise when the clock was stepped back, the clock makes it rise when the state was
 * lost. When both went, peers refuse us as stale and say in their heartbeats which incarnation they know:
 * then ours is lifted above it (`liftedIncarnation`).
 */
export function nextIncarnation(persisted: number | null, wallClockMs: number): number {
  const clock = Number.isFinite(wallClockMs) && wallClockMs > 0 ? Math.floor(wallClockMs) : 1;
  const believed = clock <= CLOCK_MAX_MS ? clock : 1;
  const counted = persisted === null || persisted >= INCARNATION_MAX ? 1 : persisted + 1;
  return Math.max(counted, believed);
}

/** Above the one that a peer knows of us; null when there is no room left. */
export function liftedIncarnation(known: number): number | null {
  return known < INCARNATION_MAX ? known + 1 : null;
}
