import { NodeIdSchema } from "@quorate/contracts";
import { z } from "zod";
import type { Lab } from "./lab.ts";

/** The part of `quorate status --json` that the lab reads; everything else may change. */
const NodeStatusSchema = z.object({
  node: z.object({ id: NodeIdSchema }),
  role: z.string(),
  leader: NodeIdSchema.nullable().optional(),
  term: z.int().nullable().optional(),
  view: z
    .object({ term: z.int(), number: z.int(), members: z.array(NodeIdSchema) })
    .nullable()
    .optional(),
  configuration: z.object({ version: z.int().nullable(), committed: z.boolean().optional() }),
});
export type NodeStatus = z.infer<typeof NodeStatusSchema>;

/** What the node says of itself; null when it has no power, does not answer, or says something else. */
export async function readNodeStatus(lab: Lab, id: number): Promise<NodeStatus | null> {
  const record = lab.record();
  if (record.hosts.find((host) => host.id === id)?.init === null) return null;
  try {
    const result = await lab.exec(id, [...record.quorate, "status", "--json"], 10_000);
    const parsed = NodeStatusSchema.safeParse(JSON.parse(result.stdout));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** All hosts' words, in the order of their ids; hosts that say nothing are left out. */
export async function readAllStatuses(lab: Lab): Promise<NodeStatus[]> {
  const all = await Promise.all(lab.record().hosts.map((host) => readNodeStatus(lab, host.id)));
  return all.filter((status) => status !== null);
}

/** The configuration's version that all of `ids` have and hold for committed; null while they differ. */
export function commonVersion(statuses: readonly NodeStatus[], ids: readonly number[]): number | null {
  const versions = new Set<number>();
  for (const id of ids) {
    const status = statuses.find((candidate) => candidate.node.id === id);
    if (status === undefined || status.configuration.version === null) return null;
    if (status.configuration.committed === false) return null;
    versions.add(status.configuration.version);
  }
  const [version] = versions;
  return versions.size === 1 && version !== undefined ? version : null;
}
