import type { ClusterConfig, NodeId, Ring } from "@quorate/contracts";
import { type HostAddress, inNetworkOf, sameAddress } from "./interfaces.ts";

/** Where a ring's sockets are bound, and how its heartbeats travel. */
export interface Binding {
  readonly ring: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly interfaceName: string;
  readonly port: number;
  readonly ttl: number;
  /** The group; null for unicast. */
  readonly group: string | null;
}

export type BindingChoice =
  | { readonly ok: true; readonly binding: Binding }
  | { readonly ok: false; readonly message: string; readonly hint: string };

/**
 * Chooses among this host's addresses, never a cluster address (it moves away).
 *
 * Multicast: `bindnetaddr` is matched as a network with the interface's mask, as corosync does, so one file
 * serves all nodes; the node's own ringN_addr is preferred among the matches. Without a match, ringN_addr.
 * Unicast: the others send to ringN_addr, so that one is bound wherever it exists; only without it
 * `bindnetaddr` may choose (a node behind address translation).
 */
export function chooseBinding(
  config: ClusterConfig,
  self: NodeId,
  ring: Ring,
  hosts: readonly HostAddress[],
): BindingChoice {
  const own = config.nodes.find((node) => node.id === self)?.addresses[ring.ring];
  const usable = hosts.filter(
    (host) => !config.clusterIps.some((vip) => sameAddress(vip.address, host.address)),
  );
  const exact = own === undefined ? undefined : usable.find((host) => sameAddress(host.address, own));
  const group = config.transport === "udp" ? (ring.mcastaddr ?? null) : null;
  const network = ring.bindnetaddr;
  const matches = network === undefined ? [] : usable.filter((host) => inNetworkOf(host, network));
  const matched =
    matches.find((host) => own !== undefined && sameAddress(host.address, own)) ??
    matches.find((host) => network !== undefined && sameAddress(host.address, network)) ??
    matches[0];
  const chosen = group === null ? (exact ?? matched) : (matched ?? exact);
  if (chosen === undefined) return missing(ring, own);
  return {
    ok: true,
    binding: {
      ring: ring.ring,
      family: chosen.family,
      address: chosen.address,
      interfaceName: chosen.interfaceName,
      port: ring.mcastport,
      ttl: ring.ttl,
      group,
    },
  };
}

function missing(ring: Ring, own: string | undefined): BindingChoice {
  const wanted = [
    ...(ring.bindnetaddr === undefined ? [] : [`bindnetaddr ${ring.bindnetaddr}`]),
    ...(own === undefined ? [] : [`ring${ring.ring}_addr ${own}`]),
  ];
  return {
    ok: false,
    message: `No address of this host fits ring ${ring.ring} (${wanted.join(", ") || "nothing configured"}).`,
    hint: `See \`ip -br addr\`; give the host that address, or correct ring${ring.ring}_addr of this node. It is retried every second.`,
  };
}

export function sameBinding(left: Binding, right: Binding): boolean {
  return (
    left.ring === right.ring &&
    left.address === right.address &&
    left.interfaceName === right.interfaceName &&
    left.port === right.port &&
    left.ttl === right.ttl &&
    left.group === right.group
  );
}
