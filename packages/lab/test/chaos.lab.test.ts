/** `npm run chaos` in short: some cheap faults once each. How long anything took is the long run's business. */
import { afterAll, describe, expect, it } from "vitest";
import { BenchLab } from "../src/bench/bench-lab.ts";
import { chooseFaults } from "../src/chaos/catalogue.ts";
import { planOf } from "../src/chaos/hosts.ts";
import { takeSample } from "../src/chaos/take.ts";
import { Lab } from "../src/index.ts";
import { ROOT, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const FAULTS = ["kill-quorum-evaluator-slave", "freeze-2s-master", "switch-5s"];

const name = testLabName("chaos");

afterAll(() => Lab.down(name));

describe("chaos", () => {
  it("nobody answers beside another, nobody answers with an old term, and the cluster converges", async () => {
    await sweepAbandonedTestLabs();
    await BenchLab.with(name, planOf("plain", ROOT, name), async (bench) => {
      for (const fault of chooseFaults(FAULTS)) {
        const sample = await takeSample(bench, fault, 0);
        expect(sample.after, `${fault.name} converges`).not.toBeNull();
        expect(sample.values, fault.name).toMatchObject({ dual_ms: 0, stale_answers: 0 });
        expect(sample.injected.toMs).toBeGreaterThanOrEqual(sample.injected.fromMs);
        expect(sample.holders.length).toBeGreaterThan(0);
      }
    });
  });
});
