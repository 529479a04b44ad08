import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { drillSucceeded, runDrill } from "../src/drill.ts";
import { Lab } from "../src/index.ts";
import { ROOT, standInPlan, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const NAME = testLabName("drill");

beforeAll(sweepAbandonedTestLabs);

afterEach(async () => {
  await Lab.down(NAME);
  rmSync(join(ROOT, ".lab", `${NAME}-shared`), { recursive: true, force: true });
});

describe("the drill", () => {
  it("kills the master's host, shows what follows, brings the host back, and gives figures", async () => {
    const lab = await Lab.up(NAME, standInPlan(NAME));
    const lines: string[] = [];
    const result = await runDrill(lab, (line) => lines.push(line));
    expect(result).toMatchObject({
      token_ms: 1000,
      dual_ms: 0,
      old_master: 4,
      new_master: 2,
      config_version_before: 1,
      config_version_after: 2,
      all_nodes_on_new_config: true,
    });
    expect(drillSucceeded(result)).toBe(true);
    expect(result.vip_gap_ms).toBeGreaterThan(100);
    expect(result.service_gap_ms).toBeGreaterThanOrEqual(result.vip_gap_ms);
    const at = (text: string) => lines.findIndex((line) => line.includes(text));
    // The address may answer before it is announced; all else follows from each other.
    expect(at("node-2: announces")).toBeGreaterThan(at("node-4: its port left"));
    const steps = [
      "node-4: its port left",
      "node-2: first ICMP",
      "node-2: first HTTP",
      "configuration 2 is on all",
    ];
    const places = steps.map(at);
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((left, right) => left - right));
    expect(lines[places[1] ?? 0]).toMatch(/^ +\+\d+ ms {2}node-2: first ICMP/);
    expect(lab.status().hosts.every((host) => host.power === "on")).toBe(true);
  });

  it("in which nobody takes over is an error that says so", async () => {
    const plan = standInPlan(NAME);
    for (const host of plan.hosts.filter(({ id }) => id !== 4)) host.program.run = ["sleep", "infinity"];
    const lab = await Lab.up(NAME, plan);
    const limits = { serveMs: 30_000, failoverMs: 2000, configurationMs: 10_000, restoreMs: 10_000 };
    await expect(runDrill(lab, () => {}, limits)).rejects.toMatchObject({
      code: "SERVICE_FAILED",
      message: expect.stringContaining("no other node took the service over"),
    });
  });
});
