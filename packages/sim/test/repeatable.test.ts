import { describe, expect, test } from "vitest";
import { type FaultAction, runCampaign, runSeed, type Schedule, shrink } from "../src/index.ts";
import { QUIET } from "../src/schedule.ts";

const short = { faultUs: 12_000_000, healUs: 6_000_000 };

describe("a run", () => {
  test("is the same again, with its story or without", async () => {
    const [first, second, silent] = [
      await runSeed({ ...short, seed: 7, generator: "mixed", trace: true }),
      await runSeed({ ...short, seed: 7, generator: "mixed", trace: true }),
      await runSeed({ ...short, seed: 7, generator: "mixed" }),
    ];
    expect(second.digest).toBe(first.digest);
    expect(silent.digest).toBe(first.digest);
    expect(second.trace).toEqual(first.trace);
    expect(first.trace.length).toBeGreaterThan(50);
    expect(silent.trace).toEqual([]);
  });

  test("changes no message after it was sent: every receiver shares it", async () => {
    const options = { ...short, seed: 11, generator: "mixed" };
    const frozen = await runSeed({ ...options, freeze: true });
    expect(frozen.violations).toEqual([]);
    expect(frozen.digest).toBe((await runSeed(options)).digest);
  });

  test("of another seed is another", async () => {
    const [first, second] = [await runSeed({ ...short, seed: 1 }), await runSeed({ ...short, seed: 2 })];
    expect(second.digest).not.toBe(first.digest);
  });

  test("is the same in a thread", async () => {
    const threaded = await runCampaign({ ...short, seeds: 2, from: 20, workers: 2 });
    const here = await runCampaign({ ...short, seeds: 2, from: 20, workers: 1 });
    expect(threaded.faults).toEqual(here.faults);
    expect(threaded.simulatedUs).toBe(here.simulatedUs);
    expect(threaded.failed).toEqual([]);
  });
});

describe("without faults", () => {
  test("the first master holds the address within three tokens, and nobody else ever does", async () => {
    const schedule: Schedule = { noise: QUIET, actions: [] };
    const result = await runSeed({ seed: 1, schedule, faultUs: 8_000_000, healUs: 4_000_000, trace: true });
    expect(result.violations).toEqual([]);
    expect(result.elections).toBe(1);
    const taken = result.trace.filter((line) => line.includes("actuator LEASE: The gate"));
    expect(taken).toHaveLength(1);
    expect(Number(taken[0]?.split(" ")[0])).toBeLessThan(3);
  });
});

describe("a violation", () => {
  // Outside of the assumptions: the kernel of the master stands still for longer than its lease.
  const suspended: FaultAction = {
    atUs: 6_000_000,
    kind: "suspend-host",
    node: "master:a",
    forUs: 3_000_000,
  };
  const beside: FaultAction[] = [
    { atUs: 4_000_000, kind: "crash", node: 3, process: "membership", downUs: 200_000 },
    { atUs: 4_500_000, kind: "wall-step", node: 2, byMs: 5000 },
    { atUs: 5_000_000, kind: "service-crash", node: "master:b" },
    { atUs: 5_500_000, kind: "replay", from: 1, count: 10 },
  ];
  const options = {
    seed: 3,
    schedule: { noise: { ...QUIET, duplicate: 0.1 }, actions: [...beside, suspended] },
    ...short,
  };

  test("says what the world looked like, and shrinks to what brought it about", async () => {
    const failed = await runSeed(options);
    expect(failed.violations.map(({ invariant }) => invariant)).toContain("INV-1");
    expect(failed.violations[0]?.world).toHaveLength(3);
    const shortest = await shrink(options, failed);
    expect(shortest.violations[0]?.invariant).toBe(failed.violations[0]?.invariant);
    expect(shortest.schedule).toEqual({ noise: QUIET, actions: [suspended] });
    expect(shortest.trace.at(-1)).toContain("VIOLATION");
  });

  test("that is none cannot be shrunk", async () => {
    const fine = await runSeed({ seed: 1, schedule: { noise: QUIET, actions: [] }, ...short });
    await expect(shrink({ seed: 1 }, fine)).rejects.toThrow("nothing to shrink");
  });
});
