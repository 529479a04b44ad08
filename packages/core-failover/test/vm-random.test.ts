import { describe, expect, it } from "vitest";
import { hasConverged, runProofSchedule, runSchedule, runWatchdogSchedule } from "./vm-schedule.ts";

const SEEDS = 120;

describe("machines under random faults", () => {
  it(`never reach network or storage twice (INV-3), start twice (INV-4) or too early (INV-7), and all run in the end: ${SEEDS} seeds`, () => {
    const total = { starts: 0, resumes: 0, moves: 0, suspends: 0 };
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const world = runSchedule(seed);
      expect(world.violations, `seed ${seed}\n${world.log.slice(-40).join("\n")}`).toEqual([]);
      expect(hasConverged(world), `seed ${seed}: ${world.blockedReasons().join("; ")}`).toBe(true);
      for (const key of ["starts", "resumes", "moves", "suspends"] as const) total[key] += world.counts[key];
    }
    // A world in which nothing happens proves nothing.
    expect(total.starts).toBeGreaterThan(4 * SEEDS);
    expect(total.resumes).toBeGreaterThan(SEEDS);
    expect(total.moves).toBeGreaterThan(SEEDS / 2);
    expect(total.suspends).toBeGreaterThan(SEEDS);
  }, 120_000);

  it("never run twice where no gate holds them, on a word that a host is off, and run again on it", () => {
    const seeds = 40;
    let placed = 0;
    for (let seed = 1; seed <= seeds; seed += 1) {
      const world = runProofSchedule(seed);
      expect(world.violations, `seed ${seed}\n${world.log.slice(-40).join("\n")}`).toEqual([]);
      expect(hasConverged(world), `seed ${seed}: ${world.blockedReasons().join("; ")}`).toBe(true);
      placed += world.log.filter((line) => line.includes("HOST_OFF_CONFIRMED")).length;
    }
    expect(placed).toBeGreaterThan(2 * seeds);
  }, 60_000);

  it("never run twice where only a watchdog ends them with the lease, and run again when it must have", () => {
    const seeds = 60;
    const total = { resets: 0, takeOvers: 0 };
    for (let seed = 1; seed <= seeds; seed += 1) {
      const world = runWatchdogSchedule(seed);
      expect(world.violations, `seed ${seed}\n${world.log.slice(-40).join("\n")}`).toEqual([]);
      expect(hasConverged(world), `seed ${seed}: ${world.blockedReasons().join("; ")}`).toBe(true);
      total.resets += world.counts.resets;
      total.takeOvers += world.counts.takeOvers;
    }
    expect(total.resets).toBeGreaterThan(seeds);
    // Some of them after its host was reset and is back: twice as many, and most are by time alone.
    expect(total.takeOvers).toBeGreaterThan(2 * seeds);
  }, 120_000);
});
