/**
 * Which datagram counters of one sender, incarnation and ring were accepted. What lies below the window
 * cannot be told from a replay and is refused; reordering by more than `WINDOW_SIZE` datagrams counts as loss.
 */
export interface ReplayWindow {
  /** The highest counter accepted; 0 when none was (counters start at 1). */
  readonly highest: number;
  /** The first counter accepted: what came before it was never promised to us and is not a loss. */
  readonly first: number;
  /** Bit n set: `highest - n` was accepted. */
  readonly bits: bigint;
}

export const WINDOW_SIZE = 128;
const WINDOW_MASK = (1n << BigInt(WINDOW_SIZE)) - 1n;

export const EMPTY_WINDOW: ReplayWindow = { highest: 0, first: 0, bits: 0n };

/** True when the counter was never accepted and is not too old to know. */
export function isFresh(window: ReplayWindow, counter: number): boolean {
  if (!Number.isSafeInteger(counter) || counter < 1) return false;
  if (counter > window.highest) return true;
  const back = window.highest - counter;
  return back < WINDOW_SIZE && ((window.bits >> BigInt(back)) & 1n) === 0n;
}

/** The window after accepting a fresh counter. */
export function accept(window: ReplayWindow, counter: number): ReplayWindow {
  const first = window.first === 0 ? counter : Math.min(window.first, counter);
  if (counter <= window.highest) {
    return { highest: window.highest, first, bits: window.bits | (1n << BigInt(window.highest - counter)) };
  }
  const shift = counter - window.highest;
  const shifted = shift >= WINDOW_SIZE ? 0n : (window.bits << BigInt(shift)) & WINDOW_MASK;
  return { highest: counter, first, bits: shifted | 1n };
}

/** Share of the last (at most) 100 datagrams sent that did not arrive, in percent with one decimal. */
export function lossPercent(window: ReplayWindow): number {
  if (window.highest === 0) return 0;
  const span = Math.min(100, window.highest - window.first + 1);
  const arrived = countBits(BigInt.asUintN(span, window.bits));
  return Math.round(((span - arrived) * 1000) / span) / 10;
}

/** By halves within each 32 bits ("Hacker's Delight", 5-1): bit by bit costs a bigint each. */
function countBits(bits: bigint): number {
  let count = 0;
  for (let rest = bits; rest > 0n; rest >>= 32n) {
    let word = Number(BigInt.asUintN(32, rest));
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}
