/**
 * Stands in for the quorum-evaluator: grants every T/10 as it is told on standard input (one JSON per line),
 * and prints every report of the actuator as one JSON line.
 * Usage: stand-in.ts NODE RUN_DIR
 */
import { createInterface } from "node:readline";
import type { GrantMessage } from "@quorate/contracts";
import { Bus, createLogger, monotonicUs, readBusCredentials } from "@quorate/runtime";

export interface GrantOrder {
  kind: "grant";
  term: number;
  generation: number;
  role: "master" | "slave" | "suspended";
  leaseMs: number;
  close?: boolean;
  disarmed?: boolean;
}
export type Order = GrantOrder | { kind: "silence" } | { kind: "status" };

const PERIOD_MS = 100;
const node = Number(process.argv[2]);
const bus = new Bus({
  credentials: readBusCredentials(process.argv[3] ?? ""),
  clusterName: "VMmanager",
  nodeId: node,
  name: "stand-in",
  logger: createLogger({ service: "stand-in", node, level: "silent" }),
});
let order: GrantOrder | null = null;

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function grant(): void {
  if (order === null) return;
  const stampUs = monotonicUs();
  const leaseEndUs = order.role === "master" ? stampUs + order.leaseMs * 1000 : 0;
  const message: GrantMessage = {
    stampUs,
    term: order.term,
    generation: order.generation,
    role: order.role,
    masterLeaseEndUs: leaseEndUs,
    nodeLeaseEndUs: leaseEndUs,
    close: order.close ?? false,
    view: { term: order.term, number: 1 },
    disarmed: order.disarmed ?? false,
    reason: { code: "TEST", message: "As the test says." },
  };
  bus.publishLocal("grant", message);
  say({ kind: "granted", atUs: stampUs });
}

bus.subscribeLocal("report", (report) => say({ kind: "report", atUs: monotonicUs(), report }));
bus.onConnection((connected) => {
  if (connected) say({ kind: "bus" });
});
setInterval(grant, PERIOD_MS);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const next = JSON.parse(line) as Order;
    switch (next.kind) {
      case "grant":
        order = next;
        say({ kind: "ordered", atUs: monotonicUs() });
        grant();
        return;
      case "silence":
        order = null;
        return;
      case "status":
        bus
          .request("failover-actuator", "status", node, {}, 1000)
          .then((answer) => say({ kind: "status", answer }))
          .catch((error: unknown) => say({ kind: "status", answer: String(error) }));
    }
  })
  .on("close", () => process.exit(0));
