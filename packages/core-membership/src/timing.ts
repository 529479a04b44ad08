import { CALM_HEARTBEATS, heartbeatUsOf, staleUsOf } from "@quorate/contracts";

/** Every duration of failure detection follows from the token; microseconds throughout. */
export interface Timing {
  /** T. */
  readonly tokenUs: number;
  /** Between two heartbeats: T/10. */
  readonly heartbeatUs: number;
  /** Between two ballots of our evaluator while all is calm: T/5. */
  readonly calmUs: number;
  /** A look at the clock that comes later than this, T/20, was late; two never come closer together. */
  readonly tickUs: number;
  /** Between two looks at the clock when no limit is near: T/5. See `nextTickUs`. */
  readonly lookUs: number;
  /** Silence after which a peer is suspect: 0.6 T, six heartbeats; a process that restarts is back sooner. */
  readonly suspectUs: number;
  /** Silence after which a peer has failed: T. */
  readonly deadUs: number;
  /** A local message older than this is dropped: T/5. */
  readonly staleUs: number;
  /** Between two complete statements to the other services of the node when nothing changed: T/2. */
  readonly publishUs: number;
  /** One more heartbeat may go out of turn every T/40, see `SEND_BURST`. */
  readonly refillUs: number;
  /** How far back flapping and lifted incarnations are counted: 60 T. */
  readonly memoryUs: number;
}

/** Heartbeats that may go out in one burst; bounds what a mad local service can make us send. */
export const SEND_BURST = 10;

export function timingOf(tokenMs: number): Timing {
  const tokenUs = tokenMs * 1000;
  return {
    tokenUs,
    heartbeatUs: heartbeatUsOf(tokenUs),
    calmUs: CALM_HEARTBEATS * heartbeatUsOf(tokenUs),
    tickUs: Math.round(tokenUs / 20),
    lookUs: Math.round(tokenUs / 5),
    suspectUs: Math.round(tokenUs * 0.6),
    deadUs: tokenUs,
    staleUs: staleUsOf(tokenUs),
    publishUs: Math.round(tokenUs / 2),
    refillUs: Math.round(tokenUs / 40),
    memoryUs: tokenUs * 60,
  };
}
