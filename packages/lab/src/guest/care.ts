/** The guests under the product's care: handed over to it as an operator would, and what it says of them. */
import { NodeIdSchema, QuorateError } from "@quorate/contracts";
import { z } from "zod";
import type { GuestWatch } from "../guest-watch.ts";
import type { Lab } from "../lab.ts";
import { waitUntil } from "../processes.ts";
import { DEFINITION_FOLDER, guestsOf } from "./guests.ts";

const LOOK_MS = 250;
const COMMAND_LIMIT_MS = 20_000;

const MachineListSchema = z.object({
  machines: z.array(
    z.object({
      vm: z.string(),
      node: NodeIdSchema.nullable(),
      state: z.string(),
      movingTo: NodeIdSchema.nullable(),
      blocked: z.string().nullable(),
    }),
  ),
  masterKnown: z.boolean(),
});
export type CaredMachine = z.infer<typeof MachineListSchema>["machines"][number];

/** `quorate vm list` in this host; null when it does not answer, or knows no master. */
export async function readMachines(lab: Lab, id: number): Promise<CaredMachine[] | null> {
  try {
    const argv = [...lab.record().quorate, "vm", "list", "--json"];
    const { stdout } = await lab.exec(id, argv, COMMAND_LIMIT_MS);
    const parsed = MachineListSchema.safeParse(JSON.parse(stdout));
    return parsed.success && parsed.data.masterKnown ? parsed.data.machines : null;
  } catch {
    return null;
  }
}

/**
 * `quorate vm define` for each file of `names`, said in host `from`, the owners taken from `owners` in turn. Each is
 * tried again until `limitMs`: a host that has just got its power may not have its libvirtd yet.
 */
export async function defineMachines(
  lab: Lab,
  from: number,
  owners: readonly number[],
  names: readonly string[],
  limitMs: number,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const file = `${DEFINITION_FOLDER}/${name}.xml`;
    const owner = owners[index % owners.length] ?? from;
    const argv = [...lab.record().quorate, "vm", "define", file, "--node", String(owner)];
    let said = "";
    const isTaken = async () => {
      const result = await lab.exec(from, argv, COMMAND_LIMIT_MS);
      said = (result.stderr || result.stdout).trim();
      return result.code === 0;
    };
    if (await waitUntil(isTaken, limitMs, LOOK_MS)) continue;
    throw new QuorateError("SERVICE_FAILED", `${argv.join(" ")}: ${said}`, "The hosts' logs say more.");
  }
}

/** All guests of the lab, the first one on the first of `owners`. */
export function defineGuests(
  lab: Lab,
  from: number,
  owners: readonly number[],
  limitMs: number,
): Promise<void> {
  const names = guestsOf(lab.record().guests).map(({ name }) => name);
  return defineMachines(lab, from, owners, names, limitMs);
}

/**
 * Waits until every guest runs, as the product says on host `id`, and has answered since this call. Answers where each
 * runs; null when they do not come to it.
 */
export async function guestsServe(
  lab: Lab,
  watch: GuestWatch,
  id: number,
  limitMs: number,
): Promise<CaredMachine[] | null> {
  const silent = new Set(watch.guests.map(({ name }) => name));
  const end = watch.onAnswer(({ guest }) => silent.delete(guest));
  let machines: CaredMachine[] | null = null;
  try {
    const isServing = await waitUntil(
      async () => {
        if (watch.failure !== null) return true;
        machines = silent.size > 0 ? null : await readMachines(lab, id);
        return machines?.every(isSettled) === true && machines.length >= watch.guests.length;
      },
      limitMs,
      LOOK_MS,
    );
    return isServing && watch.failure === null ? machines : null;
  } finally {
    end();
  }
}

function isSettled({ state, node, movingTo }: CaredMachine): boolean {
  return state === "running" && node !== null && movingTo === null;
}
