import type { FailoverEvent } from "@quorate/core-failover";
import type { Gate } from "@quorate/host";
import { type Metrics, monotonicUs } from "@quorate/runtime";
import type { FailoverLoop } from "./loop.ts";

/** What Prometheus reads of this service; collected when it asks. */
export function exportMetrics(metrics: Metrics, loop: FailoverLoop, gate: Gate): void {
  metrics.gauge("quorate_gate_open", "1 while the cluster address may be answered from here", [], (gauge) =>
    gauge.set(loop.report?.gate === "open" ? 1 : 0),
  );
  metrics.gauge(
    "quorate_gate_lease_seconds",
    "How long the kernel keeps the gate open at most",
    [],
    (gauge) => {
      const { open, openUntilUs } = loop.state.gate;
      gauge.set(open === "open" ? Math.max(0, (openUntilUs - monotonicUs()) / 1e6) : 0);
    },
  );
  metrics.gauge("quorate_address_present", "1 while every cluster address is on its interface", [], (gauge) =>
    gauge.set(loop.report?.address === "present" ? 1 : 0),
  );
  metrics.gauge("quorate_service_ready", "1 while the managed service answers on its ports", [], (gauge) =>
    gauge.set(loop.report?.service === "ready" ? 1 : 0),
  );
  metrics.gauge("quorate_able", "1 while this node could serve as master", [], (gauge) =>
    gauge.set(loop.report?.able.ok === true ? 1 : 0),
  );
  metrics.gauge("quorate_actuator_total", "What the actuator counted since its start", ["what"], (gauge) => {
    for (const [what, value] of Object.entries(loop.state.counters)) gauge.set({ what }, value);
    const stats = gate.stats();
    gauge.set({ what: "gate_late_acknowledgements" }, stats.lateAcknowledgements);
    gauge.set({ what: "gate_tool_starts" }, stats.toolStarts);
  });
}

/** Counts events by name, and measures how long opening the gate took. */
export function eventMeter(metrics: Metrics): (event: FailoverEvent) => void {
  const events = metrics.counter("quorate_failover_events_total", "Events of this service", ["event"]);
  const opening = metrics.histogram(
    "quorate_gate_opening_seconds",
    "From the order to the acknowledged opening of the gate",
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5],
  );
  return (event) => {
    events.inc({ event: event.name });
    const took = event.reason.facts?.["tookMs"];
    if (event.name === "gate_opened" && typeof took === "number") opening.observe(took / 1000);
  };
}
