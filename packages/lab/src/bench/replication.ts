/** How long after a change on its owner's disk every other node's replica of the inventories has it. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { hostDir } from "../host.ts";
import { waitUntil } from "../processes.ts";
import type { MachineBench } from "./machine-bench.ts";
import type { Sample } from "./results.ts";

const LIMIT_MS = 10_000;
const LOOK_MS = 2;
const BASE_PRIO = 1000;

const BodySchema = z.object({ prio: z.int() });

export async function takeReplication(bench: MachineBench, round: number): Promise<Sample> {
  const { machines } = await bench.settled();
  const machine = machines[round % machines.length];
  const owner = machine?.node ?? null;
  if (machine === undefined || owner === null) throw bench.bench.stuck("a guest has no owner");
  const record = bench.lab.record();
  const stateOf = (id: number) => join(hostDir(record, id), "state");
  const prio = BASE_PRIO + round;
  const others = new Map(
    bench.bench.othersOf(owner).map((id) => [id, join(stateOf(id), "inventory/inventory.db")]),
  );
  const argv = [...record.quorate, "vm", "policy", machine.vm, "--prio", String(prio)];
  const asked = bench.lab.exec(owner, argv);
  let seenMs = 0;
  const isEverywhere = await waitUntil(
    () => {
      for (const [id, path] of others) if (prioIn(path, owner, machine.vm) === prio) others.delete(id);
      seenMs = Date.now();
      return others.size === 0;
    },
    LIMIT_MS,
    LOOK_MS,
  );
  const result = await asked;
  if (result.code !== 0) throw bench.bench.stuck(`${argv.join(" ")}: ${result.stderr || result.stdout}`);
  if (!isEverywhere) throw bench.bench.stuck(`not every replica has the change of ${machine.vm}`);
  // Written as a whole with each change, and nothing else changes in this lab.
  const changedMs = statSync(join(stateOf(owner), "machines/records.state")).mtimeMs;
  return bench.bench.sample(`${machine.vm} of node-${owner}`, {
    replication_ms: Math.max(0, seenMs - changedMs),
  });
}

/** Null while there is no such record, or the file is being written. */
function prioIn(path: string, node: number, vm: string): number | null {
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const row = database.prepare("SELECT body FROM record WHERE node = ? AND vm = ?").get(node, vm);
      const parsed = BodySchema.safeParse(JSON.parse(String(row?.["body"])));
      return parsed.success ? parsed.data.prio : null;
    } finally {
      database.close();
    }
  } catch {
    return null;
  }
}
