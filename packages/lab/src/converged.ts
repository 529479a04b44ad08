/** "The cluster is converged", as all of its nodes say: everybody joined, one master who holds, one configuration. */
import { NodeIdSchema } from "@quorate/contracts";
import { z } from "zod";
import type { Lab } from "./lab.ts";

const ConvergedStatusSchema = z.object({
  node: z.object({ id: NodeIdSchema }),
  role: z.string(),
  leader: NodeIdSchema.nullable(),
  term: z.int().nullable(),
  view: z.object({ term: z.int(), number: z.int(), members: z.array(NodeIdSchema) }).nullable(),
  configuration: z.object({
    version: z.int().nullable(),
    digest: z.string().nullable(),
    committed: z.boolean(),
  }),
  peers: z.array(z.object({ id: NodeIdSchema, state: z.string() })),
  clusterIp: z.object({ state: z.string(), gate: z.string() }),
  service: z.object({ state: z.string() }),
});
export type ConvergedStatus = z.infer<typeof ConvergedStatusSchema>;

export type Converged = { master: number; slaves: number[]; term: number; version: number; view: string };

/** What all of `ids` agree on; null while they do not, or while one of them says nothing. */
export function convergedOf(
  statuses: readonly (ConvergedStatus | null)[],
  ids: readonly number[],
): Converged | null {
  const said = statuses.filter((status) => status !== null);
  const master = said.find((status) => status.role === "master");
  if (said.length < ids.length || master === undefined || master.term === null) return null;
  const same = (read: (status: ConvergedStatus) => unknown) =>
    new Set(said.map((status) => JSON.stringify(read(status)))).size === 1;
  const agree = same(({ leader, term, view, configuration }) => [leader, term, view, configuration]);
  const { view, configuration, service, clusterIp } = master;
  if (!agree || view?.members.length !== ids.length || configuration.version === null) return null;
  if (master.leader !== master.node.id || !configuration.committed) return null;
  if (said.some(({ peers }) => peers.some(({ state }) => state !== "joined"))) return null;
  if (service.state !== "ready" || clusterIp.state !== "present" || clusterIp.gate !== "open") return null;
  return {
    master: master.node.id,
    slaves: ids.filter((id) => id !== master.node.id),
    term: master.term,
    version: configuration.version,
    view: `${view.term}.${view.number}`,
  };
}

/** What the host's node says; null when it has no power, does not answer in time, or says something else. */
export async function readStatus(lab: Lab, id: number): Promise<ConvergedStatus | null> {
  const record = lab.record();
  if (record.hosts.find((host) => host.id === id)?.init === null) return null;
  try {
    // The one who asks must not take the time of those who are watched.
    const argv = ["nice", "-n", "19", ...record.quorate, "status", "--json"];
    const result = await lab.exec(id, argv, 10_000);
    const parsed = ConvergedStatusSchema.safeParse(JSON.parse(result.stdout));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export async function readConverged(lab: Lab, ids: readonly number[]): Promise<Converged | null> {
  return convergedOf(await Promise.all(ids.map((id) => readStatus(lab, id))), ids);
}
