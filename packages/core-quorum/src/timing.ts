/** Every duration of the protocol, derived from the token T. Microseconds. protocol.md, "Timing". */
export type Timing = {
  /** Bound on clock-rate error, a fraction (1 %). */
  readonly rho: number;
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

export const RHO = 0.01;

export function timingOf(tokenMs: number): Timing {
  const tokenUs = tokenMs * 1000;
  return {
    rho: RHO,
    tokenUs,
    heartbeatUs: Math.round(tokenUs / 10),
    leaseUs: Math.floor(tokenUs * (1 - RHO)),
    promiseUs: Math.ceil(tokenUs * (1 + RHO)),
    fenceUs: Math.ceil(tokenUs * (1 + 2 * RHO)),
    staleUs: Math.round(tokenUs / 5),
  };
}
