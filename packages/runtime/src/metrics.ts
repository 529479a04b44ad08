import type { NodeId, ServiceName } from "@quorate/contracts";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/**
 * One registry per process, every series labelled with service and node. Names: `quorate_` + what + unit,
 * counters end in `_total`, as Prometheus asks.
 */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: ServiceName | string, node: NodeId) {
    this.registry.setDefaultLabels({ service, node: String(node) });
    // Read when scraped; the default collectors of prom-client run timers that cost CPU while nobody asks.
    this.gauge("process_resident_memory_bytes", "Resident memory", [], (gauge) =>
      gauge.set(process.memoryUsage.rss()),
    );
    this.gauge("process_cpu_seconds_total", "CPU time used", [], (gauge) => {
      const usage = process.cpuUsage();
      gauge.set((usage.user + usage.system) / 1e6);
    });
    this.gauge("process_uptime_seconds", "Time since the process started", [], (gauge) =>
      gauge.set(process.uptime()),
    );
  }

  counter<Label extends string = never>(name: string, help: string, labels: readonly Label[] = []) {
    return new Counter<Label>({ name, help, labelNames: [...labels], registers: [this.registry] });
  }

  /** `collect` is called when the metric is scraped. */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    collect?: (gauge: Gauge<Label>) => void,
  ) {
    const gauge: Gauge<Label> = new Gauge<Label>({
      name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
    });
    return gauge;
  }

  histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labels: readonly Label[] = [],
  ) {
    return new Histogram<Label>({ name, help, buckets, labelNames: [...labels], registers: [this.registry] });
  }
}
