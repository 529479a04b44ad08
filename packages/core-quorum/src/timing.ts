import { CLOCK_RATE_ERROR, heartbeatUsOf, staleUsOf } from "@quorate/contracts";

/** Every duration of the protocol, derived from the token T. Microseconds. protocol.md, "Timing". */
export type Timing = {
  readonly tokenUs: number;
  /** T/10. */
  readonly heartbeatUs: number;
  /** How long a lease lasts on its holder's clock, counted from the sending of the acknowledged ballot. */
  readonly leaseUs: number;
  /** How long a promise lasts on the voter's clock, counted from its receipt. */
  readonly promiseUs: number;
  /** From a last grant, on anybody's clock, until the grantee's lease is surely over. */
  readonly fenceUs: number;
  /** A local message older than this is dropped. */
  readonly staleUs: number;
};

/** Asked for many times in every step, and nearly always of the same token. */
let last: { readonly tokenMs: number; readonly timing: Timing } | null = null;

export function timingOf(tokenMs: number): Timing {
  if (last?.tokenMs === tokenMs) return last.timing;
  const timing = derive(tokenMs);
  last = { tokenMs, timing };
  return timing;
}

function derive(tokenMs: number): Timing {
  const tokenUs = tokenMs * 1000;
  return {
    tokenUs,
    heartbeatUs: heartbeatUsOf(tokenUs),
    leaseUs: Math.floor(tokenUs * (1 - CLOCK_RATE_ERROR)),
    promiseUs: Math.ceil(tokenUs * (1 + CLOCK_RATE_ERROR)),
    fenceUs: Math.ceil(tokenUs * (1 + 2 * CLOCK_RATE_ERROR)),
    staleUs: staleUsOf(tokenUs),
  };
}
