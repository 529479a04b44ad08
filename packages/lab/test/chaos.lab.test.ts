/** `npm run chaos` in short: some cheap faults once each. How long anything took is the long run's business. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { BenchLab } from "../src/bench/bench-lab.ts";
import { chooseFaults } from "../src/chaos/catalogue.ts";
import { planOf } from "../src/chaos/hosts.ts";
import { takeSample } from "../src/chaos/take.ts";
import { Lab } from "../src/index.ts";
import { ROOT, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const FAULTS = ["kill-quorum-evaluator-slave", "freeze-2s-master", "switch-5s"];

const name = testLabName("chaos");

const recordings = mkdtempSync(join(tmpdir(), "quorate-chaos-"));

afterAll(async () => {
  rmSync(recordings, { recursive: true, force: true });
  await Lab.down(name);
});

describe("chaos", () => {
  it("nobody answers beside another, nobody answers with an old term, the cluster converges, its recordings replay", async () => {
    await sweepAbandonedTestLabs();
    await BenchLab.with(name, planOf("plain", ROOT, name, 0), async (bench) => {
      for (const fault of chooseFaults(FAULTS)) {
        const sample = await takeSample({ bench, machines: null, recordings }, fault, 0);
        expect(sample.after, `${fault.name} converges`).not.toBeNull();
        expect(sample.values, fault.name).toMatchObject({ dual_ms: 0, stale_answers: 0 });
        expect(sample.injected.toMs).toBeGreaterThanOrEqual(sample.injected.fromMs);
        expect(sample.replay, fault.name).toMatchObject({ nodes: 3, equal: 3, differences: [], crashes: [] });
        expect(sample.replay?.steps).toBeGreaterThan(0);
        expect(sample.holders.length).toBeGreaterThan(0);
      }
    });
  });
});
