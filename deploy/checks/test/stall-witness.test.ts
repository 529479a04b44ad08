import { describe, expect, it } from "vitest";
import { longestStallMs, StallWitness } from "../stall-witness.ts";

describe("longestStallMs", () => {
  const stalls = [
    { fromMs: 1000, untilMs: 1150 },
    { fromMs: 2000, untilMs: 2400 },
  ];

  it("is the longest that touches the time, and 0 when none does", () => {
    expect(longestStallMs(stalls, 0, 5000)).toBe(400);
    expect(longestStallMs(stalls, 1100, 1900)).toBe(150);
    expect(longestStallMs(stalls, 2399, 2399)).toBe(400);
    expect(longestStallMs(stalls, 1200, 1900)).toBe(0);
    expect(longestStallMs(stalls, 2500, 9000)).toBe(0);
  });
});

describe("a witness", () => {
  it("sees that its own process stood still", async () => {
    const witness = new StallWitness();
    const fromMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 40));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
    await new Promise((resolve) => setTimeout(resolve, 40));
    witness.stop();
    expect(witness.longestMs(fromMs, Date.now())).toBeGreaterThanOrEqual(100);
  });
});
