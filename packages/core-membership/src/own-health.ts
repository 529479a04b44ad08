import type { Timing } from "./timing.ts";

/**
 * Lifeguard: a node whose own loop was late cannot tell a silent peer from its own deafness, so it blames
 * itself first. Two things follow: time in which we did not listen is no silence of the peer (`blindUs`),
 * and for a while all limits are stretched (`patience`), at most threefold.
 * Safety does not rest on this: leases and promises run by the clock whatever membership thinks.
 */
export interface OwnHealth {
  readonly lastTickUs: number;
  /** When the next tick shall come. */
  readonly nextTickUs: number;
  /** All time so far in which our loop did not run when it should have. Never goes back. */
  readonly blindUs: number;
  /** 1 is healthy. */
  readonly patience: number;
  /** The worst lateness since the start, and how often the loop was late. */
  readonly worstLateUs: number;
  readonly lateCount: number;
}

export const PATIENCE_MAX = 3;

/** Time in which a fully stretched patience goes back to 1, in tokens. */
const RECOVERY_TOKENS = 20;

export function healthyAt(nowUs: number): OwnHealth {
  return { lastTickUs: nowUs, nextTickUs: nowUs, blindUs: 0, patience: 1, worstLateUs: 0, lateCount: 0 };
}

/** Judges the loop by one tick; `lateUs` is 0 when it came within a tick of its time. */
export function tickHealth(
  health: OwnHealth,
  nowUs: number,
  timing: Timing,
): { health: OwnHealth; lateUs: number } {
  const passedUs = Math.max(0, nowUs - health.lastTickUs);
  const excessUs = nowUs - health.nextTickUs;
  const lateUs = excessUs > timing.tickUs ? excessUs : 0;
  if (lateUs > 0) {
    return {
      lateUs,
      health: {
        ...health,
        lastTickUs: nowUs,
        blindUs: health.blindUs + lateUs,
        patience: Math.min(PATIENCE_MAX, health.patience + lateUs / timing.tokenUs),
        worstLateUs: Math.max(health.worstLateUs, lateUs),
        lateCount: health.lateCount + 1,
      },
    };
  }
  const recovered = ((PATIENCE_MAX - 1) * passedUs) / (RECOVERY_TOKENS * timing.tokenUs);
  return {
    lateUs,
    health: { ...health, lastTickUs: nowUs, patience: Math.max(1, health.patience - recovered) },
  };
}
