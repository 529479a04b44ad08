import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DEFAULT_TOPOLOGY, type LabPlan, quoratePlan } from "../src/index.ts";

export const ROOT = resolve(import.meta.dirname, "../../..");
const STAND_IN = join(import.meta.dirname, "stand-in/quorate");

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
