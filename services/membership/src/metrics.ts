import { PEER_STATES } from "@quorate/contracts";
import type { Metrics } from "@quorate/runtime";
import type { MembershipLoop } from "./loop.ts";

/** Everything is read when scraped. */
export function exportMetrics(metrics: Metrics, loop: MembershipLoop): void {
  metrics.gauge(
    "quorate_membership_peer_state",
    "1 for the state a peer is in",
    ["peer", "state"],
    (gauge) => {
      gauge.reset();
      for (const peer of loop.peers().peers) {
        for (const state of PEER_STATES) {
          gauge.set({ peer: String(peer.node), state }, peer.state === state ? 1 : 0);
        }
      }
    },
  );
  metrics.gauge(
    "quorate_membership_link_up",
    "1 while a link carries both ways",
    ["peer", "ring"],
    (gauge) => {
      gauge.reset();
      for (const peer of loop.peers().peers) {
        for (const link of peer.links) {
          gauge.set({ peer: String(peer.node), ring: String(link.ring) }, link.hears && link.heard ? 1 : 0);
        }
      }
    },
  );
  metrics.gauge(
    "quorate_membership_link_loss_percent",
    "Heartbeats of a peer lost on a link, of the last hundred",
    ["peer", "ring"],
    (gauge) => {
      gauge.reset();
      for (const peer of loop.peers().peers) {
        for (const link of peer.links) {
          gauge.set({ peer: String(peer.node), ring: String(link.ring) }, link.lossPercent);
        }
      }
    },
  );
  metrics.gauge(
    "quorate_membership_peer_losses",
    "How often a peer ceased to be joined within the last 60 tokens",
    ["peer"],
    (gauge) => {
      gauge.reset();
      for (const peer of loop.state.peers) gauge.set({ peer: String(peer.node) }, peer.losses.length);
    },
  );
  metrics.gauge("quorate_membership_ring_up", "1 while a ring's sockets are open", ["ring"], (gauge) => {
    gauge.reset();
    for (const ring of loop.rings.rings) gauge.set({ ring: String(ring) }, 1);
    for (const problem of loop.rings.problems) gauge.set({ ring: String(problem.ring) }, 0);
  });
  metrics.gauge(
    "quorate_membership_patience",
    "How far this node stretches its limits because its own loop was late; 1 is healthy",
    [],
    (gauge) => gauge.set(loop.peers().patience),
  );
  metrics.gauge(
    "quorate_membership_worst_lateness_seconds",
    "The worst lateness of the own loop since the start",
    [],
    (gauge) => gauge.set(loop.state.health.worstLateUs / 1e6),
  );
  metrics.gauge("quorate_membership_counter", "Counts since the start, by what", ["what"], (gauge) => {
    for (const [what, count] of Object.entries(loop.counters)) gauge.set({ what }, count);
  });
}
