import { CLOCK_RATE_ERROR } from "@quorate/contracts";
import type { Random } from "./random.ts";

/** Half of rho to either side, a little less: the clocks of any two hosts then differ by at most rho. */
const RATE_SPREAD = (CLOCK_RATE_ERROR / 2) * 0.99;

/** One host's CLOCK_MONOTONIC against real time. The rate is the host's for as long as it is up. */
export class HostClock {
  readonly rate: number;
  private offsetUs: number;

  constructor(rate: number, offsetUs: number) {
    this.rate = rate;
    this.offsetUs = offsetUs;
  }

  /** The ends of what is allowed as often as anything between: that is where margins are too thin. */
  static drawn(random: Random, nowUs: number, localUs: number): HostClock {
    const side = random.pick([-1, -1, 1, 1, 0, random.next() * 2 - 1]);
    const rate = 1 + side * RATE_SPREAD;
    return new HostClock(rate, localUs - Math.floor(nowUs * rate));
  }

  localUs(nowUs: number): number {
    return Math.floor(nowUs * this.rate) + this.offsetUs;
  }

  /** The first instant of real time at which the host reads `localUs` or later. */
  realUs(localUs: number): number {
    return Math.ceil((localUs - this.offsetUs) / this.rate);
  }

  /** How long `durationUs` of the host's time takes. */
  realDurationUs(durationUs: number): number {
    return Math.ceil(durationUs / this.rate);
  }

  /** The host was suspended for so long: its clock did not see it. */
  standStill(durationUs: number): void {
    this.offsetUs -= Math.floor(durationUs * this.rate);
  }
}
