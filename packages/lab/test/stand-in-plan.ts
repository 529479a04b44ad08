import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DEFAULT_TOPOLOGY, Lab, type LabPlan, quoratePlan } from "../src/index.ts";
import { LAB_RUN_ROOT } from "../src/record.ts";

export const ROOT = resolve(import.meta.dirname, "../../..");
const STAND_IN = join(import.meta.dirname, "stand-in/quorate");

/** A name that no other run of the tests has at the same time. */
export function testLabName(kind: string): string {
  return `test-${kind}-${process.pid}`;
}

/** Takes down labs of test runs that were killed before they could. */
export async function sweepAbandonedTestLabs(): Promise<void> {
  const names = existsSync(LAB_RUN_ROOT) ? readdirSync(LAB_RUN_ROOT) : [];
  for (const name of names) {
    const pid = /^test-[a-z]+-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await Lab.down(name);
  }
}

/** The lab's usual hosts with another command. They do nothing unless `run` says so. */
export function idlePlan(name: string, run: string[] = ["sleep", "infinity"]): LabPlan {
  const plan = quoratePlan(ROOT, name, DEFAULT_TOPOLOGY, "stand-in\n");
  return {
    ...plan,
    hosts: plan.hosts.map((host) => ({
      ...host,
      program: { configuration: "stand-in\n", prepare: [], run },
    })),
  };
}

/** The lab's usual hosts with the naive stand-in for the product. */
export function standInPlan(name: string): LabPlan {
  const plan = idlePlan(name);
  const shared = join(dirname(plan.dataDir), `${name}-shared`);
  mkdirSync(shared, { recursive: true });
  writeFileSync(join(shared, "version"), "0\n");
  const quorate = ["env", `SHARED=${shared}`, STAND_IN];
  return {
    ...plan,
    quorate,
    hosts: plan.hosts.map((host) => ({
      ...host,
      program: {
        configuration: "stand-in\n",
        prepare: [[...quorate, "init"]],
        run: [...quorate, "node", "run"],
      },
    })),
  };
}
