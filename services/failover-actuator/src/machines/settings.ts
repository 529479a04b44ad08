import { type ClusterConfig, drainLeftMs, type NodeId } from "@quorate/contracts";
import type { MachinesSettings } from "./machines.ts";

/** A wall clock that is set anew is noticed within this time. */
const LOOK_AGAIN_MS = 60_000;

/** What the cluster's configuration says at this moment; null without the section `machines`. */
export function settingsOf(config: ClusterConfig, node: NodeId, wallMs: number): MachinesSettings | null {
  const { machines, nodes, tokenMs } = config;
  if (machines === undefined) return null;
  return {
    node,
    nodes: nodes.map(({ id }) => id),
    tokenUs: tokenMs * 1000,
    machines,
    devices: (config.powerDevices ?? []).map((device) => device.node),
    devicesKey: JSON.stringify(config.powerDevices ?? []),
    watchdog: config.watchdog ?? null,
    blocked: nodes.flatMap((each) => (drainLeftMs(each, wallMs) > 0 ? [each.id] : [])),
  };
}

/** In how long a maintenance may be over, or a watchdog's driver loaded; null when neither can be. */
export function lookAgainMs({ nodes, watchdog }: ClusterConfig, wallMs: number): number | null {
  const left = nodes.map((node) => drainLeftMs(node, wallMs)).filter((endsMs) => endsMs > 0);
  return left.length === 0 && watchdog === undefined ? null : Math.min(LOOK_AGAIN_MS, ...left);
}
